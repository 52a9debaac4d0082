"""The options of the tables, declared once for pytest and for `python -m reproductions`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from eqco.cli.options import COMPILE, DEVICE, THREADS, option, switch
from eqco.engine.launchers import LAUNCHERS
from eqco.recipe import PRECISIONS
from eqco.runtime.validation import known_name, path_argument, whole
from reproductions.experiments.grid import PARTS
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.scales import SCALES

POLICIES = ("missing", "always", "never")
PRECISION = ("auto", *PRECISIONS)


def workers(text: str) -> int | None:
    """An argparse type: a number of processes, or None for "auto"."""
    return None if text == "auto" else whole(0)(text)


OPTIONS: dict[str, dict[str, Any]] = {
    "scale": option(known_name("scale", SCALES),
                    f"one of {', '.join(SCALES)} (default: %(default)s)", default="glyphs"),
    "run": option(known_name("--run policy", POLICIES),
                  "when to train: missing (default), always or never", default="missing"),
    "seeds": option(whole(1, 1000), "how many seeds, 0 .. N-1 (default: %(default)s)", default=1),
    "data": option(str, "folder:PATH, an image tree train/ and val/ or test/; part:PATH at scale "
                   "imagenet, where the tree is not the whole of it", default=""),
    "data-dir": option(path_argument, "where downloads go (default: data)", default=Path("data")),
    "records": option(path_argument, "folder of records (default: runs/records)",
                      default=Path("runs/records")),
    "checkpoints": option(path_argument, "folder of checkpoints (default: runs/checkpoints)",
                          default=Path("runs/checkpoints")),
    "device": DEVICE,
    "threads": {**THREADS, "default": None, "help": "CPU threads of torch (default: 1 where "
                "several runs are made at once, else OMP_NUM_THREADS or the granted cores)"},
    "jobs": option(whole(), "runs at once (default: the granted cores, 2 at least, each run with "
                   "one thread; 1 on a GPU and at scale smoke)"),
    "workers": option(workers, "processes that decode images (default: all cores)", default="auto"),
    "precision": option(known_name("precision", PRECISION), "auto (default: the scale's own, an "
                        "error where this CPU emulates it), float32 or bfloat16; each has records "
                        "of its own", default="auto"),
    "compile": COMPILE,
    "launcher": option(known_name("launcher", LAUNCHERS), "here (default), torchrun or slurm",
                       default="here"),
    "processes": option(whole(), "processes of a run, one per GPU; with torchrun and slurm",
                        default=1),
    "launcher-options": option(str, "torchrun's options, or NAME=VALUE for submitit, such as "
                               "slurm_partition=gpu; cluster=local submits to this machine",
                               default=""),
    "write-jobs": switch("train nothing, write a job file for each missing run: eqco run FILE"),
    "strict-busy": switch("fail where another process is doing a run, instead of skipping it"),
    "throughput": option(path_argument, "measurement of `python -m reproductions throughput`"),
    "tables": option(whole(), "numbers of tables (default: all)", nargs="+"),
    "experiment": option(known_name("experiment", EXPERIMENTS), "the runs of planned experiments "
                         "instead, at their own scale and seeds: " + ", ".join(EXPERIMENTS),
                         nargs="+"),
    "parts": option(known_name("part", PARTS),
                    f"of {', '.join(PARTS)}, in order (default: {{}})", nargs="+"),
}  # fmt: skip
OTHER_DEST = "eqco_{}"  # where pytest keeps an option whose name another plugin has taken
NOT_OF_PYTEST = ("throughput", "tables", "experiment", "parts")
OF_PYTEST = [name for name in OPTIONS if name not in NOT_OF_PYTEST]


def add_free_options(add: Callable[..., Any], taken_names: Collection[str]) -> list[str]:
    """Declare the options of pytest; one whose name another plugin has becomes `--eqco-NAME`.

    As pytest-playwright's `--device`: two plugins with one option would end every session.

    Args:
        add: `addoption` of pytest.
        taken_names: options that other plugins have, such as "--device".

    Returns:
        Names that were taken.
    """
    taken = [name for name in OF_PYTEST if f"--{name}" in taken_names]
    for name in OF_PYTEST:
        if name in taken:
            dest = OTHER_DEST.format(name.replace("-", "_"))
            add(f"--eqco-{name}", dest=dest, **OPTIONS[name])
        else:
            add(f"--{name}", **OPTIONS[name])
    return taken
