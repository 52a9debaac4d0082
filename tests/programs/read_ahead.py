"""Read what two workers make, as a script does that has no `if __name__ == "__main__"`.

Usage: python -m tests.programs.read_ahead [SIGNAL]

Prints the numbers of the processes of each item. SIGNAL comes to the whole process group after the
first item; this process ignores it. It ends while a third reading has not ended.
"""

import os
import signal
import sys

from eqco.config import Machine
from eqco.data.dataloader import loader
from tests.datasets import Processes

print("once")
for _ in range(2):
    for read, item in enumerate(loader(Processes(), Machine(workers=2), batch_size=1)):
        print(*(int(number) for number in item), flush=True)
        if len(sys.argv) > 1 and read == 0:
            number = signal.Signals[sys.argv[1]]
            signal.signal(number, signal.SIG_IGN)
            os.killpg(os.getpid(), number)
third = loader(Processes(), Machine(workers=2), batch_size=1)
next(third)
