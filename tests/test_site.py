"""The site of the documentation: builds without a warning, asks no network, fits a phone."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chromium import new_page
from tests.processes import ROOT, python

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
pytestmark = pytest.mark.skipif(
    not (find_spec("mkdocs") and find_spec("material") and find_spec("mkdocstrings")),
    reason="mkdocs is not installed: pip install -e '.[docs]'",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    out = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "--site-dir", out]
    python("-m", "mkdocs", *words, PYTHONPATH=":".join([str(ROOT), *sys.path]))
    return out


def test_every_page_of_docs_is_built_and_asks_no_network(site: Path) -> None:
    built = {path.stem: path.read_text(encoding="utf-8") for path in site.glob("*.html")}
    sources = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert sources | {"index", "figures", "benchmark", "changelog"} <= set(built)
    for name, text in built.items():
        assert LOADED.findall(text) == [], name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8"))


def test_diffs_examples_and_docstrings_stand_on_the_pages(site: Path) -> None:
    pages = {name: (site / f"{name}.html").read_text("utf-8") for name in ("adding", "recipes")}
    for text in pages.values():
        assert "--8&lt;--" not in text
    assert pages["adding"].count("</code></pre>") == 5
    assert pages["recipes"].count("</code></pre>") == 10
    method = (site / "method.html").read_text("utf-8")
    assert method.count("<math") == method.count('class="equation"') == 6
    results = (site / "results.html").read_text("utf-8")
    assert 'class="verdict does not hold"' in results
    assert "<p>0." not in results  # a number inside a sentence begins no paragraph
    reference = (site / "reference.html").read_text(encoding="utf-8")
    assert 'id="eqco.losses.modules.EqCoLoss"' in reference
    assert '<span class="gp">&gt;&gt;&gt; </span>' in reference  # a doctest, not a quotation
    assert "<blockquote>" not in reference


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_is_silent_and_no_page_is_wider_than_the_window(
    width: int, scheme: str, site: Path, browser: Browser
) -> None:
    page, reports = new_page(browser, width, scheme)
    for path in sorted(site.glob("[a-z]*.html")):
        page.goto(path.as_uri())
        assert [each for each in reports if not each.startswith("file:")] == [], path.name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path.name
        wanted = {"light": "default", "dark": "slate"}[scheme]
        assert page.evaluate("document.body.dataset.mdColorScheme") == wanted


def test_the_search_finds_a_loss_in_a_site_of_files(site: Path, browser: Browser) -> None:
    page, _ = new_page(browser)
    page.goto((site / "index.html").as_uri())
    page.evaluate("document.querySelector('[data-md-component=search-query]').focus()")
    page.keyboard.type("jackknife")
    page.wait_for_function(
        "document.querySelectorAll('.md-search-result__item').length >= 2", timeout=60_000
    )
