"""Pretrain the recipe of tests/engine/test_pretrain.py with a checkpoint after every step.

Usage: python -m tests.programs.train_slowly CHECKPOINTS
"""

import sys
import time
from pathlib import Path

from eqco.artifacts.run_files import Run
from eqco.data import open_images
from eqco.engine.pretrain import pretrain
from tests.engine.test_pretrain import RECIPE, machine_in

machine = machine_in(Path(sys.argv[1]))
images = open_images(RECIPE, 0, machine)
pretrain(Run(RECIPE, 0, machine), images, lambda *_: time.sleep(0.2))
