"""Hold a lock file for a minute. Usage: PATH; prints "held"."""

import sys
import time

from filelock import FileLock

with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
