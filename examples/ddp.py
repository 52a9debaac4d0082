"""EqCo with several processes: the negatives come from the batches of all of them.

torchrun --standalone --nproc-per-node 2 examples/ddp.py
"""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from eqco import EqCoLoss
from eqco.runtime import distributed


def train(rank: int) -> None:
    """Twenty steps on random images; the first process prints the loss."""
    torch.manual_seed(0)  # the same weights
    encoder = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32))
    model = DistributedDataParallel(encoder)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    # Seeded alike everywhere, the loss is that of one process with the whole batch.
    generator = torch.Generator().manual_seed(0)
    criterion = EqCoLoss(num_negatives=16, alpha=256, gather=True, generator=generator)

    torch.manual_seed(rank)  # each process its own images
    for step in range(20):
        images = torch.randn(16, 20)
        z0, z1 = model(torch.cat([images, images + 0.1 * torch.randn(16, 20)])).chunk(2)
        loss = criterion(z0, z1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0 and (step % 5 == 0 or step == 19):
            print(f"step {step}: loss {loss.item():.3f}")


distributed.start("cpu")  # init_process_group with gloo; for "cuda" with NCCL
train(distributed.rank())
# The model is gone by now. While one exists, gloo's threads run on after destroy_process_group and
# can abort the process as Python exits ("terminate called without an active exception").
distributed.stop()
