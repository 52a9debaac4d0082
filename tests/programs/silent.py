"""Two processes, of which one is busy: the other waits for it, and gives it up where it may not.

Each prints why it ends.
"""

import os
import time

from torch.distributed import TCPStore

from eqco.runtime import distributed

# The limit holds for joining too: both have imported torch before.
store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
store.add("imported", 1)
while store.add("imported", 0) < 2:
    time.sleep(0.01)
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
