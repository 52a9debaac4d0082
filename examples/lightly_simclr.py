"""EqCo in lightly's SimCLR: `EqCoLoss` replaces `NTXentLoss`.

pip install lightly; python examples/lightly_simclr.py
"""

import torch
import torchvision
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms.simclr_transform import SimCLRTransform
from torch import nn
from torch.utils.data import DataLoader

from eqco import EqCoLoss


class SimCLR(nn.Module):
    """A backbone and lightly's head."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection_head = SimCLRProjectionHead(512, 512, 128)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (N, 128), of any length."""
        return self.projection_head(self.backbone(images).flatten(start_dim=1))  # type: ignore[no-any-return]


torch.manual_seed(0)
resnet = torchvision.models.resnet18()
model = SimCLR(nn.Sequential(*list(resnet.children())[:-1]))
dataset = torchvision.datasets.FakeData(32, (3, 40, 40), transform=SimCLRTransform(input_size=32))
dataloader = DataLoader(dataset, batch_size=16, shuffle=True, drop_last=True)
criterion = EqCoLoss(num_negatives=16, alpha=256, temperature=0.2)  # was NTXentLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for epoch in range(2):
    for (x0, x1), _ in dataloader:
        z0, z1 = model(x0), model(x1)
        loss = criterion(z0, z1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
