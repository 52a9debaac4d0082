"""Hooks of mkdocs: pages of the repository outside docs/, and links between files of it.

A page of the site is a file of the repository, so that the text is written once and its links work
in both places. A link to another file of the repository is shown as text where the site lacks it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    **{f"log/{page.name}": f"log/{page.name}" for page in sorted((ROOT / "log").glob("*.md"))},
    "CHANGELOG.md": "changelog.md",
    "figures/README.md": "figures.md",
    "benchmark/README.md": "benchmark.md",
}
BACK = {page: source for source, page in OUTSIDE.items()}
LINK = re.compile(r"(?P<head>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)]*)?\)")
PICTURES = (".png", ".svg")
VERDICT = re.compile(r"<strong>(holds|does not hold|open)(\*?)</strong>")
NUMBER = re.compile(r"<!--(?:= [^>]+ |/)-->")  # around numbers of sentences
SHIM = "https://unpkg.com/iframe-worker/shim"  # of the plugin "offline"


class Doctests(Preprocessor):
    """Lines from `>>>` to the next empty line are code, which Markdown takes for quotations."""

    def run(self, lines: list[str]) -> list[str]:
        """The lines with a fence around each doctest."""
        text = "\n".join(lines)
        fenced = re.sub(r"(?:^>>> .*\n?)(?:^.+\n?)*", r"```pycon\n\g<0>\n```\n", text, flags=re.M)
        return fenced.split("\n")


class DoctestExtension(Extension):
    """Registers `Doctests` before the extension that reads fences."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Add it, and take quotations out: a line of a docstring may begin with "> 0"."""
        md.parser.blockprocessors.deregister("quote")
        md.preprocessors.register(Doctests(md), "doctests", 60)


def equation(source: str, *_: Any, **__: Any) -> str:
    """A block of LaTeX as MathML, which browsers set without a script."""
    return f'<div class="equation">{convert(source, display="block")}</div>'


def on_config(config: Any) -> Any:
    """Show doctests of docstrings as code, and `math` as equations."""
    config.markdown_extensions.append(DoctestExtension())
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "math", "format": equation}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Take the pages and pictures outside docs/ into the site."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for picture in sorted((ROOT / "figures" / "out").glob("*.png")):
        name = f"figures/out/{picture.name}"
        files.append(File.generated(config, name, abs_src_path=str(picture)))
    return files


def site_path(path: str) -> str | None:
    """Place in the site of a file of the repository; None where the site lacks it."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path.startswith("docs/") and path.endswith(".md"):
        return path.removeprefix("docs/")
    if path.startswith("examples/"):
        return "recipes.md"
    return path if path.endswith(PICTURES) else None


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links of the site."""
    source = BACK.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    folder = posixpath.dirname(source)

    def linked(match: re.Match[str]) -> str:
        target, text = match["target"], match["text"]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        place = site_path(posixpath.normpath(posixpath.join(folder, target)))
        if place is None or place == page.file.src_uri:
            return text
        link = posixpath.relpath(place, posixpath.dirname(page.file.src_uri))
        return f"{match['head']}[{text}]({link}{match['anchor'] or ''})"

    return LINK.sub(linked, NUMBER.sub("", markdown))


def on_page_content(html: str, **_: Any) -> str:
    """Verdicts as badges."""
    return VERDICT.sub(r'<strong class="verdict \1">\1\2</strong>', html)


def on_post_page(output: str, **_: Any) -> str:
    """Take the search's helper from this site; the theme would load it from a network."""
    return output.replace(SHIM, "worker.js")


on_post_template = on_post_page  # for 404.html
