"""Files of records: the committed ones, and those of a user's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqco.artifacts.record import RecordError
from eqco.recipe import Recipe
from reproductions.experiments import grid
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.results.evidence import committed
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES
from tests.reproductions.conftest import line
from tests.synthetic import make_record

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
