"""EqCo in a loop of plain torch.

python examples/bare_loop.py
"""

import torch
from torch import nn

from eqco import EqCoLoss

torch.manual_seed(0)
images = torch.randn(64, 3, 16, 16)
encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 64), nn.ReLU(), nn.Linear(64, 32))
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.02, momentum=0.9)
criterion = EqCoLoss(num_negatives=16, alpha=256, temperature=0.2)


def view(images: torch.Tensor) -> torch.Tensor:
    """Stands for your augmentations."""
    return images + 0.1 * torch.randn_like(images)


for step in range(20):
    loss = criterion(encoder(view(images)), encoder(view(images)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0 or step == 19:
        print(f"step {step}: loss {loss.item():.3f}")
