"""`eqco doctor` names what is there and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eqco.__main__ import main
from eqco.cli.doctor import price
from eqco.engine import precision
from eqco.engine.throughput import SIZES
from eqco.recipe import BASES, IMAGES
from tests.trees import write_tree


def test_the_report_names_devices_units_cores_and_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "reported_units", set)
    words = ["doctor", "--seconds", "0", "--threads", "1"]
    data = write_tree(tmp_path / "tree", each=2)
    assert main([*words, "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["devices"][-1] == "cpu"
    assert found["cores"]["granted"] >= 1
    assert found["threads"] == 1
    assert found["data"]["tree"] == f"{data}: 4 classes, 8 and 8 images"
    assert main([*words, "--data", str(tmp_path / "none")]) == 0
    out = capsys.readouterr().out
    if found["devices"] == ["cpu"]:
        assert "emulated, ten times slower than float32" in out
    assert f"tree: none in {tmp_path / 'none'}" in out


def test_every_timed_scale_says_what_its_images_are() -> None:
    assert SIZES.keys() <= IMAGES.keys() == BASES.keys()
    assert all(1 < len(words.split()) <= 6 for words in IMAGES.values())


def test_prices_are_in_minutes_hours_or_days() -> None:
    assert [price(each) for each in (1.25, 12, 150, 80_000)] == [
        "1.2 min", "12 min", "2.5 h", "56 days",
    ]  # fmt: skip
