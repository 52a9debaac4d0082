"""What figures measure: gradients, samples, gaps of trained encoders; their committed data."""

from __future__ import annotations

import math
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.functional import eqco_info_nce
from figures.__main__ import FIGURES
from figures.measure import diagnoses, encoders, gaussians
from figures.style import OUT
from reproductions.scales import SCALES
from tests.reproductions.results.test_perturbed_probe import keep_checkpoint

FOLDER = Path(encoders.__file__).parents[1]


@pytest.fixture
def embeddings(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Nine queries and keys of length 1, five dimensions, float64."""
    query, key = (torch.randn(9, 5, generator=generator, dtype=torch.float64) for _ in "qk")
    return F.normalize(query, dim=1), F.normalize(key, dim=1)


def closed_form(query: Tensor, key: Tensor, columns: Tensor, t: float, alpha: float) -> Tensor:
    """dL/dq = (1 / t) sum_i pi_i (k_i - k_0), shape (N, D)."""
    similarity = query @ key.T / t
    weights = similarity.gather(1, columns).exp() * math.exp(math.log(alpha)) / columns.shape[1]
    share = weights / (similarity.diagonal().exp() + weights.sum(dim=1))[:, None]  # pi_i
    spread = torch.zeros_like(similarity).scatter_(1, columns, share)
    return (spread @ key - spread.sum(dim=1, keepdim=True) * key) / t


@pytest.mark.parametrize("num_negatives", [1, 3, 8])
@pytest.mark.parametrize("alpha", [1.0, 64.0, 65536.0])
def test_gradients_are_those_of_the_closed_form(
    embeddings: tuple[Tensor, Tensor], num_negatives: int, alpha: float
) -> None:
    columns = encoders.draw_columns(9, num_negatives)
    _, found = encoders.losses_and_gradients(*embeddings, columns, 0.2, alpha)
    expected = closed_form(*embeddings, columns, 0.2, alpha)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_losses_are_those_of_the_package(embeddings: tuple[Tensor, Tensor]) -> None:
    query, key = embeddings
    columns = encoders.draw_columns(9, 3)
    loss, _ = encoders.losses_and_gradients(query, key, columns, 0.2, 64.0)
    similarity = query @ key.T
    mean = eqco_info_nce(
        similarity.diagonal(), similarity.gather(1, columns), temperature=0.2, alpha=64.0
    )
    torch.testing.assert_close(loss.mean(), mean)


def test_columns_are_other_images_without_repetition() -> None:
    columns = encoders.draw_columns(20, 19)
    assert all(sorted([*row.tolist(), i]) == list(range(20)) for i, row in enumerate(columns))


def test_no_figure_writes_the_rule_itself() -> None:
    for path in FOLDER.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"alpha\s*\)?\s*/|log\(alpha", text), path


def test_an_untrained_encoder_gives_the_committed_numbers() -> None:
    fresh = encoders.compute(points=(0.0,))
    kept = pd.read_csv(OUT / "encoders.csv").query("step == 0")
    assert list(fresh.columns) == list(kept.columns)
    assert list(fresh["loss"]) == list(kept["loss"])
    for column in kept.select_dtypes("number"):
        np.testing.assert_allclose(
            fresh[column].astype(float), kept[column].astype(float), rtol=1e-3, atol=1e-9
        )


def test_samples_of_gaussians_agree_with_the_committed_ones() -> None:
    fresh = gaussians.compute(samples=400, counts=(1, 16, 64))
    kept = pd.read_csv(OUT / "gaussians.csv")
    assert list(fresh.columns) == list(kept.columns)
    both = fresh.merge(
        kept.round({"information": 5}), on=["loss", "alpha", "k"], suffixes=("", "_kept")
    )
    both = both[(both["information"] - both["information_kept"]).abs() < 1e-3]
    assert len(both) >= 30
    reach = 5 * (both["error"] ** 2 + both["error_kept"] ** 2) ** 0.5
    assert ((both["value"] - both["value_kept"]).abs() <= reach).all()


def test_diagnoses_of_the_checkpoints_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep_checkpoint(SCALES["glyphs"].base, 0, tmp_path / "checkpoints")
    words = ["diagnoses", str(path.parent), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    diagnoses.main()
    fresh, kept = (pd.read_csv(at / "diagnoses.csv") for at in (tmp_path / "out", OUT))
    assert list(fresh.columns) == list(kept.columns)
    assert set(fresh["encoder"]) == {"simo-infonce-k255"}
    assert tuple(fresh["k"]) == diagnoses.COUNTS
    assert fresh["coarse"].is_monotonic_decreasing
    assert (fresh["sharp"] <= fresh["coarse"]).all()


def test_diagnoses_without_checkpoints_end_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["diagnoses", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        diagnoses.main()
    assert "no checkpoint of table 1" in capsys.readouterr().err


def test_folders_of_images_are_given_by_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def compute(checkpoints: Path, folders: dict[str, Path]) -> pd.DataFrame:
        seen.update(folders)
        return pd.DataFrame({"scale": ["cifar10-quick"]})

    monkeypatch.setattr(diagnoses, "compute", compute)
    words = ["checkpoints", "--data", "cifar10-quick=some/images", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["diagnoses", *words])
    diagnoses.main()
    assert seen == {"cifar10-quick": Path("some/images")}


# The committed data of figures is that of the committed records.


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_drawn_is_what_the_records_say(name: str) -> None:
    fresh = import_module(f"figures.{name}").compute().reset_index(drop=True)
    path = OUT / f"{name}.csv"
    assert path.exists() == (not fresh.empty), f"run python -m figures.{name} and commit"
    if fresh.empty:
        return
    kept = pd.read_csv(path)
    assert list(fresh.columns) == list(kept.columns)
    assert len(fresh) == len(kept), f"run python -m figures.{name} and commit"
    for column in kept.select_dtypes("number"):
        np.testing.assert_allclose(
            fresh[column].astype(float), kept[column].astype(float), rtol=1e-4, err_msg=column
        )
