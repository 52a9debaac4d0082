"""GradCache: the loss of a large batch with the memory of a small one (Gao et al., 2101.06983).

Plain accumulation adds up the losses of small batches: it gives no more negatives, while EqCo's
alpha / K keeps the loss where it is. Here every negative of the large batch is one.

python examples/gradcache.py
"""

import torch
from torch import nn

from eqco import EqCoLoss

torch.manual_seed(0)
views = torch.randn(2, 64, 48)
model = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 32))
criterion = EqCoLoss(num_negatives=None, alpha=256, temperature=0.2)
parts = views.flatten(0, 1).split(16)

with torch.no_grad():  # 1. all embeddings, without a graph
    embeddings = torch.cat([model(part) for part in parts])
embeddings.requires_grad_()
loss = criterion(*embeddings.chunk(2))
loss.backward()  # 2. the gradient of the loss by each embedding
for part, gradient in zip(parts, embeddings.grad.split(16), strict=True):
    model(part).backward(gradient)  # 3. through the model, part by part

cached = [each.grad.clone() for each in model.parameters()]
model.zero_grad()
criterion(*map(model, views)).backward()  # the same with everything in memory
errors = [
    (each.grad - own).abs().max() for each, own in zip(model.parameters(), cached, strict=True)
]
print(f"loss {loss.item():.3f}, largest difference of a gradient {max(errors):.1e}")
assert max(errors) < 1e-6
