"""Options of the tables, what a cell needs to run, and the closing table."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from eqco import record as records
from eqco.checkpoint import Busy
from eqco.recipe import SCALES, Recipe
from eqco.report import NOT_VERIFIED, Cell, closing, published, published_of
from eqco.run import run, untrained
from eqco.schedule import Job
from reproductions.session import TABLES, Session, launched, session_of

HERE = Path(__file__).parent
Train = Callable[[Recipe, int], records.Record | None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this suite."""
    group = parser.getgroup("eqco", "EqCo reproductions")
    add = group.addoption
    add("--scale", default="glyphs", help=f"one of {', '.join(SCALES)} (default: glyphs)")
    add("--run", default="missing", help="missing (default), always or never: when to train")
    add("--seeds", default="1", help="how many seeds, 0 .. N-1 (default: 1)")
    add("--device", default="auto", help="torch device (default: cuda where there is one)")
    add(
        "--data",
        default="",
        help="folder:PATH, an image tree train/ and val/ or test/; part:PATH at scale imagenet, "
        "where the tree is not the whole of it",
    )
    add("--data-dir", default="data", help="where downloads go (default: data)")
    add("--records", default="runs/records", help="folder of records (default: runs/records)")
    add("--checkpoints", default="runs/checkpoints", help="folder of checkpoints")
    add("--launcher", default="here", help="here (default), torchrun or slurm")
    add("--processes", default="1", help="processes of a run, one a GPU; with torchrun and slurm")
    add(
        "--launcher-options",
        default="",
        help="more words for torchrun, or NAME=VALUE for submitit, such as slurm_partition=gpu",
    )
    add("--workers", default="auto", help="processes that decode images (default: all cores)")
    add("--compile", action="store_true", help="run encoders through torch.compile")
    add("--threads", default=str(min(4, os.cpu_count() or 1)), help="CPU threads of torch")


SESSION = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    """Read the options once; a wrong one ends the session with one sentence."""
    config.stash[SESSION] = session_of(config)


def case_name(case: tuple[int, str]) -> str:
    """`table1-simo-eqco-k16`."""
    return f"table{case[0]}-{case[1]}"


def contradictions(scale: str) -> dict[tuple[int, str], str]:
    """Claims that the committed records contradict, with numbers; `status.py` keeps the file."""
    with (HERE / "contradicted.csv").open(encoding="utf-8", newline="") as stream:
        return {
            (int(line["table"]), line["claim"]): line["verdict"]
            for line in csv.DictReader(stream)
            if line["scale"] == scale
        }


def expected_failure(why: str | None) -> list[pytest.MarkDecorator]:
    """A strict xfail with its numbers, where the committed evidence contradicts a claim."""
    return [pytest.mark.xfail(reason=why, strict=True)] if why else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cells and claims of all tables at the scale asked for; ids such as table1-simo-eqco-k16."""
    session = metafunc.config.stash[SESSION]
    if "row" in metafunc.fixturenames:
        cases = [(number, name) for number in TABLES for name in session.rows(number)]
        metafunc.parametrize("row", cases, ids=case_name)
    if "published_row" in metafunc.fixturenames:
        cases = [
            (number, name)
            for number in TABLES
            for name in session.rows(number)
            if session.base.data == "imagenet" and published_of(HERE / "paper", number, name)
        ]
        why = "published numbers are compared at scale imagenet alone, on the whole of it"
        none = pytest.param((0, ""), id="needs-imagenet", marks=pytest.mark.skip(reason=why))
        if cases:
            metafunc.parametrize("published_row", cases, ids=case_name)
        else:
            metafunc.parametrize("published_row", [none])
    if "claim" in metafunc.fixturenames:
        contradicted = contradictions(session.scale)
        metafunc.parametrize(
            "claim",
            [
                pytest.param(
                    (number, name),
                    id=case_name((number, name)),
                    marks=expected_failure(contradicted.get((number, name))),
                )
                for number in TABLES
                for name in session.claims(number)
            ],
        )


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    """The options and the state of this session."""
    return request.config.stash[SESSION]


class Bar:
    """A progress bar on the terminal behind pytest's capture; silent where there is none."""

    def __init__(self, config: pytest.Config) -> None:
        self.capture = config.pluginmanager.getplugin("capturemanager")
        self.visible = bool(config.get_terminal_writer().hasmarkup)

    def uncaptured(self) -> AbstractContextManager[None]:
        """Lets through what other processes print."""
        return self.capture.global_and_fixture_disabled() if self.capture else nullcontext()

    def train(self, session: Session, job: Job) -> records.Record:
        """Run a job, showing its steps, loss and the time that is left."""
        again = session.policy == "always"
        if not self.visible or self.capture is None:
            return run(job.recipe, job.seed, session.machine, session.folder, again=again)
        with self.capture.global_and_fixture_disabled():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(20),
                TextColumn("{task.fields[state]}"),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=Console(), transient=True) as progress:
                name = job.run_id.rsplit("-", 2)[0]
                task = progress.add_task(
                    f"{name} s{job.seed}", total=None, state="drawing data, probing"
                )

                def show(stage: str, step: int, steps: int, loss: float) -> None:
                    state = f"{stage} {step}/{steps} loss {loss:.3f}"
                    if step == steps and stage == "training":
                        state = "probing"
                    progress.update(task, completed=step, total=steps, state=state)

                return run(job.recipe, job.seed, session.machine, session.folder, show, again=again)


@pytest.fixture
def train(request: pytest.FixtureRequest, session: Session) -> Train:
    """Get the record of a job under the --run policy; a missing one is trained or skipped.

    None where the job was submitted to a cluster, and its record will be there later.
    """
    bar = Bar(request.config)

    def obtain(recipe: Recipe, seed: int) -> records.Record | None:
        known = records.find(session.folder, recipe, seed)
        if known is not None and session.policy != "always":
            return known
        if session.policy == "never":
            price = SCALES[session.scale].price
            pytest.skip(f"not run: `{session.command}` without --run never trains it ({price})")
        try:
            if session.launcher != "here" and (recipe.epochs or recipe.from_files):
                with bar.uncaptured():
                    return launched(session, Job(recipe, seed))
            return bar.train(session, Job(recipe, seed))
        except Busy as error:
            pytest.skip(str(error))
        except KeyboardInterrupt:
            pytest.exit(
                f"stopped; the checkpoint is kept, go on with: {session.command}", returncode=130
            )

    return obtain


@pytest.fixture
def baseline(session: Session) -> Recipe:
    """The untrained backbone's recipe."""
    return untrained(session.base)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep the status of each cell for the closing table."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    row = getattr(item, "callspec", None) and item.callspec.params.get("row")
    if row and (report.when == "call" or report.outcome != "passed"):
        status = {"skipped": "not run"}.get(report.outcome, report.outcome)
        item.config.stash[SESSION].statuses[row] = status


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The closing table: published beside measured, verdict per claim, what is missing."""
    session = terminalreporter.config.stash[SESSION]
    colour = bool(terminalreporter.config.get_terminal_writer().hasmarkup)
    full = terminalreporter.config.get_terminal_writer().fullwidth + 1
    width = max(80, min(100, full)) if colour else 80
    for number in sorted({case[0] for case in [*session.statuses, *session.verdicts]}):
        try:
            text = closing_of(session, number, width, colour)
        except records.RecordError as error:
            text = f"table {number} is not shown: {error}\n"
        terminalreporter.write("\n" + text)


def closing_of(session: Session, number: int, width: int, colour: bool) -> str:
    """The closing text of one table."""
    values = published(HERE / "paper", number)
    rows = session.rows(number)
    cells = []
    for row, recipe in rows.items():
        measured = session.found(number, row)
        default = "cached" if measured else "not run"
        status = session.statuses.get((number, row), default)
        if status == "not run" and measured:
            status = f"{len(measured)} of {len(session.seeds)}"  # seeds
        cells.append(Cell(recipe, values.get(row, NOT_VERIFIED), measured, status, row))
    claims = session.claims(number)
    judged = [
        (name, claims[name].says, verdict)
        for (table, name), verdict in session.verdicts.items()
        if table == number
    ]
    others = {row: value for row, value in values.items() if row not in rows}
    return closing(
        number, session.scale, cells, judged, width=width, colour=colour, unmatched=others
    )
