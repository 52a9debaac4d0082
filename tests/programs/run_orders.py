"""Do several job files in one process group: imports take longer than the runs.

Usage, behind torchrun: -m tests.programs.run_orders ORDER...
"""

import sys
from pathlib import Path

from eqco.artifacts.run_files import Run
from eqco.engine.run import run
from eqco.runtime import distributed
from tests.programs.gloo import check_ended

distributed.start("cpu")
for path in sys.argv[1:]:
    run(*Run.read_job(Path(path)))
distributed.stop()
check_ended()
