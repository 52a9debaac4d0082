"""Options of the tables, what a cell needs to run, and the closing table."""

from __future__ import annotations

import csv
import inspect
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest

from eqco.runtime.signals import Stopped, catching, stop_at_once


def show_output() -> None:
    """End pytest's capture of what is printed; while it loads this file, only frames name it."""
    frame = inspect.currentframe()
    while frame and not isinstance(frame.f_locals.get("self"), pytest.PytestPluginManager):
        frame = frame.f_back
    if frame and (capture := frame.f_locals["self"].getplugin("capturemanager")):
        capture.suspend_global_capture()


if "PYTEST_XDIST_WORKER" not in os.environ:
    stop_at_once(show_output)  # what follows loads torch

from eqco.artifacts.record import Record, RecordError
from eqco.artifacts.run_files import SESSION as LOCK_SESSION
from eqco.artifacts.run_files import Busy, Run
from eqco.cli.errors import set_up_output
from eqco.engine.run import untrained
from eqco.recipe import Recipe
from eqco.runtime.text import plain
from eqco.runtime.validation import TrainingError
from reproductions.experiments.pool import Lines, OneLine, work_in_parallel
from reproductions.harness.display import TERMINAL, Display
from reproductions.harness.launching import (
    Wait,
    busy_line,
    check_launcher,
    give_up,
    launched,
    write_job,
)
from reproductions.harness.options import add_free_options
from reproductions.harness.session import Outcomes, Session, read_session
from reproductions.reports.terminal import Cells, Judged, closing
from reproductions.results import published
from reproductions.results.evidence import NEGATIVE_WEIGHT, other_images
from reproductions.scales import SCALES
from reproductions.tables import TABLES
from reproductions.tables.claims import PRIMARY

HERE = Path(__file__).parent
taken: list[str] = []  # options whose names another plugin has
Train = Callable[[Recipe, int], Record | None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the tables, under other names where plugins have the same."""
    groups = getattr(parser, "_groups", ())  # pytest tells its options to nobody else
    known = {name for group in groups for each in group.options for name in each.names()}
    taken[:] = add_free_options(parser.getgroup("eqco", "EqCo reproductions").addoption, known)


SESSION = pytest.StashKey[Session]()


def whole_tables(keyword: str) -> str:
    """An expression of -k in which `table1` is table 1 alone, not table 10 too.

    >>> whole_tables("Table1 and k16 or not table10-simo")  # -k takes capitals for small letters
    'Table1- and k16 or not table10-simo'
    """
    return re.sub(r"\b(table\d+)(?![\w-])", r"\1-", keyword, flags=re.IGNORECASE)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options once; a wrong one ends the session with one sentence."""
    set_up_output()
    config.option.keyword = whole_tables(config.option.keyword)
    config.stash[SESSION] = read_session(config)
    config.stash[TERMINAL] = sys.stdout.isatty()  # later, pytest's capture stands in between
    if workerinput := getattr(config, "workerinput", None):
        # processes of pytest-xdist have one session, for locks of runs
        os.environ[LOCK_SESSION] = str(workerinput["testrunuid"])
    config.pluginmanager.register(Outcomes(config.stash[SESSION]), "eqco-outcomes")


def case_name(case: tuple[int, str]) -> str:
    """`table1-simo-eqco-k16`."""
    return f"table{case[0]}-{case[1]}"


def contradictions(scale: str) -> dict[tuple[int, str], str]:
    """Claims that the committed records contradict, with numbers; `pages.py` writes the file."""
    with (HERE / "contradicted.csv").open(encoding="utf-8", newline="") as stream:
        return {
            (int(line["table"]), line["claim"]): plain(line["verdict"])
            for line in csv.DictReader(stream)
            if line["scale"] == scale
        }


def expected_failure(why: str | None) -> list[pytest.MarkDecorator]:
    """A strict xfail with its numbers, where the committed evidence contradicts a claim."""
    return [pytest.mark.xfail(reason=why, strict=True, raises=AssertionError)] if why else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cells and claims of all tables at the scale asked for; ids such as table1-simo-eqco-k16."""
    session = metafunc.config.stash[SESSION]
    tables = {number: session.table(number) for number in TABLES}
    rows = [(number, row.name) for number, table in tables.items() for row in table.rows]
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", rows, ids=case_name)
    if "published_row" in metafunc.fixturenames:
        whole = session.base.data == "imagenet"
        cases = [case for case in rows if whole and published.number_for(*case)]
        why = "published numbers are compared at scale imagenet alone, on the whole of it"
        none = pytest.param((0, ""), id="needs-imagenet", marks=pytest.mark.skip(reason=why))
        metafunc.parametrize("published_row", cases or [none], ids=case_name)
    if "claim" in metafunc.fixturenames:
        contradicted = contradictions(session.scale)
        claims = [
            (number, claim.name) for number, table in tables.items() for claim in table.claims
        ]
        marked = [
            pytest.param(case, marks=expected_failure(contradicted.get(case))) for case in claims
        ]
        metafunc.parametrize("claim", marked, ids=case_name)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find out whether the launcher can do the rows that are selected."""
    own = session.config.stash[SESSION]
    if session.config.option.collectonly or own.policy == "never":
        return
    calls = (item.callspec for item in session.items if hasattr(item, "callspec"))
    rows = dict.fromkeys(call.params["row"] for call in calls if "row" in call.params)
    try:
        check_launcher(own, (own.run(own.table(n).row(name).recipe, 0) for n, name in rows))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    """Options and results of this session."""
    return request.config.stash[SESSION]


def made(session: Session, display: Display, job: Run) -> Record | None:
    """The record of a job that is trained now; None where it was submitted to a cluster.

    A cluster does every run: this host may have no GPU. torchrun does not share the probe of
    an untrained encoder on images in memory.
    """
    shared = job.recipe.epochs or job.recipe.from_files
    if session.launcher == "slurm" or (session.launcher == "torchrun" and shared):
        with display.uncaptured():
            return launched(session, job)
    return display.train(session, job)


@pytest.fixture
def train(request: pytest.FixtureRequest, session: Session) -> Train:
    """Get the record of a job under the --run policy; a missing one is trained or skipped.

    None where the job was submitted to a cluster or written to a file: its record comes later.
    """
    display = Display(request.config)

    def obtain(recipe: Recipe, seed: int) -> Record | None:
        known, job = session.records.find(recipe, seed), session.run(recipe, seed)
        if known is not None and (session.policy != "always" or job.run_id in session.fresh):
            return known
        if job.run_id in session.failed:
            raise TrainingError(session.failed[job.run_id])
        if session.policy == "never":
            price = SCALES[session.scale].run
            pytest.skip(f"not run: leave --run never out to train it ({price})")
        if session.write_jobs:
            write_job(session, job)
            return None
        wait = Wait(job)
        while True:
            try:
                return made(session, display, job)
            except Busy as error:
                if not wait.goes_on():
                    give_up(session, request.node, job, error)

    return obtain


def missing_jobs(session: Session, items: Sequence[pytest.Item]) -> list[Run]:
    """Runs that selected cells need and that this session makes itself, each once."""
    rows = [item.callspec.params["row"] for item in items if is_cell(item)]  # type: ignore[attr-defined]
    recipes = [session.table(number).row(name).recipe for number, name in rows]
    pairs = [
        (recipe, seed)
        for seed in session.seeds
        for recipe in dict.fromkeys([*recipes, untrained(session.base)])
    ]
    again = session.policy == "always"
    return [session.run(*pair) for pair in pairs if again or not session.records.has(*pair)]


def is_cell(item: pytest.Item) -> bool:
    """Whether a test is of a row of a table."""
    return "row" in getattr(getattr(item, "callspec", None), "params", {})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Make the missing runs before the tests; a signal ends both with the command to continue."""
    try:
        with catching():
            make_missing(session)
            return (yield)
    except Stopped as stop:
        command = session.config.stash[SESSION].command
        pytest.exit(plain(stop.sentence(command)), returncode=stop.status)


def make_missing(session: pytest.Session) -> None:
    """Make the missing runs of the selected cells, several at once."""
    config, own = session.config, session.config.stash[SESSION]
    here = own.launcher == "here" and own.jobs > 1 and own.policy != "never" and not own.write_jobs
    if not here or config.option.collectonly or hasattr(config, "workerinput"):
        return
    jobs = missing_jobs(own, session.items)
    if len(jobs) < 2 or not any(map(is_cell, session.items)):
        return
    display = Display(config)
    show = (OneLine if display.visible else Lines)(len(jobs))
    again = own.policy == "always"
    with display.uncaptured():
        print(f"\n{len(jobs)} runs, {min(own.jobs, len(jobs))} at once")
        try:
            for status in work_in_parallel(jobs, own.jobs, show, again=again):
                print(f"a process ended with status {status}: tests make its runs")
        finally:
            print("\r\x1b[K" if display.visible else "", end="", flush=True)
    own.failed = show.failed
    own.fresh = show.done


@pytest.fixture
def baseline(session: Session) -> Recipe:
    """The untrained backbone's recipe."""
    return untrained(session.base)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Name the cell in the report, for the closing table."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    spec = getattr(item, "callspec", None)
    row = spec and spec.params.get("row")
    if row:
        report.user_properties.append(("row", row))


@pytest.hookimpl(wrapper=True)
def pytest_report_header(
    config: pytest.Config,
) -> Generator[None, list[str | list[str]], list[str | list[str]]]:
    """Leave out the settings of pytest-benchmark, which measures nothing here; name our options.

    Images that are not those of the committed records are told too.
    """
    lines, session = (yield), config.stash[SESSION]
    others = [f"--{name} is another plugin's here: the tables take --eqco-{name}" for name in taken]
    others += filter(None, [other_images(session.scale, session.base)])
    return [*(line for line in lines if not str(line).startswith("benchmark: ")), *others]


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count cells without a record as not run, and claims that neither pass nor fail by verdict.

    The closing table says what became of them; among "skipped" and "xfailed" the summary of pytest
    would list each one again. A failure is left to pytest.
    """
    if not report.skipped or report.when != "call":
        return None
    if dict(report.user_properties).get("not run"):
        return "not run", "s", "SKIPPED"
    if "::test_claim[" not in report.nodeid:
        return None
    verdict = dict(report.user_properties).get("verdict", "without a verdict")
    expected = hasattr(report, "wasxfail")
    return str(verdict), "x" if expected else "s", "XFAIL" if expected else "SKIPPED"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the closing tables: published and measured numbers, verdicts, missing cells."""
    session = terminalreporter.config.stash[SESSION]
    colour = bool(terminalreporter.config.get_terminal_writer().hasmarkup)
    full = terminalreporter.config.get_terminal_writer().fullwidth
    width = max(80, min(100, full)) if colour else 80
    for number in sorted({case[0] for case in [*session.statuses, *session.claims]}):
        try:
            if session.policy == "never" and not session.own(number).records:
                terminalreporter.write(f"\ntable {number}: no record, not run\n")
                continue
            text = closing_text(session, number, width, colour)
        except RecordError as error:
            text = f"table {number} is not shown: {error}\n"
        terminalreporter.write("\n" + text)
    if session.job_files:
        count, folder = len(session.job_files), session.job_files[0].parent
        terminalreporter.write(f"\n{count} job file(s) in {folder}: eqco run FILE does one\n")
    if line := busy_line(session):
        terminalreporter.write_line(line)


def closing_text(session: Session, number: int, width: int, colour: bool) -> str:
    """The closing text of one table."""
    own, evidence, table = session.own(number), session.committed, session.table(number)
    statuses = {}
    for row in table.rows:
        measured = own.of(row)
        default = "cached" if measured else "not run"
        status = session.statuses.get((number, row.name), default)
        several = status == "not run" and measured
        statuses[row.name] = f"{len(measured)} of {len(session.seeds)}" if several else status
    verdicts, known = own.verdicts[number], evidence.verdicts[number]
    claims = [
        Judged(claim.name, verdicts[claim.name], known[claim.name])
        for claim in table.claims
        if (number, claim.name) in session.claims
    ]
    ranges, weights = (evidence.predictions(number, m) for m in (PRIMARY, NEGATIVE_WEIGHT))
    cells = Cells(number, table.rows, own, evidence, ranges, weights, statuses)
    return closing(cells, claims, width=width, colour=colour)
