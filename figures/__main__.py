"""All figures: `python -m figures`; with --fresh, the measurements behind them too."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from eqco.cli.errors import run_cli

SCRIPTS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
FIGURES = [name for name in SCRIPTS if name not in ("looks", "style")]
MEASURES = ["measure.encoders", "measure.gaussians"]  # measure.diagnoses needs checkpoints


def main() -> int:
    """Draw each figure in a process of its own, so that a failing one does not stop the rest."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="also train and draw samples anew")
    names = [*MEASURES, *FIGURES] if parser.parse_args().fresh else FIGURES
    failed = [n for n in names if subprocess.run([sys.executable, "-m", f"figures.{n}"]).returncode]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
