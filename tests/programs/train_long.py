"""Imported (or `pytest -p`): runs of scale smoke take minutes instead of seconds.

As a program it does what `python -m reproductions` does with such runs.
"""

import sys
from dataclasses import replace

from reproductions.__main__ import main
from reproductions.scales import SCALES

SCALES["smoke"] = replace(SCALES["smoke"], base=replace(SCALES["smoke"].base, epochs=3000))
if __name__ == "__main__":
    sys.exit(main())
