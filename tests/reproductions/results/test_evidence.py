"""What records say: values of rows, verdicts on claims, tidy frames of runs; their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from eqco.artifacts.record import RecordError
from eqco.recipe import Recipe
from reproductions.experiments import grid
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.results import evidence
from reproductions.results.evidence import Evidence, committed
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import OPEN
from reproductions.tables import TABLES
from reproductions.tables.base import Row
from reproductions.tables.claims import PRIMARY
from tests.reproductions.conftest import line
from tests.synthetic import make_record


@pytest.fixture
def small() -> pd.DataFrame:
    """SiMo with InfoNCE at three K: three seeds at K = 16, two at K = 4 and at full K."""
    accuracies = {255: [85.0, 86.0], 16: [82.0, 84.0, 99.0], 4: [75.0, 74.0]}
    return evidence.frame(
        [
            make_record(Recipe(num_negatives=k), seed, value)
            for k, values in accuracies.items()
            for seed, value in enumerate(values)
        ]
    )


def test_frame_marks_untrained_runs() -> None:
    found = evidence.frame([make_record(Recipe(epochs=0), 0, 60.0), make_record(Recipe(), 0, 85.0)])
    assert list(found["loss_title"]) == ["untrained", "InfoNCE"]
    assert list(found["method_title"]) == ["SiMo", "SiMo"]


def test_frame_has_recipe_metrics_diagnostics_and_seconds_of_each_run() -> None:
    recipe = Recipe(num_negatives=16)
    (line,) = evidence.frame([make_record(recipe, 3, 85.0)]).to_dict("records")
    assert (line["digest"], line["seed"], line["num_negatives"]) == (recipe.digest(), 3, 16)
    assert (line["linear"], line["cv2"], line["seconds"]) == (85.0, 7.0, 45.0)
    assert line["note"] == "drawn by another library"


def test_by_seed_selects_runs_by_their_fields(small: pd.DataFrame) -> None:
    assert evidence.by_seed(small, num_negatives=16) == {0: 82.0, 1: 84.0, 2: 99.0}
    assert evidence.by_seed(small, "knn", num_negatives=4, seed=1) == {1: 70.0}
    assert evidence.by_seed(small, num_negatives=64) == {}


def test_values_of_a_row_are_of_its_own_runs() -> None:
    few = Recipe(num_negatives=4)
    made = [make_record(few, 1, 74.0), make_record(few, 0, 75.0), make_record(Recipe(), 0, 85.0)]
    found = Evidence("glyphs", (*made, replace(made[0], seed=2, metrics={"knn": 71.0})))
    assert found.values(Row(few)) == {0: 75.0, 1: 74.0}
    assert found.values(Row(few), "knn") == {0: 70.0, 1: 70.0, 2: 71.0}
    assert found.values(Row(replace(few, learning_rate=0.1))) == {}
    assert list(found.runs([few])["seed"]) == [1, 0, 2]


def test_gaps_to_full_are_paired_by_seed(small: pd.DataFrame) -> None:
    gaps = evidence.gaps_to_full(small, 255).set_index("k")
    assert dict(gaps["points"]) == {4: 11.0, 16: 2.5}  # full K has no seed 2
    assert dict(gaps["n"]) == {4: 2, 16: 2}
    sd = 2**0.5  # of 10 and 12
    assert gaps["half"][4] == pytest.approx(12.7062 * sd / 2**0.5, rel=1e-4)  # t(1) at 97.5 %


def test_half_interval_is_of_the_95_percent_t_interval() -> None:
    assert evidence.half_interval(pd.Series([5.0])) == 0.0
    assert evidence.half_interval(pd.Series([5.0, 5.0])) == 0.0
    assert evidence.half_interval(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(
        4.30265 / 3**0.5, rel=1e-4
    )


def test_a_scale_without_records_has_an_empty_frame() -> None:
    empty = committed("cifar10")
    assert empty.frame.empty
    assert empty.runs([Recipe()]).empty
    assert empty.table_runs(1).empty
    assert "cifar10" not in evidence.judged_scales()


@pytest.mark.parametrize(("seeds", "shown"), [(7, False), (8, True)])
def test_a_scale_is_shown_from_the_planned_number_of_seeds_on(seeds: int, shown: bool) -> None:
    base = replace(SCALES["cifar10-cpu"].base, data="folder:mine-01234567")
    baseline = tuple(make_record(base, seed, 50) for seed in range(8))
    assert not Evidence("cifar10-cpu", baseline).has_planned_row  # planned experiments have it too
    few = replace(base, num_negatives=16)
    records = tuple(make_record(few, seed, 50) for seed in range(seeds))
    assert Evidence("cifar10-cpu", baseline + records).has_planned_row is shown


def test_without_runs_of_all_negatives_there_is_no_gap(small: pd.DataFrame) -> None:
    assert evidence.gaps_to_full(small[small["num_negatives"] != 255], 255).empty
    assert evidence.gaps_to_full(small[:0], 255).empty


def test_points_lost_are_against_the_same_seed_of_the_full_row(small: pd.DataFrame) -> None:
    small = small.assign(row="k" + small["num_negatives"].astype(str))
    lost = evidence.lost_against(small, "row", "k255")
    assert list(lost[lost["row"] == "k4"]["points"]) == [10.0, 12.0]
    assert list(lost[lost["row"] == "k16"]["points"].isna()) == [False, False, True]
    few = small[small["row"] == "k4"]
    assert evidence.lost_against(few, "row", "k255")["points"].isna().all()


def test_a_user_folder_has_the_data_of_its_records() -> None:
    own = replace(SCALES["cifar10-quick"].base, data="folder:mine-01234567")
    assert Evidence("cifar10-quick", (make_record(own, 0, 50),)).base == own
    assert Evidence("cifar10-quick", ()).base == SCALES["cifar10-quick"].base
    part, whole = (replace(SCALES["imagenet"].base, data=name) for name in ("part:1", "imagenet"))
    assert Evidence("imagenet", (make_record(part, 0, 50),)).base == part
    with pytest.raises(ValueError, match="imagenet has records of imagenet and part:1: name"):
        assert Evidence("imagenet", (make_record(part, 0, 50), make_record(whole, 0, 50))).base


@pytest.mark.parametrize("scale", evidence.judged_scales())
@pytest.mark.parametrize("number", TABLES)
def test_runs_of_a_table_are_of_its_rows(number: int, scale: str) -> None:
    rows = committed(scale).tables[number].rows
    digests = {row.name: row.recipe.digest() for row in rows}
    found = committed(scale).table_runs(number)
    assert set(found["row"]) <= digests.keys()
    for name, part in found.groupby("row"):
        assert set(part["digest"]) == {digests[str(name)]}
    assert set(found["scale"]) <= {scale}


def test_runs_without_a_metric_are_left_out(small: pd.DataFrame) -> None:
    small.loc[small["seed"] == 1, "knn"] = float("nan")
    assert evidence.by_seed(small, "knn", num_negatives=4) == {0: 70.0}


@pytest.mark.parametrize("scale", evidence.judged_scales())
@pytest.mark.parametrize("number", TABLES)
def test_verdicts_are_of_the_claims_of_a_table_at_its_planned_seeds(
    number: int, scale: str
) -> None:
    claims = committed(scale).tables[number].claims
    found = committed(scale).verdicts[number]
    assert list(found) == [claim.name for claim in claims]
    for claim in claims:
        runs = all(map(committed(scale).values, claim.rows))
        assert (PRIMARY in found[claim.name]) == runs
        for verdict in found[claim.name].values():
            assert verdict.status == OPEN or verdict.n >= verdict.planned


def test_evidence_is_silent_on_the_images_of_a_user() -> None:
    base = replace(SCALES["cifar10-quick"].base, data="folder:mine-01234567")
    silent = Evidence("cifar10-quick", committed("cifar10-quick").records, other=base)
    assert set(map(len, silent.verdicts[1].values())) == {0}
    assert silent.predictions(1) == {}
    sentence = evidence.other_images("cifar10-quick", base)
    assert "images are folder:mine-01234567, the committed records are of folder:" in sentence
    same = (committed("cifar10-quick").base, SCALES["cifar10-quick"].base)
    assert [evidence.other_images("cifar10-quick", each) for each in same] == ["", ""]
    assert evidence.other_images("cifar10", SCALES["cifar10"].base) == ""


# Files of records: the committed ones, and those of a user's folder.


OF_SCALES = sorted(path.stem for path in RECORDS.glob("*.jsonl"))


@pytest.mark.parametrize("scale", OF_SCALES)
def test_committed_records_are_canonical_lines_by_run_and_of_todays_recipes(scale: str) -> None:
    assert scale in SCALES
    found = committed(scale).records
    assert found
    assert [record.run_id for record in found] == [r.recipe.run_id(r.seed) for r in found]
    records = Records(RECORDS / scale)
    lines = records.file.read_text(encoding="utf-8").splitlines()
    assert lines == [line for _, line in sorted(records.written().items())]


def test_nothing_but_collected_records_is_committed() -> None:
    files = {path.name for path in RECORDS.iterdir()}
    assert files == {"README.md", *(f"{scale}.jsonl" for scale in OF_SCALES)}


def test_lines_and_files_are_read_together(tmp_path: Path) -> None:
    made = [make_record(Recipe(), seed, 80.0) for seed in range(3)]
    (tmp_path / "glyphs.jsonl").write_text(line(made[2]) + line(made[0]), encoding="utf-8")
    file = made[1].write(tmp_path / "glyphs")
    for name in ("glyphs", "glyphs.jsonl"):
        assert Records(tmp_path / name).all() == made
    records = Records(tmp_path / "glyphs")
    assert [records.find(Recipe(), seed) for seed in range(4)] == [*made, None]
    assert [records.has(Recipe(), seed) for seed in range(4)] == [True, True, True, False]
    file.write_text("{", encoding="utf-8")
    with pytest.raises(RecordError, match=file.name):
        records.all()
    skipped: list[str] = []
    assert records.all(skipped) == [made[0], made[2]]
    assert file.name in skipped[0]


@pytest.mark.parametrize("scale", OF_SCALES)
def test_committed_records_are_runs_of_the_sweep_or_of_a_planned_experiment(scale: str) -> None:
    found = {(record.recipe, record.seed) for record in committed(scale).records}
    seeds, base = range(1 + max(seed for _, seed in found)), committed(scale).base
    jobs = list(grid.jobs(SCALES[scale], base, seeds))
    for made in EXPERIMENTS.values():
        jobs += made.jobs(base) if made.scale == scale else []
    assert found <= {(job.recipe, job.seed) for job in jobs}
