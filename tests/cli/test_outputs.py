"""No command writes over a file that it reads, whatever its name is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eqco.__main__ import main as eqco
from eqco.recipe import Recipe
from reproductions.__main__ import main
from tests.faults.damage import train
from tests.synthetic import make_record
from tests.trees import write_tree


def places(folder: Path) -> list[tuple[Callable[[list[str]], int], list[str], Path]]:
    """Commands whose output is what they read: words, and the file."""
    checkpoint, record = train(folder, until=1), make_record(Recipe(), 0, 80.0).write(folder / "r")
    picture = write_tree(folder / "tree") / "train" / "n02" / "3.JPEG"
    (folder / "link.pt").symlink_to(checkpoint)
    os.link(checkpoint, folder / "hard.pt")
    around = f"{checkpoint.parent}/../{checkpoint.parent.name}/{checkpoint.name}"
    export, redo = ["export", str(checkpoint)], ["redo", str(record), f"--out={record.parent}"]
    exports = (checkpoint, folder / "link.pt", folder / "hard.pt", around)
    table, report = ("table", "--scale=glyphs", "--format=json"), ("report",)
    rate = ["throughput", f"--data=part:{folder / 'tree'}", f"--out={picture}"]
    own = [*((eqco, [*export, str(out)], checkpoint) for out in exports), (eqco, redo, record)]
    own += [(main, [*w, f"--records={record.parent}", f"--out={record}"], record)
            for w in (table, report)]  # fmt: skip
    drawn = ["embed", str(checkpoint), f"--data={folder / 'tree'}", f"--picture={picture}"]
    return [*own, (main, rate, picture), (eqco, drawn, picture)]


def test_no_command_overwrites_what_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, words, file in places(tmp_path):
        before = file.read_bytes()
        assert command(words) == 2, words
        assert "would be lost: write to another file" in capsys.readouterr().err
        assert file.read_bytes() == before
