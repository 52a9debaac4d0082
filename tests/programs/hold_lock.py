"""Hold a lock file for ten minutes. Usage: PATH; prints "held"."""

import sys
import time

from filelock import FileLock

with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
