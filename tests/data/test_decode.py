"""Pictures of any format are read in colour, and a file that cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as reference
from PIL import Image

from eqco.data.decode import decode, picture
from eqco.data.image_folder import ImageTree


def test_gray_cmyk_and_misnamed_files_are_read_in_colour(tree: ImageTree) -> None:
    for path in tree.train.paths():
        image = decode(path)
        assert image.dtype == torch.uint8
        assert image.shape[0] == 3
    gray = decode(tree.root / "train" / "n01" / "0.JPEG")
    assert torch.equal(gray[0], gray[1])


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    assert torch.equal(decode(tmp_path / "one.png"), torch.from_numpy(pixels).permute(2, 0, 1))
    assert picture(tmp_path / "one.png").mode == "RGB"


def test_crops_of_a_decoded_picture_are_those_of_its_planes(tree: ImageTree) -> None:
    """Memory order changes no byte, neither of a crop nor of a resized picture."""
    image = decode(tree.train.path(0))
    for change in (
        lambda each: reference.resized_crop(each, 1, 2, 9, 7, [16, 16], antialias=True),
        lambda each: reference.resize(each, [11], antialias=True),
    ):
        assert torch.equal(change(image), change(image.contiguous()))
