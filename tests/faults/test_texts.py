"""Kind 8: text of files acts on no terminal and no page, and no record is believed unseen."""

from __future__ import annotations

import json
import math
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqco.__main__ import main as eqco
from eqco.artifacts.record import Record, RecordError, checksum
from eqco.artifacts.run_files import Run
from eqco.cli.errors import run_cli, show_fault
from eqco.config import Machine
from eqco.recipe import Recipe
from eqco.runtime.signals import Stopped
from eqco.runtime.text import plain
from eqco.runtime.validation import TrainingError, shown
from reproductions.__main__ import main
from reproductions.experiments.plan import price_from_measurement
from reproductions.reports import terminal
from reproductions.results import published
from reproductions.results.evidence import Evidence, committed
from reproductions.tables.base import Row
from reproductions.tables.formats import FORMATS, Grid, rendered
from tests.faults.damage import train
from tests.synthetic import make_record

HOSTILE = (
    "\x1b[2J\x1b]0;own\x07[/bold][red]:smile:\n| a | \\ \r\t\u202eabc\x9b1m<script>x</script>$"
)
SHOWN = plain(HOSTILE)
CLEAN = settings(deadline=None, database=None)


def is_calm(text: str) -> bool:
    """Whether a text holds no character that acts on a terminal, but line ends."""
    return all(each == "\n" or plain(each) == each for each in text)


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    """The JSON of a committed record."""
    return committed("glyphs").records[0].body()


def seal(folder: Path, body: dict[str, Any]) -> Path:
    """Write a record's JSON with a right checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{body['run_id']}.json"
    path.write_text(json.dumps({**body, "checksum": checksum(body)}), encoding="utf-8")
    return path


def hostile(body: dict[str, Any]) -> dict[str, Any]:
    """The same with every free text hostile."""
    words = {name: HOSTILE for name in ("device", "device_type", "python", "system", "commit")}
    machine = {**body["machine"], **words, "versions": {HOSTILE: HOSTILE}}
    return {**body, "machine": machine, "note": HOSTILE, "data_fingerprint": HOSTILE}


@CLEAN
@given(st.text(st.characters(), max_size=30))
def test_a_plain_text_is_one_printable_line_and_stays_so(text: str) -> None:
    line = plain(text)
    assert not set(line) & set("\x1b\x9b\n\r\t\v\f\x85\u2028\u2029\u202e\u2066\x07\x08")
    assert plain(line) == line
    line.encode()  # no half of a surrogate pair


def test_commands_show_hostile_records_calmly(
    body: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = seal(tmp_path / "a", hostile(body))
    seal(tmp_path / "b", body)
    folder = tmp_path / "\x1b[2J"
    seal(folder, hostile(body))
    statuses = [
        *(eqco(words) for words in (["show", str(path)], ["ls", str(tmp_path)])),
        main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]),
    ]
    text = capsys.readouterr().out
    assert statuses == [0, 0, 0]
    assert is_calm(text)
    assert f"note: {SHOWN}" in text
    assert "[2J/" in text  # the folder


def test_errors_that_quote_a_file_are_calm(
    body: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = seal(tmp_path, body)
    other = path.rename(tmp_path / "\x1b[2J.json")
    seal(tmp_path, {**body, "metrics": {HOSTILE: 1.0}})
    weights, name = tmp_path / "w.pt", f"{tmp_path}/\x1b]0;X\x07.pt"
    torch.save({"\x1b]0;X\x07\x1b[2J": torch.zeros(3)}, weights)
    torch.save({"query": torch.eye(8), "key": torch.eye(8)}, name)
    checkpoint = shutil.copy(train(tmp_path, until=1), f"{tmp_path}/\x1b[2J.pt")
    order = Run(Recipe(), 0, Machine(checkpoints=tmp_path), tmp_path).write_job()
    job = json.loads(order.read_text(encoding="utf-8"))
    order.write_text(json.dumps({**job, HOSTILE: 1}), encoding="utf-8")
    for words in (
        ["show", str(other)], ["show", str(path)], ["run", str(order)], ["probe", str(weights)],
        ["probe", name], ["diagnose", str(weights)], ["export", name, name],
        ["train", "--data", name], ["probe", str(weights), "--\x1b[2J"],
    ):  # fmt: skip
        with suppress(SystemExit):
            assert eqco(words) == 2
    assert eqco(["diagnose", name]) == eqco(["export", checkpoint, f"{checkpoint}.pt"]) == 0
    printed = capsys.readouterr()
    assert is_calm(printed.out + printed.err)
    assert "[2J" in printed.out


def closing(note: str, value: str, colour: bool) -> str:
    """The closing text of a cell with a note and a published number."""
    row = Row(Recipe())
    own = Evidence("imagenet", (replace(make_record(row.recipe, 0, 80.0), note=note),))
    cells = terminal.Cells(1, [row], own, Evidence("imagenet", ()), {}, {}, {row.name: "passed"})
    line = published.Published(1, "", value, "", None, "top1", "68.0", 1, "", "")
    numbers = {"published_text": lambda *_: value, "numbers_without_row": lambda _: [line]}
    with mock.patch.multiple(terminal, **numbers):
        return terminal.closing(cells, [], width=100, colour=colour)


@pytest.mark.parametrize("colour", [False, True])
def test_the_closing_table_shows_markup_as_it_is_written(colour: bool) -> None:
    word = "[/bold] [red]x :smile:"
    text = closing(word, word, colour)
    assert text.count(word) == 3  # in a cell, of a number without a row, in the note


@settings(CLEAN, max_examples=40)
@given(st.text("[]/:abold#^=\\ ", max_size=12))
def test_no_text_in_square_brackets_breaks_the_closing_table(word: str) -> None:
    assert f"note: {word}".rstrip() in closing(word, word, True) or not word.strip()


class Cells(HTMLParser):
    """Tags, and the text of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def cells_of_markdown(text: str) -> list[str]:
    """Words of the one line of a Markdown table, unescaped."""
    line = next(each for each in text.splitlines()[::-1] if each.startswith("| "))
    words, escaped = [""], False
    for each in line[1:-1]:
        if escaped or each not in "\\|":
            words[-1], escaped = words[-1] + each, False
        elif each == "\\":
            escaped = True
        else:
            words.append("")
    return [word[1:-1] for word in words]


@CLEAN
@given(st.tuples(st.text(max_size=12), st.text("|\\`*_[]<>&$%#~^{}\n\x1b a", max_size=12)))
def test_words_stay_in_their_cells_in_every_format(words: tuple[str, str]) -> None:
    grid = Grid(pd.DataFrame([words], columns=["a", "b"]), title="Table")
    expected = [plain(word) for word in words]
    for form in FORMATS:
        assert is_calm(rendered([grid], form))
    assert cells_of_markdown(rendered([grid], "md")) == expected
    page = Cells()
    page.feed(rendered([grid], "html"))
    assert page.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert [cell.strip() for cell in page.cells[2:]] == [word.strip() for word in expected]
    tex = rendered([grid], "latex").splitlines()
    assert len(tex) == 14
    bare = tex[10].replace(r"\textbackslash{}", "").replace(r"\&", "")
    assert bare.count("&") == 1


def test_published_numbers_are_checked_line_by_line(tmp_path: Path) -> None:
    head = "table,row,of,method,num_negatives,metric,value,confidence,trials,source,note\n"
    file = tmp_path / "published.csv"
    good = f'1,,"{HOSTILE}",simo,255,top1,68.0,stated,1,s,n\n'
    file.write_text(head + good, encoding="utf-8", newline="")
    assert published.read(file)[0].of == SHOWN
    bad = ("1,,,simo,,top1,=1+1,stated,1,s,n", "1,,,simo,,top1,nan,stated,1,s,n",
           "1,,,simo,,top1,101,stated,1,s,n", "x,,,simo,,top1,68,stated,1,s,n",
           "1,,,simo,0,top1,68,stated,1,s,n", "1,,,simo,,top2,68,stated,1,s,n", "1,r")  # fmt: skip
    for line in bad:
        file.write_text(head + line + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"published\.csv, line 2 is not a published number"):
            published.read(file)
    file.write_text("table,row\n1,r\n", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the column 'of'"):
        published.read(file)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def read_or_error(read: Callable[[Path], Any], path: Path) -> Any:
    """What a file holds, or the sentence that refuses it; another exception is a failure."""
    try:
        return read(path)
    except ValueError as error:  # RecordError is one
        return str(error)


@CLEAN
@given(st.data())
def test_a_record_with_a_drawn_value_is_whole_or_refused(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(set(body) - {"run_id", "checksum"})))
    value: Any = data.draw(JSON)
    if isinstance(body[name], dict) and data.draw(st.booleans()):
        value = {**body[name], data.draw(st.sampled_from(sorted(body[name]))): value}
    folder = tmp_path_factory.getbasetemp() / "drawn"
    try:
        path = seal(folder, {**body, name: value})
    except ValueError:  # not finite: no JSON
        return
    found = read_or_error(Record.read, path)
    if not isinstance(found, Record):
        assert is_calm(found), shown(value)
        return
    assert all(0 <= each <= 100 for each in found.metrics.values())
    assert all(0 <= each < math.inf for each in found.seconds.values())
    assert len(found.curve.get("step", [])) == len(found.curve.get("loss", []))


@CLEAN
@given(st.data())
def test_a_job_file_with_a_drawn_value_is_whole_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "jobs"
    path = Run(Recipe(), 0, Machine(checkpoints=folder), folder).write_job()
    job = json.loads(path.read_text(encoding="utf-8"))
    table = data.draw(st.sampled_from([job, job["recipe"], job["machine"]]))
    names = st.sampled_from(sorted(table)) | st.text(max_size=5)
    table[data.draw(names)] = data.draw(JSON)
    path.write_text(json.dumps(job), encoding="utf-8")
    found = read_or_error(Run.read_job, path)
    assert isinstance(found, Run) or (is_calm(found) and str(path) in found)


def test_a_throughput_file_says_where_a_price_comes_from_calmly(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    rates = {"training": 100.0, "probing": 200.0}
    found = {"images_per_second": rates, "processes": 1, "date": HOSTILE, "device": HOSTILE}
    file.write_text(json.dumps(found), encoding="utf-8")
    assert is_calm(price_from_measurement(file).origin)
    for wrong in (0, -1, "2", True, 1.5):
        file.write_text(json.dumps({**found, "processes": wrong}), encoding="utf-8")
        with pytest.raises(ValueError, match="not a throughput measurement"):
            price_from_measurement(file)


ERRORS = [ValueError, TrainingError, RecordError, OSError, UserWarning, KeyboardInterrupt]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_whatever_a_command_says_is_calm(
    kind: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        print(HOSTILE, file=sys.stdout)
        print(warnings.formatwarning(HOSTILE, UserWarning, "x", 1), file=sys.stderr)
        raise Stopped(2, HOSTILE) if kind is KeyboardInterrupt else kind(HOSTILE)

    assert run_cli(work) in (2, 130)
    show_fault(kind, kind(HOSTILE), None)
    printed = capsys.readouterr()
    assert is_calm(printed.out + printed.err)
    assert printed.err.count("<script>") == 3
