"""The diagnosis agrees with measured loss gaps, and its command reads every kind of checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eqco.__main__ import main
from eqco.analysis.diagnosis import Diagnosis, as_json, capped, describe, diagnose, embed, report
from eqco.analysis.theory import uniform_squared_cv
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.data.image_folder import identity
from eqco.engine.pretrain import pretrain
from eqco.losses.functional import eqco_info_nce
from eqco.losses.sampling import off_diagonal
from eqco.methods import build
from eqco.recipe import Recipe
from reproductions.scales import SCALES
from tests.conftest import Command
from tests.faults.damage import edit
from tests.trees import files_recipe, write_tree


def similarities(sigma: float, count: int = 1000) -> tuple[Tensor, Tensor]:
    """Log-normal weights: CV^2 = exp(sigma^2) - 1 at temperature 1; positives at 2."""
    draw = torch.Generator().manual_seed(0)
    negatives = sigma * torch.randn(count, count, generator=draw, dtype=torch.float64)
    return torch.full((count,), 2.0, dtype=torch.float64), negatives


@pytest.mark.parametrize("sigma", [0.2, 0.8], ids="sigma{}".format)
def test_leading_order_predicts_the_measured_gap_where_k_is_far_above_cv2(sigma: float) -> None:
    diagnosis = diagnose(*similarities(sigma), temperature=1.0, alpha=256.0, counts=(64, 255))
    for gap in diagnosis.gaps:
        assert gap.measured.value == pytest.approx(gap.sharp, rel=0.15, abs=4 * gap.measured.error)
        assert gap.sharp <= gap.coarse


def few_hard_queries(count: int) -> tuple[Tensor, Tensor]:
    """One query in ten with a CV^2 far above the .28 of the others."""
    positive, negatives = similarities(0.5, count)
    negatives[::10] *= 6
    return 4 + positive, negatives


def words(diagnosis: Diagnosis) -> str:
    """The report at alpha 256 on one line."""
    return " ".join(report(diagnosis, alpha=256.0).split())


def test_independent_negatives_have_the_tolerated_gap_at_the_k_advised(
    generator: torch.Generator,
) -> None:
    positive, negatives = few_hard_queries(1000)
    diagnosis = diagnose(positive, negatives, temperature=1.0, alpha=256.0)
    loss = partial(eqco_info_nce, positive, temperature=1.0, alpha=256.0)
    few = [
        loss(
            negatives.gather(1, torch.randint(1000, (1000, diagnosis.enough), generator=generator))
        )
        for _ in range(20)
    ]
    gap = loss(negatives) - torch.stack(few).mean()
    assert gap.item() == pytest.approx(0.05, rel=0.15)
    assert diagnosis.leading > 1.5 * diagnosis.enough
    assert f"K = {diagnosis.enough} on, measured (leading order: K = {diagnosis.leading})" in words(
        diagnosis
    )


def test_a_k_that_cannot_be_measured_follows_the_leading_order() -> None:
    diagnosis = diagnose(
        *few_hard_queries(100), temperature=1.0, alpha=256.0, counts=(4, 16), tolerance=1e-3
    )
    assert diagnosis.enough == diagnosis.leading > 100
    text = (
        f"K = {diagnosis.leading} on, by the leading order (no more than K = 100 can be measured)"
    )
    assert text in words(diagnosis)
    assert as_json(diagnosis, alpha=256.0)["enough_by"] == "leading order"


def test_one_query_of_many_moves_the_mean_of_cv2_and_not_its_median() -> None:
    positive, negatives = similarities(0.2)
    before = diagnose(positive, negatives, temperature=1.0, alpha=256.0)
    negatives[0, 0] = 20.0
    after = diagnose(positive, negatives, temperature=1.0, alpha=256.0)
    assert after.squared_cv.value > before.squared_cv.value + 0.9
    assert after.median_cv2 == pytest.approx(before.median_cv2, rel=1e-2)


def test_the_report_fits_80_columns_and_names_k_16_and_the_floor() -> None:
    diagnosis = diagnose(*similarities(0.8), temperature=1.0, alpha=256.0, dimension=3)
    text = report(diagnosis, alpha=256.0)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "At K = 16" in text
    assert diagnosis.uniform_cv2 is None
    assert "uniform" not in text
    at_128 = replace(diagnosis, uniform_cv2=uniform_squared_cv(128, temperature=0.07))
    assert "uniform on the sphere   3.925: K = 40 at 1 - pi_0 = 1" in report(at_128, alpha=256.0)


def test_k_is_cut_to_what_is_there() -> None:
    assert capped((4, 255, 16, 64), 20) == (4, 16, 19)
    assert capped((4,), 20) == (4,)
    with pytest.raises(ValueError, match="2 images are too few: a diagnosis needs 3"):
        capped((4,), 1)


def cosines(query: Tensor, key: Tensor) -> Diagnosis:
    """The diagnosis of unit embeddings, alpha 256, t 0.2."""
    query, key = (torch.nn.functional.normalize(each, dim=1) for each in (query, key))
    similarity = query @ key.T
    return diagnose(
        similarity.diagonal(),
        off_diagonal(similarity),
        temperature=0.2,
        alpha=256.0,
        counts=(4, 16),
    )


def test_a_collapsed_and_a_hardly_trained_encoder_are_not_praised() -> None:
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 64, generator=draw, dtype=torch.float64)
    other = torch.randn(200, 64, generator=draw, dtype=torch.float64)
    cases = {
        "collapsed": (1e-3 * noise + 1.0, 1e-3 * other + 1.0),
        "hardly trained": (noise, other),  # the positive is like any negative
        "trained": (noise, noise + 0.3 * other),
    }
    for state, (query, key) in cases.items():
        diagnosis = cosines(query, key)
        text = report(diagnosis, alpha=256.0)
        assert diagnosis.state == state
        assert max(map(len, text.splitlines())) <= 80
        if state != "trained":
            assert f"The encoder is {state}" in text
            assert "At K =" not in text
            assert as_json(diagnosis, alpha=256.0)["enough"] is None


def trained(recipe: Recipe, machine: Machine) -> Path:
    """The checkpoint of a pretrained encoder."""
    pretrain(Run(recipe, 0, machine), open_images(recipe, 0, machine))
    return Run(recipe, 0, machine).checkpoint


def test_the_command_reads_a_checkpoint(machine: Machine, run_eqco: Command) -> None:
    path = trained(replace(SCALES["smoke"].base, epochs=1), machine)
    assert "CV^2 of the negatives" in run_eqco("diagnose", path, "--images", "400")
    edit(path, lambda state: state.pop("recipe"))
    error = run_eqco("diagnose", path, status=2)
    assert "does not hold its recipe: give --record" in error
    assert "none.pt cannot be read" in run_eqco("diagnose", path.with_name("none.pt"), status=2)


def folder_recipe(root: Path) -> Recipe:
    """One epoch on the images of a tree held in memory."""
    return replace(
        SCALES["cifar10-quick"].base,
        data=f"folder:{identity(root)}",
        batch_size=8,
        num_negatives=7,
        epochs=1,
    )


@pytest.mark.parametrize("recipe_of", [files_recipe, folder_recipe])
def test_the_command_reads_a_checkpoint_of_images_of_ones_own(
    recipe_of: Callable[[Path], Recipe],
    sixteen_images: Path,
    machine: Machine,
    tmp_path: Path,
    run_eqco: Command,
) -> None:
    recipe = recipe_of(sixteen_images)
    path = trained(recipe, replace(machine, data_dir=sixteen_images))
    words, data = ["diagnose", path, "--negatives", 2, 8], ["--data", sixteen_images]
    report_of_images = run_eqco(*words, *data)
    assert f"16 images of {recipe.data}" in report_of_images
    assert "CV^2 of the negatives" in report_of_images
    assert "nan" not in report_of_images
    error = run_eqco(*words, status=2)
    assert f"trained on {recipe.data}: give --data with its folder" in error
    other = write_tree(tmp_path / "others", each=1)
    assert f"the recipe wants {recipe.data}" in run_eqco(*words, "--data", other, status=2)
    report_of_few = run_eqco("diagnose", path, *data, "--negatives", 4, 16)
    assert "K of 16 is cut to 14: there are 15 negatives." in report_of_few


def test_embeddings_have_length_one_and_come_from_both_encoders(
    sixteen_images: Path, machine: Machine
) -> None:
    recipe = files_recipe(sixteen_images, "moco")
    images = open_images(recipe, 0, replace(machine, data_dir=sixteen_images))
    query, key = embed(build(recipe, 0, "cpu"), images, 6)
    assert query.shape == key.shape == (6, recipe.embedding_dim)
    for each in (query, key):
        torch.testing.assert_close(each.norm(dim=1), torch.ones(6))
    described = describe(build(recipe, 0, "cpu"), recipe, images)
    query, key = embed(build(recipe, 0, "cpu"), images)  # of all M images
    weights = (query @ key.T / recipe.temperature).double().exp()  # (M, M)
    rest = ~torch.eye(len(query), dtype=torch.bool)
    positive, others = weights.diagonal(), weights[rest].view(len(query), -1)
    total = (recipe.alpha or recipe.num_negatives) * others.mean(dim=1)
    rho = total / (positive + total)
    cv2 = others.var(dim=1) / others.mean(dim=1) ** 2
    expected = {"cv2": cv2, "one_minus_pi0": rho, "rho2_cv2": rho**2 * cv2}
    means = {name: each.mean().item() for name, each in expected.items()}
    assert described == pytest.approx(means, rel=1e-4)


# The page of public encoders has what `eqco diagnose` says of their embeddings.


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
