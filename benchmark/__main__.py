"""Run the benchmark and put its table into benchmark/README.md.

    python -m benchmark                       measure, five minutes on two cores
    python -m benchmark --json FILE           the table of an earlier --benchmark-json

Words after `--` go to pytest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark.measure import LIBRARIES, Row
from benchmark.page import PAGE, put
from benchmark.paper import on_paper
from benchmark.table import summary, table
from eqco.checks import path_argument
from eqco.runs.door import through_door
from eqco.runs.files import read_json, write_atomically


def rows_of(report: dict[str, Any]) -> list[Row]:
    """The rows in a JSON of pytest-benchmark."""
    return [
        Row(**row) for each in report["benchmarks"] for row in each["extra_info"].get("rows", [])
    ]


def section(report: dict[str, Any]) -> str:
    """Date, machine, versions and table, in Markdown."""
    info = report["benchmarks"][0]["extra_info"]
    versions = ", ".join(f"{name} {info[name]}" for name in LIBRARIES)
    head = (
        f"{report['datetime'][:10]}; {info['processor']}, {info['capability']}, {info['cores']} "
        f"cores, {info['threads']} thread(s); Python {info['python']}, {versions}."
    )
    rows = rows_of(report)
    lines = ["```", *table(rows), "", *summary(rows).splitlines(), "```"]
    paper = [f"- {text}" for text in on_paper(rows)]
    return "\n".join([head, "", *lines, "", "On paper, at these rates:", "", *paper])


def section_of(path: Path) -> str:
    """`section` of a report's file.

    Raises:
        ValueError: it is no report of pytest-benchmark.
    """
    try:
        return section(read_json(path))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no report of this benchmark ({error!r}): give a file of --benchmark-json"
        ) from error


def main(words: list[str] | None = None) -> int:
    """Measure and write; the status of pytest."""
    words = sys.argv[1:] if words is None else words
    own, more = words, list[str]()
    if "--" in words:
        own, more = words[: words.index("--")], words[words.index("--") + 1 :]
    parser = argparse.ArgumentParser(prog="python -m benchmark", description=__doc__)
    parser.add_argument(
        "--json", type=path_argument, help="an earlier report, instead of measuring"
    )
    parser.add_argument("--page", type=path_argument, default=PAGE, help="the page to write")
    given = parser.parse_args(own)
    with tempfile.TemporaryDirectory() as folder:
        source = given.json or Path(folder) / "report.json"
        if not given.json:
            command = [sys.executable, "-m", "pytest", "benchmark", f"--benchmark-json={source}"]
            done = subprocess.run([*command, *more], cwd=PAGE.parent.parent, check=False)
            if done.returncode:
                return done.returncode
        text = section_of(source)
    page = put(given.page.read_text(encoding="utf-8"), text)
    write_atomically(given.page, page)
    return 0


if __name__ == "__main__":
    sys.exit(through_door(main))
