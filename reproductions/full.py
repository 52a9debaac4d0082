"""The whole reproduction on ImageNet: check the tree, print the plan, run what is missing.

    python -m reproductions.full --data folder:PATH     or EQCO_IMAGENET=PATH in the environment
    python -m reproductions.full --plan-only
    python -m reproductions.full --launcher slurm --processes 8 --launcher-options "..."

Words that are not its own go to pytest, such as -k table1 or --seeds 3. With several GPUs and no
--launcher each run is shared by as many of them as divide 8, MoCo's parts of batch norm.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from eqco.__main__ import main as eqco
from eqco.recipe import SCALES
from eqco.tree import scan
from reproductions.tables import data_of

HERE = Path(__file__).parent


def data_option(option: str, environment: str) -> str:
    """--data, or what EQCO_IMAGENET says: a path, or folder:PATH or part:PATH.

    Raises:
        ValueError: neither says anything.
    """
    if option:
        return option
    if not environment:
        raise ValueError(
            "the ImageNet tree is not named: give --data folder:PATH, or set EQCO_IMAGENET to its "
            "path; it holds train/CLASS/*.JPEG and val/CLASS/*.JPEG"
        )
    known = environment.startswith(("folder:", "part:"))
    return environment if known else f"folder:{environment}"


def launcher_words(words: Sequence[str], gpus: int) -> list[str]:
    """torchrun over this node's GPUs, where the user has not said anything about launching."""
    if any(word.startswith(("--launcher", "--processes")) for word in words) or gpus < 2:
        return []
    shared = max(count for count in (1, 2, 4, 8) if count <= gpus)
    return ["--launcher=torchrun", f"--processes={shared}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, plan, run; the exit status is pytest's, or 2 where the input is wrong."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.full", description=__doc__)
    parser.add_argument("--data", default="", help="folder:PATH (ImageNet-1k) or part:PATH")
    parser.add_argument("--plan-only", action="store_true", help="check and plan, run nothing")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--records", default="runs/records")
    parser.add_argument("--checkpoints", default="runs/checkpoints")
    parser.add_argument("--throughput", help="file of python -m eqco throughput, for the plan")
    given, words = parser.parse_known_args(arguments)
    try:
        data = data_option(given.data, os.environ.get("EQCO_IMAGENET", ""))
        _, folder = data_of(data, "", SCALES["imagenet"].base)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    counts = "{:,} classes, {:,} training and {:,} held-out images".format(*scan(folder).counts)
    print(f"{folder}: {counts}\n")
    shared = [
        f"--data={data}",
        f"--seeds={given.seeds}",
        f"--records={given.records}",
        f"--checkpoints={given.checkpoints}",
    ]
    measured = [f"--throughput={given.throughput}"] if given.throughput else []
    planned = eqco(["plan", "--scale=imagenet", *shared, *measured])
    if planned or given.plan_only:
        return planned
    launcher = launcher_words(words, torch.cuda.device_count())
    sys.stdout.flush()
    return int(pytest.main([str(HERE), "--scale=imagenet", *shared, *launcher, *words]))


if __name__ == "__main__":
    sys.exit(main())
