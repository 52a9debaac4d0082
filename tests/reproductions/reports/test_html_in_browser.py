"""The report in headless Chromium: silent, sortable, printable, no wider than a phone, short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reproductions.__main__ import main
from tests.chromium import Page, browser, chromium
from tests.reproductions.reports.test_html_page import write_records


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of table 1 at scale glyphs."""
    folder = write_records(tmp_path_factory.mktemp("records"))
    out = folder / "report.html"
    assert main(["report", f"--records={folder}", f"--out={out}"]) == 0
    return out


@pytest.fixture(scope="module")
def opened(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page in a browser."""
    program = browser()
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium, or Google Chrome")
    with chromium(program, tmp_path_factory.mktemp("profile")) as found:
        found.look(1280)
        found.open(written)
        yield found


FOLDED = 'document.querySelector("details")'
COLUMN = f"[...{FOLDED}.querySelectorAll('tbody tr')].map((row) => row.cells[3].textContent.trim())"
HEAD = f'{FOLDED}.querySelector("thead th:nth-child(4)")'


def test_a_browser_reports_nothing_and_asks_for_nothing(opened: Page, written: Path) -> None:
    wrong = opened.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    assert wrong == []
    asked = [each["request"]["url"] for each in opened.of("Network.requestWillBeSent")]
    assert written.as_uri() in asked
    assert all(url == written.as_uri() or url.startswith("data:") for url in asked)
    assert opened.run("document.images.length") == opened.run(
        "[...document.images].filter((each) => each.getAttribute('src').startsWith('data:')).length"
    )


def test_keys_sort_a_table_up_and_down_with_empty_cells_last(opened: Page) -> None:
    opened.run(f"{FOLDED}.open = true")
    before = opened.run(COLUMN)
    opened.run(f"{HEAD}.focus()")
    for order in ("ascending", "descending"):
        opened.press("Enter", 13, "\r")
        assert opened.run(f"{HEAD}.ariaSort") == order
        values = opened.run(COLUMN)
        known = [float(value.split()[0].replace("−", "-")) for value in values if value]
        assert len(known) > 5
        assert known == sorted(known, reverse=order == "descending")
        assert values[len(known) :] == [""] * (len(values) - len(known))
        assert sorted(values) == sorted(before)


def test_lines_are_filtered_by_words(opened: Page) -> None:
    box = f"{FOLDED}.querySelector('input')"
    shown = f"{FOLDED}.querySelectorAll('tbody tr:not([hidden])')"
    whole = opened.run(f"{shown}.length")
    opened.run(f"{box}.value = 'MoCo not run'; {box}.dispatchEvent(new Event('input'))")
    assert 0 < opened.run(f"{shown}.length") < whole
    assert opened.run(f"[...{shown}].every((row) => /MoCo.*not run/s.test(row.textContent))")
    opened.run(f"{box}.value = ''; {box}.dispatchEvent(new Event('input')); {FOLDED}.open = false")
    assert opened.run(f"{shown}.length") == whole


def test_the_answer_and_the_verdicts_are_seen_before_anything_is_unfolded(opened: Page) -> None:
    assert opened.run("document.querySelectorAll('details[open]').length") == 0
    assert opened.run("document.documentElement.scrollHeight") < 4000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_not_the_page(opened: Page, scheme: str) -> None:
    opened.look(390, 844, scheme)
    assert opened.run("document.documentElement.scrollWidth") <= 390
    assert opened.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)"
    )
    opened.look(1280)


def test_the_page_prints_on_light_paper_with_everything_unfolded(opened: Page) -> None:
    opened.look(1280, scheme="dark", media="print")
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert opened.run("document.querySelectorAll('details:not([open])').length") == 0
    opened.look(1280)
