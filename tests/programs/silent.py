"""Two processes, of which one is busy: the other waits for it, and gives it up where it may not.

Each prints why it ends.
"""

import time

from eqco.runtime import distributed

distributed.MINUTES = 2 / 60
distributed.start("cpu")
first = distributed.rank() == 0
for together in (distributed.wait, lambda: distributed.any_rank(first)):
    if not first:
        time.sleep(4.0)
    try:
        together()
    except RuntimeError as error:
        print(distributed.lost_process(error), flush=True)
distributed.stop()
