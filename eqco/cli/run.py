"""`eqco run`: one run from its job file."""

from __future__ import annotations

import argparse
import os

from eqco.artifacts.run_files import Run
from eqco.engine.launchers import do_shared
from eqco.engine.progress import Log


def main(options: argparse.Namespace) -> None:
    """Do the run of a job file, in this process or as one of torchrun's, whose first one prints."""
    run, is_first = Run.read_job(options.order), os.environ.get("RANK", "0") == "0"
    done = do_shared(run, Log(run.recipe.batch_size) if is_first else None)
    if done is not None:
        top1 = done.metrics.get("linear")
        print(f"{done.run_id}  " + ("done" if top1 is None else f"linear {top1:.2f} %"))
