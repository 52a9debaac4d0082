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
parts = torch.split(views.flatten(0, 1), 16)

with torch.no_grad():  # 1. all embeddings, without a graph
    embeddings = torch.cat([model(part) for part in parts])
embeddings.requires_grad_()
loss = criterion(*embeddings.chunk(2))
(gradients,) = torch.autograd.grad(loss, embeddings)  # 2. of the loss by each embedding
for part, gradient in zip(parts, torch.split(gradients, 16), strict=True):
    model(part).backward(gradient)  # 3. through the model, part by part
print(f"loss {loss.item():.3f}")

whole = criterion(*map(model, views))
print(f"with everything in memory: loss {whole.item():.3f}")
at_once = torch.autograd.grad(whole, list(model.parameters()))
for parameter, expected in zip(model.parameters(), at_once, strict=True):
    torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-6)
