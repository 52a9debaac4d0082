"""EqCo on your own images: train, export, and load the backbone in torchvision.

python examples/own_images.py PATH   (a folder of images; without PATH it draws 24 odd-sized ones)
"""

import random
import sys
import tempfile
from pathlib import Path

import torch
import torchvision
from PIL import Image

from eqco.__main__ import main
from eqco.artifacts.record import Record

folder = Path(tempfile.mkdtemp())  # of this example's files
data = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "images"
if len(sys.argv) < 2:
    data.mkdir()
    for number in range(24):
        size = (random.randint(40, 90), random.randint(40, 90))
        colour = tuple(random.randrange(256) for _ in range(3))
        Image.new("RGB", size, colour).save(data / f"{number}.jpg")

places = [f"--records={folder / 'records'}", f"--checkpoints={folder / 'checkpoints'}"]
short = ["--backbone=resnet18-small-images", "--epochs=2"]  # leave both out for a real training
status = main(["train", f"--data={data}", *short, *places])
if status:
    sys.exit(status)
(record,) = (folder / "records").glob("*.json")
for loss in Record.read(record).curve["loss"]:
    print(f"loss {loss:.3f}")

(checkpoint,) = (folder / "checkpoints").glob("*-s0.pt")
backbone = folder / "backbone.pt"
main(["export", str(checkpoint), str(backbone)])  # prints the lines that load it
model = torchvision.models.resnet18()
model.conv1 = torch.nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
model.maxpool = torch.nn.Identity()
model.load_state_dict(torch.load(backbone), strict=False)  # all but fc
