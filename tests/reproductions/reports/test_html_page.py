"""The report: one page that holds everything, runs nothing of a record's, and asks for nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eqco.recipe import Recipe
from eqco.runtime.text import plain
from reproductions.__main__ import main
from reproductions.reports import readme
from reproductions.reports.html import claims, page, text
from reproductions.reports.html.runs import ceiling, differences, every_run, marks
from reproductions.results.evidence import judged_scales, read
from reproductions.results.records import RECORDS
from reproductions.statistics.wording import SYMBOLS, status
from reproductions.tables import table
from tests.chromium import new_page
from tests.conftest import Command
from tests.synthetic import changed, make_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>\"'&{{ 7*7 }}"
FOLDED = [
    "Every claim", "Tables", "Every run", "Training curves", "Results", "Figures",
    "Departures from the paper", "Log",
]  # fmt: skip
SEEDS = 5
CURVE = {"step": [0.0, 10.0, 20.0], "loss": [5.5, 3.0, 2.0]}


def write_records(folder: Path, **changes: object) -> Path:
    """Records of table 1 at scale glyphs, five seeds a row, except a row that has none."""
    like = make_record(Recipe(), 0, 80.0)
    for place, row in enumerate(table(1, "glyphs").rows[:-1]):
        for seed in range(SEEDS):
            metrics = {"linear": 80.0 + place + 0.1 * (seed * place % 3), "knn": 70.0 + seed}
            own = {"recipe": row.recipe, "seed": seed, "metrics": metrics, "curve": CURVE}
            changed(like, **{**own, **changes}).write(folder / "glyphs")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records whose every free text is hostile."""
    machine = {name: HOSTILE for name in ("device", "python", "system", "commit")}
    machine |= {"versions": {HOSTILE: HOSTILE}, "dirty": True, "threads": 1}  # type: ignore[dict-item]
    found = write_records(tmp_path_factory.mktemp("records"), machine=machine, note=HOSTILE)
    (found / "glyphs" / f"{HOSTILE.replace('/', '')}.json").write_text("{", encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def written(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of these records."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    assert main(["report", f"--records={folder}", f"--out={out}"]) == 0
    return out


@pytest.fixture(scope="module")
def source(written: Path) -> str:
    return written.read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of a tag."""
        return [attributes for name, attributes in self.found if name == tag]


def test_no_text_of_a_record_becomes_markup(source: str) -> None:
    assert source.count("&lt;script&gt;alert(1)") > 10
    assert "evil.example/x onerror" in source  # as text
    elements = Elements(source)
    assert len(elements.of("script")) == 1
    assert not [name for _, attributes in elements.found for name in attributes if name[:2] == "on"]
    assert "{{ 7*7 }}" in source.replace("&#39;", "'")
    assert ">49<" not in source


def test_the_page_is_small_and_names_no_address_to_load(source: str) -> None:
    assert len(source.encode()) < 3e6
    for _, attributes in Elements(source).found:
        for name in ("src", "action", "data", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert [each["href"] for each in Elements(source).of("a")] == [page.PAPER]
    style = re.findall(r"<style>(.*?)</style>", source, flags=re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]


def test_the_page_has_every_section_and_what_a_screen_reader_needs(source: str) -> None:
    elements = Elements(source)
    assert re.findall(r"<summary><h2>(.*?)</h2></summary>", source) == FOLDED
    assert elements.of("html") == [{"lang": "en"}]
    for landmark in ("header", "main", "footer", "h1"):
        assert len(elements.of(landmark)) == 1, landmark
    assert len(elements.of("caption")) > 5
    assert all(attributes.get("scope") for attributes in elements.of("th"))
    assert all(attributes.get("alt") for attributes in elements.of("img"))
    assert all("aria-hidden" in picture for picture in elements.of("svg"))


def test_a_verdict_has_its_word_beside_its_colour(source: str) -> None:
    badges = re.findall(r'<span class="badge ([\w-]+)">.*?</span> (.*?)</span>', source)
    assert {word for _, word in badges} == SYMBOLS.keys()
    assert all(word.replace(" ", "-") == name for name, word in badges)


def test_what_was_not_run_has_its_command_and_price(source: str, folder: Path) -> None:
    found = read(folder, "glyphs")
    planned = [max(found.tables[n].planned for n in of) for _, of in found.rows.values()]
    command = f"<code>pytest reproductions/ --seeds {max(planned)} --records {folder}</code>"
    assert command in source
    assert "<code>pytest reproductions/ --scale imagenet --data folder:PATH --seeds 5" in source
    line = page.not_run(found, None)
    assert line.startswith(f"{sum(planned) - 35} of {sum(planned)} planned runs (")
    assert "; median of 35 records, " in line


def test_without_records_the_page_says_what_to_run(tmp_path: Path) -> None:
    found = page.render(page.context(tmp_path, None))
    assert "There are no records yet." in found
    assert "<code>pytest reproductions/ --seeds " in found


def test_a_single_run_gives_a_page(tmp_path: Path) -> None:
    make_record(Recipe(), 0, 80.0).write(tmp_path / "glyphs")
    found = page.render(page.context(tmp_path, None))
    assert "80.0 (1)" in found
    assert "polyline" not in found


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--records=/none"], "/none is not a folder of records: --records takes one"),
        ([f"--records={RECORDS / 'glyphs'}"], "takes one with a folder for each scale"),
        (["--out=."], ". is a folder: --out takes a file, such as report.html"),
    ],
)
def test_bad_input_ends_with_a_sentence(
    words: list[str], sentence: str, run_reproductions: Command
) -> None:
    assert sentence in run_reproductions("report", *words, status=2)


def test_records_of_other_numerics_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    like = make_record(Recipe(), 0, 80.0)
    like.write(tmp_path / "glyphs")
    changed(like, numerics=1, seed=1).write(tmp_path / "glyphs")
    found = read(tmp_path, "glyphs")
    assert [record.seed for record in found.records] == [0]
    assert found.skipped == ("1 of 2 records, of other numerics than 2",)


def test_a_run_says_what_speaks_against_it_and_how_its_recipe_differs(folder: Path) -> None:
    like = make_record(Recipe(), 0, 80.0)
    clean = replace(like, machine={**like.machine, "commit": "c", "dirty": False}, note="")
    assert marks(clean) == []
    assert marks(replace(clean, machine={"dirty": True})) == ["made from changed files"]
    base = Recipe()
    assert differences(base, base) == []
    other = replace(base, loss="eqco", alpha=256)
    assert differences(other, base) == ["loss = eqco", "alpha = 256"]
    runs = every_run(read(folder, "glyphs")).frame
    assert len(runs) == 35
    assert set(runs["remarks"]) == {f"made from changed files; {plain(HOSTILE)}"}


def test_verdicts_of_the_page_are_those_of_the_judge(folder: Path) -> None:
    found = read(folder, "glyphs")
    lines = claims.every_claim(found).frame
    judged = [by.get("linear") for _, _, by in found.judged()]
    assert list(lines["verdict"]) == list(map(status, judged))
    badge = claims.cell("open (InfoNCE passes too)")
    assert "</span> open</span> <small>InfoNCE passes too</small>" in badge
    assert claims.cell("holds?") == "holds?"


def test_the_records_of_a_user_stand_beside_the_committed_ones(source: str) -> None:
    for head in ("glyphs", "glyphs, committed"):
        assert f'<th scope="col">{head}</th>' in source
    assert "cifar10-quick, committed" not in source
    assert source.count('<p class="answer">') == 2


def test_the_page_of_the_committed_records_answers_as_the_front_page_does() -> None:
    given = page.context(RECORDS, None)["answers"]
    shown = [text.inline(words) for words in readme.answers()]
    assert given[: len(shown)] == shown
    assert len(given) == len(shown) + len(judged_scales()) - 1
    assert not [words for words in given if "No answer yet" in words]


def test_the_expected_range_of_a_curve_ends_at_log_of_1_plus_alpha() -> None:
    assert ceiling(Recipe(loss="eqco", alpha=255, num_negatives=16)) == ceiling(Recipe())
    assert ceiling(Recipe()) == pytest.approx(5.545177)  # log 256
    assert ceiling(Recipe(loss="dcl")) is None


def test_markdown_becomes_escaped_html_without_links_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        f"# T\n\n## A {HOSTILE}\nOne **two** `a<b` [three](x.md) ![](none.png).\n\n"
        "| a | b |\n|---|--:|\n| c | **d** |\n<!-- e -->\n", encoding="utf-8",
    )  # fmt: skip
    found = text.page(tmp_path / "page.md")
    elements = Elements(found)
    assert {tag for tag, _ in elements.found} & {"script", "img", "a", "h1", "h2"} == set()
    assert "<p>One <strong>two</strong> <code>a&lt;b</code> three .</p>" in found
    assert "<td><strong>d</strong></td>" in found
    assert not [name for _, attributes in elements.found for name in attributes if name == "style"]
    assert text.page(tmp_path / "none.md") == ""


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_every_text_has_a_contrast_of_four_and_a_half_in_every_theme() -> None:
    style = (page.HERE / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    assert len(blocks) == 2  # light, dark
    colours: dict[str, str] = {}
    for block in blocks:
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for name in ("text", "soft", "link"):
            for back in ("page", "head"):
                assert contrast(colours[name], colours[back]) >= 4.5, (name, back)
        for word in SYMBOLS:
            name = word.replace(" ", "-")
            assert contrast(colours[name], colours[f"{name}-back"]) >= 4.5, name
            assert contrast(colours[name], colours["page"]) >= 4.5, name
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


# In headless Chromium: silent, sortable, printable, no wider than a phone, short.


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of records without hostile texts."""
    folder = write_records(tmp_path_factory.mktemp("usual"))
    assert main(["report", f"--records={folder}", f"--out={folder / 'report.html'}"]) == 0
    return folder / "report.html"


@pytest.fixture
def opened(usual: Path, browser: Browser) -> Page:
    """The page in a window of a desk."""
    page, _ = new_page(browser)
    page.goto(usual.as_uri())
    return page


DETAILS = 'document.querySelector("details")'
COLUMN = (
    f"[...{DETAILS}.querySelectorAll('tbody tr')].map((row) => row.cells[3].textContent.trim())"
)
HEAD = f'{DETAILS}.querySelector("thead th:nth-child(4)")'


def test_a_browser_reports_nothing_and_asks_for_nothing(browser: Browser, usual: Path) -> None:
    page, reports = new_page(browser)
    page.goto(usual.as_uri())
    assert reports == [usual.as_uri()]
    assert page.evaluate("[...document.images].every((each) => each.src.startsWith('data:'))")


def test_keys_sort_a_table_up_and_down_with_empty_cells_last(opened: Page) -> None:
    opened.evaluate(f"{DETAILS}.open = true")
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
    box = f"{DETAILS}.querySelector('input')"
    shown = f"{DETAILS}.querySelectorAll('tbody tr:not([hidden])')"
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
