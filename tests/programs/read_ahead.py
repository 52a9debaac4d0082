"""Read what two workers make, as a script does that has no `if __name__ == "__main__"`.

Prints the numbers of the processes of each item. Every signal that ends a run comes to the whole
process group after the first item; this process ignores it. It ends while a third reading has not
ended. With the word "wait" it waits after the second item until it is killed.
"""

import os
import signal
import sys
import time

from eqco.config import Machine
from eqco.data.dataloader import loader
from eqco.runtime.signals import NAMES
from tests.datasets import Processes

print("once")
for _ in range(2):
    for read, item in enumerate(loader(Processes(), Machine(workers=2), batch_size=1)):
        print(*(int(number) for number in item), flush=True)
        if read == 1 and "wait" in sys.argv:
            time.sleep(600)
        for name in NAMES if read == 0 else ():
            signal.signal(signal.Signals[name], signal.SIG_IGN)
            os.killpg(os.getpid(), signal.Signals[name])
third = loader(Processes(), Machine(workers=2), batch_size=1)
next(third)
