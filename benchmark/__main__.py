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

from benchmark.report import section
from eqco.cli.errors import run_cli
from eqco.runtime.files import read_json, write_atomically
from eqco.runtime.validation import path_argument

PAGE = Path(__file__).with_name("README.md")


def read_section(path: Path) -> str:
    """`section` of a report's file.

    Raises:
        ValueError: it is not a report of pytest-benchmark.
    """
    try:
        return section(read_json(path))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a report of this benchmark ({error!r}): give a file of --benchmark-json"
        ) from error


def main(words: list[str] | None = None) -> int:
    """Measure and write; the status of pytest."""
    parser = argparse.ArgumentParser(prog="python -m benchmark", description=__doc__)
    parser.add_argument(
        "--json", type=path_argument, help="an earlier report, instead of measuring"
    )
    parser.add_argument("--page", type=path_argument, default=PAGE, help="the page to write")
    parser.add_argument("words", nargs="*", help="for pytest, after --")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        source = args.json or Path(folder) / "report.json"
        if not args.json:
            command = [sys.executable, "-m", "pytest", "benchmark", f"--benchmark-json={source}"]
            finished = subprocess.run([*command, *args.words], cwd=PAGE.parent.parent, check=False)
            if finished.returncode:
                return finished.returncode
        from reproductions.reports.pages import (
            filled,  # it sets how threads wait: not for what is timed
        )

        write_atomically(args.page, filled(args.page, {"table": read_section(source)}))
    return 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
