"""Pages in the system's Chromium, by playwright; a test that needs it is skipped without them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 120_000.0  # milliseconds for one answer, on a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser without a page."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium, or Google Chrome")
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(
            executable_path=program, args=["--no-sandbox"], timeout=PATIENCE
        )


def new_page(browser: Browser, width: int = 1280, scheme: str = "light") -> tuple[Page, list[str]]:
    """A page, a phone's where it is narrow, and a list to which it reports.

    It reports messages of the console, errors, and addresses that it asks for and are no data.
    """
    page = browser.new_page(
        viewport={"width": width, "height": 900}, is_mobile=width < 500, color_scheme=scheme
    )
    page.set_default_timeout(PATIENCE)
    reports: list[str] = []
    page.on("console", lambda message: reports.append(message.text))
    page.on("pageerror", lambda error: reports.append(str(error)))
    page.on("request", lambda each: each.url.startswith("data:") or reports.append(each.url))
    return page, reports
