"""EqCo for sentences: hard negatives beside those of the batch, and no duplicate as a negative.

It replaces sentence-transformers' MultipleNegativesRankingLoss.

python examples/hard_negatives.py
"""

import torch
from torch import nn

from eqco import EqCoLoss

torch.manual_seed(0)
anchors, answers, hard = torch.randn(64, 48), torch.randn(64, 48), torch.randn(64, 2, 48)
answers[1] = answers[0]  # two questions with one answer
answer_ids = torch.tensor([0, 0, *range(2, 64)])
model = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 32))
criterion = EqCoLoss(num_negatives=14, alpha=1024, temperature=0.05, two_sided=False, warn=True)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
print(f"loss where all similarities are equal: {criterion.expected().plateau:.2f}, whatever K is")

for step in range(20):
    loss = criterion(model(anchors), model(answers), negatives=model(hard), ids=answer_ids)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0 or step == 19:
        print(f"step {step}: loss {loss.item():.3f}")
