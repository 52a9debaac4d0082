"""Do several job files in one process group: imports take longer than the runs.

Usage, behind torchrun: -m tests.programs.run_orders ORDER...
"""

import sys
from pathlib import Path

from eqco.engine.launchers import Order
from eqco.engine.run import run
from eqco.runtime import distributed
from tests.programs.gloo import check_ended

distributed.start("cpu")
for path in sys.argv[1:]:
    order = Order.read(Path(path))
    run(order.job.recipe, order.job.seed, order.machine, order.folder)
distributed.stop()
check_ended()
