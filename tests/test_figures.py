"""Figures: tidy data, truths that hold, and pictures that are written, sized and not blank."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from eqco.contrast import eqco_info_nce
from figures import encoders, gaussians
from figures.__main__ import FIGURES
from figures.style import DPI, HERE, save

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {
    "mi_bound": {"bed", "information", "loss", "alpha", "k", "value", "certified", "nwj"},
    "gradient_norm": {"where", "loss", "alpha", "k", "quantity", "value", "error", "bound"},
    "accuracy_vs_k": {"panel", "scale", "method", "loss", "num_negatives", "seed", "linear"},
    "mean_field": {"scale", "encoder", "cv2", "k", "coarse", "sharp", "measured", "points"},
    "alpha": {"loss", "num_negatives", "alpha", "seed", "linear", "one_minus_pi0"},
    "learning_rate": {"loss", "num_negatives", "learning_rate", "seed", "linear"},
}


def committed(name: str) -> pd.DataFrame:
    """The CSV of a figure."""
    return pd.read_csv(HERE / f"{name}.csv")


@pytest.mark.parametrize("name", FIGURES)
def test_the_data_of_a_figure_is_tidy(name: str) -> None:
    frame = committed(name)
    assert set(frame.columns) >= COLUMNS[name]
    assert len(frame) > 10
    assert not frame.duplicated().any()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_at_its_size_and_is_not_blank(name: str, tmp_path: Path) -> None:
    figure = import_module(f"figures.{name}").draw(committed(name))
    width, height = figure.get_size_inches()
    save(figure, name, tmp_path)
    picture = matplotlib.image.imread(tmp_path / f"{name}.png")[..., :3]
    assert abs(picture.shape[1] / DPI - width) < 0.5
    assert picture.shape[0] / DPI > height - 0.3
    assert 0.01 < (picture.min(axis=2) < 0.9).mean() < 0.6
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    draw = import_module("figures.mi_bound").draw
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        save(draw(committed("mi_bound")), "same", tmp_path / place)
    for ending in ("png", "pdf"):
        one, two = (tmp_path / place / f"same.{ending}" for place in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("name", ["accuracy_vs_k", "mean_field", "alpha", "learning_rate"])
def test_what_is_drawn_is_what_the_records_say(name: str) -> None:
    fresh = import_module(f"figures.{name}").compute().reset_index(drop=True)
    kept = committed(name)
    assert len(fresh) == len(kept), f"run python -m figures.{name} and commit"
    for column in kept.select_dtypes("number"):
        np.testing.assert_allclose(
            fresh[column].astype(float), kept[column].astype(float), rtol=1e-4, err_msg=column
        )


def test_infonce_estimates_rise_with_k_and_stay_below_truth_and_ceiling() -> None:
    frame = committed("mi_bound").query("loss == 'InfoNCE'")
    for _, part in frame.groupby("bed"):
        part = part.sort_values("k")
        assert (part["value"].diff().dropna() > -3 * part["error"].iloc[1:]).all()
        assert (part["value"] <= np.log1p(part["k"]) + 3 * part["error"]).all()
    known = frame.dropna(subset=["information"])
    assert (known["value"] <= known["information"] + 4 * known["error"]).all()


def test_eqco_estimates_exceed_the_truth_only_where_alpha_exceeds_k() -> None:
    frame = committed("mi_bound").query("loss == 'EqCo'").dropna(subset=["information"])
    over = frame["value"] > frame["information"] + 4 * frame["error"]
    assert over.sum() >= 10
    assert (frame[over]["alpha"] > frame[over]["k"]).all()
    proven = frame["certified"]
    assert (proven <= frame["information"] + 4 * frame["error"]).all()


def test_gradients_and_their_noise_stay_within_their_bounds() -> None:
    frame = committed("gradient_norm")
    eqco = frame[(frame["loss"] == "EqCo") & (frame["k"] >= 16)]
    assert (eqco["value"] <= eqco["bound"]).all()
    noise = frame[(frame["quantity"] == "noise") & (frame["loss"] == "EqCo")]
    for _, part in noise.groupby("where"):
        assert part.sort_values("k")["value"].is_monotonic_decreasing


def test_measured_gradients_are_those_of_the_loss() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key = (
        F.normalize(torch.randn(9, 5, generator=draw, dtype=torch.float64), dim=1) for _ in "qk"
    )
    columns = encoders.columns_of(9, 3)
    leaf = query.clone().requires_grad_(True)
    similarity = leaf @ key.T
    loss = eqco_info_nce(
        similarity.diagonal(), similarity.gather(1, columns), temperature=0.2, alpha=64.0
    )
    (9 * loss).backward()
    found = encoders.gradients(query, key, columns, 0.2, 64.0)
    torch.testing.assert_close(found, leaf.grad)


def test_columns_are_other_images_without_repetition() -> None:
    columns = encoders.columns_of(20, 19)
    assert all(sorted([*row.tolist(), i]) == list(range(20)) for i, row in enumerate(columns))


def test_samples_of_gaussians_agree_with_the_committed_ones() -> None:
    fresh = gaussians.compute(samples=400, counts=(1, 16, 64))
    kept = pd.read_csv(HERE / "gaussians.csv")
    both = fresh.merge(
        kept.round({"information": 5}), on=["loss", "alpha", "k"], suffixes=("", "_kept")
    )
    both = both[(both["information"] - both["information_kept"]).abs() < 1e-3]
    assert len(both) >= 30
    reach = 5 * (both["error"] ** 2 + both["error_kept"] ** 2) ** 0.5
    assert ((both["value"] - both["value_kept"]).abs() <= reach).all()


def test_a_figure_is_built_from_the_command_line(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "figures.learning_rate", "--folder", str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv", ".pdf", ".png"}


def test_the_gallery_shows_every_figure() -> None:
    gallery = (HERE / "README.md").read_text(encoding="utf-8")
    for name in FIGURES:
        assert f"({name}.png)" in gallery
        assert (HERE / f"{name}.png").exists()
