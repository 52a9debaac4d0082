"""EqCo in lightly's MoCo: `EqCoLoss` with a queue replaces `NTXentLoss` with its memory bank.

The queue is part of `criterion.state_dict()`: save it with the model.

pip install lightly; python examples/lightly_moco.py
"""

import copy

import torch
import torchvision
from lightly.models.modules import MoCoProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms.moco_transform import MoCoV2Transform
from torch import nn
from torch.utils.data import DataLoader

from eqco import EqCoLoss


class MoCo(nn.Module):
    """Query and key encoder with lightly's heads."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.projection_head = backbone, MoCoProjectionHead(512, 512, 128)
        self.backbone_momentum = copy.deepcopy(self.backbone)
        self.projection_head_momentum = copy.deepcopy(self.projection_head)
        deactivate_requires_grad(self.backbone_momentum)
        deactivate_requires_grad(self.projection_head_momentum)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Queries (N, 128), of any length."""
        return self.projection_head(self.backbone(images).flatten(start_dim=1))  # type: ignore[no-any-return]

    def forward_momentum(self, images: torch.Tensor) -> torch.Tensor:
        """Keys (N, 128), without gradient."""
        features = self.backbone_momentum(images).flatten(start_dim=1)
        return self.projection_head_momentum(features).detach()  # type: ignore[no-any-return]


torch.manual_seed(0)
resnet = torchvision.models.resnet18()
model = MoCo(nn.Sequential(*list(resnet.children())[:-1]))
dataset = torchvision.datasets.FakeData(32, (3, 40, 40), transform=MoCoV2Transform(input_size=32))
dataloader = DataLoader(dataset, batch_size=16, shuffle=True, drop_last=True)
# was NTXentLoss(memory_bank_size=(4096, 128))
criterion = EqCoLoss(num_negatives=16, alpha=4096, temperature=0.2, queue_size=4096)
optimizer = torch.optim.SGD(model.parameters(), lr=0.06)

for epoch in range(2):
    for (x_query, x_key), _ in dataloader:
        update_momentum(model.backbone, model.backbone_momentum, m=0.99)
        update_momentum(model.projection_head, model.projection_head_momentum, m=0.99)
        query, key = model(x_query), model.forward_momentum(x_key)
        loss = criterion(query, key)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
