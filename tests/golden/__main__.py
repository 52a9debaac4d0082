"""Compare with what is kept, or keep what this machine computes."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from tests.golden import KEPT, RECIPES, kept, outcome, platform_name


def main() -> int:
    """Exit status 1 where a number differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the numbers of this platform")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = {name: outcome(name, Path(folder)) for name in RECIPES}
    known = kept() if KEPT.exists() else {}
    here = platform_name()
    if given.write:
        known[here] = found
        KEPT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    different = [name for name in RECIPES if known.get(here, {}).get(name) != found[name]]
    print(f"{here}: {', '.join(different) + ' differ' if different else 'equal to the bit'}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
