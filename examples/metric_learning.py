"""EqCo in pytorch-metric-learning: with labels, with a miner, and for two views.

pip install pytorch-metric-learning; python examples/metric_learning.py
"""

from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.miners import MultiSimilarityMiner
from pytorch_metric_learning.utils import loss_and_miner_utils as pairs
from torch import nn

from eqco import EqCoLoss, LabelLoss
from eqco.losses.base import ContrastiveLoss


class NTXentLoss(losses.NTXentLoss):  # type: ignore[misc]
    """For CrossBatchMemory, SelfSupervisedLoss and reducers, which know losses by their name."""

    def __init__(self, loss: ContrastiveLoss, **more: Any) -> None:
        super().__init__(**more)
        loss.reduction = "none"
        self.loss = LabelLoss(loss)

    def compute_loss(
        self, embeddings: Any, labels: Any, indices_tuple: Any, ref_emb: Any, ref_labels: Any
    ) -> dict[str, Any]:
        chosen = pairs.convert_to_pairs(indices_tuple, labels, ref_labels)
        values = self.loss(embeddings, labels, chosen, ref_emb, ref_labels)
        return {"loss": {"losses": values, "indices": chosen[:2], "reduction_type": "pos_pair"}}


torch.manual_seed(0)
centres = torch.randn(8, 20)
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 16))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
mining_func = MultiSimilarityMiner()
two_views = EqCoLoss(num_negatives=16, alpha=256, temperature=0.2)  # was SelfSupervisedLoss(...)
loss_func = LabelLoss(two_views)  # was NTXentLoss()

for step in range(20):
    labels = torch.randint(8, (64,))
    data = centres[labels] + torch.randn(64, 20)
    embeddings = model(data)
    loss = loss_func(embeddings, labels)
    loss = loss + loss_func(embeddings, labels, mining_func(embeddings, labels))
    loss = loss + two_views(embeddings, model(data + 0.1 * torch.randn(64, 20)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0 or step == 19:
        print(f"step {step}: loss {loss.item():.3f}")
