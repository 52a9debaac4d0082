"""EqCo for pairs of two encoders with a learnt temperature, in the place of open_clip's ClipLoss.

python examples/image_text.py
"""

import math

import torch
from torch import nn

from eqco import EqCoLoss

torch.manual_seed(0)
images, texts = torch.randn(64, 32), torch.randn(64, 24)
image_encoder, text_encoder = nn.Linear(32, 16), nn.Linear(24, 16)
logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
criterion = EqCoLoss(num_negatives=16, alpha=4096, cross_modal=True)  # was ClipLoss()
optimizer = torch.optim.AdamW(
    [*image_encoder.parameters(), *text_encoder.parameters(), logit_scale], lr=0.01
)

for step in range(20):
    scale = logit_scale.exp().clamp(max=100)
    loss = criterion(image_encoder(images), text_encoder(texts), logit_scale=scale)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0 or step == 19:
        print(f"step {step}: loss {loss.item():.3f}, temperature {1 / scale.item():.3f}")
