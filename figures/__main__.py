"""All figures: `python -m figures`; with --fresh, their slow data too."""

from __future__ import annotations

import argparse
import subprocess
import sys

FIGURES = ("mi_bound", "gradient_norm", "accuracy_vs_k", "mean_field", "alpha", "learning_rate")
SLOW = ("encoders", "gaussians")


def main() -> int:
    """Draw each figure in a process of its own, so that a failing one does not stop the rest."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="also train and draw samples anew")
    given = parser.parse_args()
    names = (*SLOW, *FIGURES) if given.fresh else FIGURES
    failed = [n for n in names if subprocess.run([sys.executable, "-m", f"figures.{n}"]).returncode]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
