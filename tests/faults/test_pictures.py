"""Kinds 4 and 7: pictures are converted rightly or refused by name, and every failure is a line."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

from eqco.config import Machine
from eqco.data import decode as decoder
from eqco.data.decode import CONVERTED, ImageError, decode, in_colour
from eqco.data.image_folder import scan
from eqco.data.in_memory import read_images
from eqco.data.streaming import FromFiles
from reproductions.experiments.check_images import problem
from tests.trees import files_recipe, write_tree

RED, GRAY = (200, 40, 10), 120
# A colour in each mode, and what it is in RGB by the definition of the mode.
COLOURS: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "1": (1, (255, 255, 255)),
    "L": (GRAY, (GRAY,) * 3),
    "LA": ((GRAY, 7), (GRAY,) * 3),
    "RGB": (RED, RED),
    "RGBA": ((*RED, 7), RED),
    "RGBX": ((*RED, 7), RED),
    "RGBa": ((100, 20, 5, 128), (199, 39, 9)),  # times 255 / 128, rounded down
    "CMYK": ((55, 215, 245, 0), RED),
    "YCbCr": ((GRAY, 128, 128), (GRAY,) * 3),
}


@pytest.mark.parametrize("mode", COLOURS)
def test_a_mode_is_converted_by_its_definition(mode: str) -> None:
    colour, right = COLOURS[mode]
    shown = np.asarray(in_colour(Image.new(mode, (3, 2), colour)))
    assert shown.shape == (2, 3, 3)
    np.testing.assert_array_equal(shown[0, 0], right)


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_a_palette_gives_its_colours(mode: str) -> None:
    shown = np.asarray(in_colour(Image.new("RGB", (3, 2), RED).convert("P").convert(mode)))
    assert np.abs(shown[0, 0].astype(int) - RED).max() <= 26  # half a step of the web palette


def test_every_listed_mode_has_its_test() -> None:
    assert {*COLOURS, "P", "PA"} == CONVERTED


def levels(count: int = 4096) -> np.ndarray:
    """A ramp from black to white, 16 bits."""
    return np.linspace(0, 65535, count).round().reshape(64, -1).astype(np.uint16)


def write_pgm(path: Path, values: np.ndarray) -> None:
    """A PPM of 16 bits, big-endian, as netpbm writes it."""
    head = b"P5\n%d %d\n65535\n" % values.shape[::-1]
    path.write_bytes(head + values.astype(">u2").tobytes())


SIXTEEN: dict[str, Callable[[Path, np.ndarray], object]] = {
    "png": lambda path, values: Image.fromarray(values).save(path),
    "tif": lambda path, values: Image.fromarray(values).save(path),
    "ppm": write_pgm,
}


@pytest.mark.parametrize("ending", SIXTEEN)
def test_sixteen_bits_are_scaled_not_cut(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"ramp.{ending}"
    SIXTEEN[ending](path, levels())
    shown = decode(path).numpy()
    np.testing.assert_array_equal(shown[0], np.round(levels() / 257))
    assert (shown == shown[:1]).all()
    assert abs(float(shown.mean()) - 127.5) < 0.1


def tiff(bits: int, photometric: int, sample: int, content: bytes) -> bytes:
    """A TIFF of 2 x 2 gray pixels with the given tags, little-endian."""
    tags = [
        (256, 3, 2), (257, 3, 2), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
        (277, 3, 1), (278, 3, 2), (279, 4, len(content)), (339, 3, sample),
    ]  # fmt: skip
    body = content + b"\0" * (len(content) % 2)
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(body))
    return head + body + struct.pack("<H", len(tags)) + entries + b"\0" * 4


REFUSED: dict[str, bytes] = {
    "I of 32 bits": tiff(32, 1, 2, np.array([0, 1, 2, 70000], "<i4").tobytes()),
    "I with sign": tiff(16, 1, 2, np.array([0, 1, -2, 3], "<i2").tobytes()),
    "F": tiff(32, 1, 3, np.array([0, 0.5, 1, 2], "<f4").tobytes()),
    "I;16 of 12 bits": tiff(12, 1, 1, bytes(6)),
    "I;16 with white at 0": tiff(16, 0, 1, bytes(8)),
    "F of PFM": b"Pf\n2 2\n-1.0\n" + bytes(16),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mode_of_unknown_range_is_refused_by_path_and_mode(name: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.tif"
    path.write_bytes(REFUSED[name])
    mode = name.split()[0]
    with pytest.raises(ImageError, match=rf"cannot read image .*odd\.tif: mode {mode} of") as got:
        decode(path)
    assert "\n" not in str(got.value)


@pytest.mark.parametrize("mode", ["LAB", "HSV", "I", "F", "I;16", "La"])
def test_other_modes_are_refused_not_guessed(mode: str) -> None:
    with pytest.raises(ValueError, match=rf"mode {mode} of None"):
        in_colour(Image.new(mode, (2, 2)))


TORCHVISION = [
    ("RGB", "png"), ("RGB", "jpg"), ("RGB", "webp"), ("L", "png"), ("L", "jpg"), ("LA", "png"),
    ("RGBA", "png"), ("P", "png"), ("1", "png"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "ending"), TORCHVISION)
def test_what_torchvision_decodes_is_the_same(mode: str, ending: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    large = Image.fromarray(noise).resize((32, 32), Image.Resampling.BICUBIC).convert(mode)
    path = tmp_path / f"x.{ending}"
    large.save(path)
    theirs = decode_image(torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8),
                          mode=ImageReadMode.RGB)  # fmt: skip
    assert (decode(path).int() - theirs.int()).abs().max() <= (2 if ending == "jpg" else 0)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_an_orientation_is_not_applied(orientation: int, tmp_path: Path) -> None:
    ramp = Image.fromarray(levels().astype(">u2").view(np.uint8)[:, ::2].copy())
    exif = Image.Exif()
    exif[0x0112] = orientation
    ramp.save(tmp_path / "turned.png", exif=exif)
    ramp.save(tmp_path / "plain.png")
    assert torch.equal(decode(tmp_path / "turned.png"), decode(tmp_path / "plain.png"))


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of chunks, with right checksums."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


HEADER = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
HUGE = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
TEXT = b"a\0\0" + zlib.compress(bytes(3_000_000))
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, kind)
    return stream.getvalue()


def broken_chunk() -> bytes:
    """A PNG with wrong compressed pixels, and a last chunk that says it is huge."""
    content = bytearray(encoded("PNG"))
    content[40:44] = b"\xff\xff\xff\xff"
    content[-12:-4] = b"\x7f\xff\xff\xffHUGE"
    return bytes(content)


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "text": b"this is no image",
    "half a PNG": encoded("PNG")[:6000],
    "half a JPEG": encoded("JPEG")[:1500],
    "PNG without a head": bytes(64) + encoded("PNG")[64:],
    "JPEG without a head": bytes(64) + encoded("JPEG")[64:],
    "PNG with a broken chunk": broken_chunk(),
    "header without a number": b"P6\n40 x\n255\n",
    "too many pixels": png_of((b"IHDR", HUGE), (b"IDAT", zlib.compress(b""))),
    "text chunk too large": png_of((b"IHDR", HEADER), (b"zTXt", TEXT), (b"IEND", b"")),
    "short header": png_of((b"IHDR", HEADER[:5])),
    "chunk that is none": b"\x89PNG\r\n\x1a\n" + bytes(30),
    "cut in the pixels": png_of((b"IHDR", HEADER), (b"IDAT", b"x\x9c")),
    "TIFF without tags": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "TIFF that points outside": b"II*\0\xff\xff\xff\x7f",
    "GIF without frames": b"GIF89a\x01\0\x01\0\0\0\0;",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_line_with_its_path(name: str, tmp_path: Path) -> None:
    path = tmp_path / "da\nmaged.png"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ImageError, match=r"cannot read image .*da\\nmaged\.png: \S") as got:
        decode(path)
    assert "repair or delete" in str(got.value)
    assert "\n" not in str(got.value)
    assert problem(path) == str(got.value)
    with pytest.raises(ImageError):
        read_images([path], 32)


RAISED = [
    SyntaxError("not a PNG file"), struct.error("unpack requires 4 bytes"), IndexError(),
    ValueError("two\nlines"), KeyError(3), MemoryError(), PermissionError(13, "Permission denied"),
    OSError("broken data stream"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    Image.DecompressionBombError("too large"),
]  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_every_exception_of_pillow_is_one_line(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder.Image, "open", Mock(side_effect=error))
    with pytest.raises(ImageError, match=rf"cannot read image {tmp_path}/x\.png: \S+") as got:
        decode(tmp_path / "x.png")
    assert "\n" not in str(got.value)
    assert got.value.__cause__ is error
    if isinstance(error, OSError) and error.errno:  # the file may be whole
        assert "delete" not in str(got.value)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_random_damage_gives_a_picture_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = data.draw(st.sampled_from(["png", "jpg", "bmp", "webp", "tif", "ppm"]))
    path = tmp_path_factory.mktemp("damage") / f"x.{kind}"
    Image.fromarray(levels().view(np.uint8)[:, :64].copy()).save(path)
    content = bytearray(path.read_bytes())
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, min(len(content), 200) - 1), st.integers(0, 255)))
    ):
        content[place] = value
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    sentence = problem(path)
    assert "\n" not in sentence
    assert sentence.startswith(f"cannot read image {path}: ") or decode(path).shape[0] == 3


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("name", "workers"), [("header without a number", 1), ("text chunk too large", 0)]
)
def test_a_damaged_file_is_one_line_from_a_worker_too(
    name: str, workers: int, tmp_path: Path
) -> None:
    tree = write_tree(tmp_path / "tree")
    bad = tree / "train" / "n02" / "3.JPEG"
    bad.write_bytes(DAMAGED[name])
    images = FromFiles(scan(tree), files_recipe(tree), 0, Machine(workers=workers, data_dir=tree))
    for read in (
        lambda: [images.views(step) for step in range(3)],
        lambda: list(images.whole("train")),
    ):
        with pytest.raises(ImageError) as got:
            read()
        assert str(got.value).startswith(f"cannot read image {bad}: ")
        assert "\n" not in str(got.value)
