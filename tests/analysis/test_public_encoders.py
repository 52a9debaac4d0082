"""The page of public encoders has what `eqco diagnose` says of their embeddings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from eqco.__main__ import main

FOLDER = os.environ.get("EQCO_PUBLIC_ENCODERS", "")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "public_encoders.md"
NAMES = {
    "SSCD, 1,000 classes": "sscd_imagenet_1000_classes.npy",
    "SSCD, 10 classes": "sscd_imagenette_10_classes.npy",
    "MiniLM, docstring and code": "minilm_docstring_code.npy",
}


def enough(found: dict[str, Any]) -> str:
    """The K advised, with a star where it is not measured."""
    star = r"\*" if found["enough_by"] == "leading order" else ""
    return f"{found['enough']:,}{star}"


def row(name: str, few: dict[str, Any], many: dict[str, Any]) -> str:
    """A row of the table from the diagnoses at alpha 256 and 65,536."""
    both = few, many
    cells = (
        f"{few['cv2']:.2f} ({few['cv2_median']:.2f})",
        f"{few['cv2_uniform']:.2f}",
        " / ".join(f"{each['one_minus_pi0']:.2f}" for each in both),
        " / ".join(f"{each['gaps'][0]['measured']:.3f}" for each in both),
        " / ".join(enough(each) for each in both),
        " / ".join(f"{each['enough_by_leading_order']:,}" for each in both),
    )
    return f"| {name} | " + " | ".join(cells) + " |"


@pytest.mark.skipif(not FOLDER, reason="EQCO_PUBLIC_ENCODERS names no folder of embeddings")
@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_the_diagnosis_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for alpha in ("256", "65536"):
        given = ["--temperature", "0.05", "--alpha", alpha, "--negatives", "16", "--json"]
        assert main(["diagnose", str(Path(FOLDER) / NAMES[name]), *given]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert row(name, *found) in PAGE.read_text(encoding="utf-8").splitlines()
