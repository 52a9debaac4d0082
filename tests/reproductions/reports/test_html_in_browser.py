"""The report in headless Chromium: silent, sortable, printable, no wider than a phone, short."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reproductions.__main__ import main
from tests.chromium import new_page
from tests.reproductions.reports.test_html_page import write_records

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of table 1 at scale glyphs."""
    folder = write_records(tmp_path_factory.mktemp("records"))
    out = folder / "report.html"
    assert main(["report", f"--records={folder}", f"--out={out}"]) == 0
    return out


@pytest.fixture
def opened(written: Path, browser: Browser) -> Page:
    """The page in a window of a desk."""
    page, _ = new_page(browser)
    page.goto(written.as_uri())
    return page


FOLDED = 'document.querySelector("details")'
COLUMN = f"[...{FOLDED}.querySelectorAll('tbody tr')].map((row) => row.cells[3].textContent.trim())"
HEAD = f'{FOLDED}.querySelector("thead th:nth-child(4)")'


def test_a_browser_reports_nothing_and_asks_for_nothing(browser: Browser, written: Path) -> None:
    page, reports = new_page(browser)
    page.goto(written.as_uri())
    assert reports == [written.as_uri()]
    assert page.evaluate("[...document.images].every((each) => each.src.startsWith('data:'))")


def test_keys_sort_a_table_up_and_down_with_empty_cells_last(opened: Page) -> None:
    opened.evaluate(f"{FOLDED}.open = true")
    before = opened.evaluate(COLUMN)
    opened.evaluate(f"{HEAD}.focus()")
    for order in ("ascending", "descending"):
        opened.keyboard.press("Enter")
        assert opened.evaluate(f"{HEAD}.ariaSort") == order
        values = opened.evaluate(COLUMN)
        known = [float(value.split()[0]) for value in values if value != "–"]
        assert len(known) > 5
        assert known == sorted(known, reverse=order == "descending")
        assert values[len(known) :] == ["–"] * (len(values) - len(known))
        assert sorted(values) == sorted(before)


def test_lines_are_filtered_by_words(opened: Page) -> None:
    box = f"{FOLDED}.querySelector('input')"
    shown = f"{FOLDED}.querySelectorAll('tbody tr:not([hidden])')"
    whole = opened.evaluate(f"{shown}.length")
    opened.evaluate(f"{box}.value = 'MoCo not run'; {box}.dispatchEvent(new Event('input'))")
    assert 0 < opened.evaluate(f"{shown}.length") < whole
    assert opened.evaluate(f"[...{shown}].every((row) => /MoCo.*not run/s.test(row.textContent))")
    opened.evaluate(f"{box}.value = ''; {box}.dispatchEvent(new Event('input'))")
    assert opened.evaluate(f"{shown}.length") == whole


def test_the_answer_and_the_verdicts_are_seen_before_anything_is_unfolded(opened: Page) -> None:
    assert opened.evaluate("document.querySelectorAll('details[open]').length") == 0
    assert opened.evaluate("document.documentElement.scrollHeight") < 4000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_not_the_page(
    scheme: str, browser: Browser, written: Path
) -> None:
    page, _ = new_page(browser, 390, scheme)
    page.goto(written.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)"
    )


def test_the_page_prints_on_light_paper_with_everything_unfolded(opened: Page) -> None:
    opened.emulate_media(color_scheme="dark", media="print")
    colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.evaluate("document.querySelectorAll('details:not([open])').length") == 0
