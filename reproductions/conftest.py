"""Options of the tables, what a cell needs to run, and the closing table."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Generator
from functools import partial

import pytest

from eqco.runtime.signals import Stopped, catching, stop_at_once


def show_output() -> None:
    """End pytest's capture of output, whose plugin only the call stack has at this time."""
    frame = inspect.currentframe()
    while frame and not isinstance(frame.f_locals.get("self"), pytest.PytestPluginManager):
        frame = frame.f_back
    if frame and (capture := frame.f_locals["self"].getplugin("capturemanager")):
        capture.suspend_global_capture()


if "PYTEST_XDIST_WORKER" not in os.environ:
    stop_at_once(show_output)  # what follows loads torch

from eqco.artifacts.record import RecordError
from eqco.artifacts.run_files import SESSION as LOCK_SESSION
from eqco.cli.errors import set_up_output
from eqco.runtime.text import plain
from reproductions.harness.display import TERMINAL, Display
from reproductions.harness.launching import busy_line, check_launcher
from reproductions.harness.options import add_free_options
from reproductions.harness.runs import Train, make_missing, obtain_record, selected_recipes
from reproductions.harness.session import Outcomes, Session, read_session
from reproductions.reports.grids import CONTRADICTED, verdicts_in
from reproductions.reports.terminal import Cells, closing
from reproductions.reports.terminal_claims import Judged
from reproductions.results import published
from reproductions.results.evidence import NEGATIVE_WEIGHT, other_images
from reproductions.tables import TABLES
from reproductions.tables.claims import PRIMARY

taken: list[str] = []  # options whose names another plugin has


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the tables, under other names where plugins have the same."""
    groups = getattr(parser, "_groups", ())  # no public function lists the options
    names = {name for group in groups for option in group.options for name in option.names()}
    taken[:] = add_free_options(parser.getgroup("eqco", "EqCo reproductions").addoption, names)


SESSION = pytest.StashKey[Session]()


def whole_tables(keyword: str) -> str:
    """An expression of -k in which `table1` is table 1 alone, not table 10 too.

    >>> whole_tables("Table1 and k16 or not table10-simo")  # -k ignores case
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cells and claims of all tables at the scale asked for; ids such as table1-simo-eqco-k16."""
    session = metafunc.config.stash[SESSION]
    tables = {number: session.table(number) for number in TABLES}
    rows = [(number, row.name) for number, table in tables.items() for row in table.rows]
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", rows, ids=case_name)
    if "published_row" in metafunc.fixturenames:
        is_imagenet = session.base.data == "imagenet"
        cases = [case for case in rows if is_imagenet and published.number_for(*case)]
        reason = "published numbers are compared at scale imagenet alone, on the whole of it"
        skip = pytest.param((0, ""), id="needs-imagenet", marks=pytest.mark.skip(reason=reason))
        metafunc.parametrize("published_row", cases or [skip], ids=case_name)
    if "claim" in metafunc.fixturenames:
        contradicted = verdicts_in(CONTRADICTED, session.scale)
        claims = [
            (number, claim.name) for number, table in tables.items() for claim in table.claims
        ]
        xfail = partial(pytest.mark.xfail, strict=True, raises=AssertionError)
        params = [
            pytest.param(c, marks=[xfail(reason=contradicted[c])] if c in contradicted else [])
            for c in claims
        ]
        metafunc.parametrize("claim", params, ids=case_name)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find out whether the launcher can do the rows that are selected."""
    ours = session.config.stash[SESSION]
    if session.config.option.collectonly or ours.policy == "never":
        return
    try:
        check_launcher(ours, [ours.run(r, 0) for r in selected_recipes(ours, session.items)])
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    """Options and results of this session."""
    return request.config.stash[SESSION]


@pytest.fixture
def train(request: pytest.FixtureRequest, session: Session) -> Train:
    """Get the record of a recipe and a seed, see `obtain_record`."""
    display = Display(request.config)
    return lambda recipe, seed: obtain_record(
        session, display, session.run(recipe, seed), request.node
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Make the missing runs before the tests; a signal ends both with the command to continue."""
    try:
        with catching():
            make_missing(session.config.stash[SESSION], session.config, session.items)
            return (yield)
    except Stopped as stop:
        command = session.config.stash[SESSION].command
        pytest.exit(plain(stop.sentence(command)), returncode=stop.status)


@pytest.hookimpl(wrapper=True)
def pytest_report_header(
    config: pytest.Config,
) -> Generator[None, list[str | list[str]], list[str | list[str]]]:
    """Leave out the settings of pytest-benchmark, which measures nothing here; name our options.

    A line also says where the images are not those of the committed records.
    """
    lines, session = (yield), config.stash[SESSION]
    ours = [f"--{name} is another plugin's here: the tables take --eqco-{name}" for name in taken]
    ours += filter(None, [other_images(session.scale, session.base)])
    return [*(line for line in lines if not str(line).startswith("benchmark: ")), *ours]


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Report cells without a record as "not run", and undecided claims by their verdict.

    As "skipped" and "xfailed" the summary of pytest would list each of them beside the closing
    table. Failures are left to pytest.
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
            if session.policy == "never" and not session.own_evidence(number).records:
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
    own, committed, table = session.own_evidence(number), session.committed, session.table(number)
    statuses = {}
    for row in table.rows:
        records = own.records_for(row)
        default = "cached" if records else "not run"
        status = session.statuses.get((number, row.name), default)
        partly = status == "not run" and records
        statuses[row.name] = f"{len(records)} of {len(session.seeds)}" if partly else status
    verdicts, committed_verdicts = own.verdicts[number], committed.verdicts[number]
    claims = [
        Judged(claim.name, verdicts[claim.name], committed_verdicts[claim.name])
        for claim in table.claims
        if (number, claim.name) in session.claims
    ]
    ranges, weights = (committed.predictions(number, m) for m in (PRIMARY, NEGATIVE_WEIGHT))
    cells = Cells(number, table.rows, own, committed, ranges, weights, statuses)
    return closing(cells, claims, width=width, colour=colour)
