"""Replace a file 60 times with text of one letter; starts when a line is read from stdin.

Usage: python -m tests.programs.write_file PATH LETTER
"""

import sys
from pathlib import Path

from eqco.runtime.files import write_atomically

path, letter = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    write_atomically(path, letter * 200_000)
