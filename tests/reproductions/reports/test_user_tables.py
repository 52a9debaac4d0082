"""Tables of a user's records beside the committed numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from reproductions.__main__ import main
from reproductions.scales import SCALES
from reproductions.tables import table


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Two seeds of the first row of table 1 at scale smoke."""
    recipe = table(1, "smoke").rows[0].recipe
    for seed, value in enumerate((50.0, 52.0)):
        metrics = {"linear": value, "knn": value - 10}
        Record.of(recipe, seed, Machine(), now(), metrics=metrics).write(tmp_path / "smoke")
    return tmp_path


@pytest.mark.parametrize("inner", ["", "smoke"])
def test_a_row_has_mean_spread_and_seeds(
    inner: str, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["table", "--scale", "smoke", "--records", str(records / inner), "--format", "json"]
    assert main([*words, "--tables", "1"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    first, *rest = found["rows"]
    assert first["linear probe"] == "51.0 ± 1.4 (2)"
    assert first["kNN"] == "41.0 ± 1.4 (2)"
    assert all(row["linear probe"] == "–" for row in rest)
    assert main(words) == 0  # tables without a number of the user's are left out
    tables = json.loads(capsys.readouterr().out)
    recipe = table(1, "smoke").rows[0].recipe
    assert 1 <= len(tables) < 10
    assert recipe.num_negatives == int(first["K"])


def test_without_a_folder_the_committed_records_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["table", "--tables", "1", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert all(row["linear probe"] == row["committed"] != "–" for row in found["rows"])
    assert main(["table", "--scale", "smoke"]) == 2
    assert "holds no record" in capsys.readouterr().err


def test_what_cannot_be_shown_is_named(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*words: str) -> str:
        assert main(["table", *words]) == 2
        return capsys.readouterr().err

    assert "is no folder" in error("--records", str(tmp_path / "none"))
    assert "holds no record: unknown scale 'glyphs': did you mean smoke?" in error(
        "--records", str(records)
    )
    Record.of(SCALES["glyphs"].base, 0, Machine(), now(), metrics={}).write(tmp_path / "glyphs")
    (folder := tmp_path / "other" / "glyphs").mkdir(parents=True)
    for file in (records / "smoke").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert "none of the 2 records" in error("--records", str(tmp_path / "other"))
