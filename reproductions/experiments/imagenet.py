"""The whole reproduction on ImageNet: check the tree, print the plan, run what is missing.

    python -m reproductions full --data folder:PATH     or EQCO_IMAGENET=PATH in the environment
    python -m reproductions full --plan-only
    python -m reproductions full --launcher slurm --processes 8 --launcher-options "..."

Other options go to pytest, such as -k table1. With several GPUs and no --launcher, torchrun uses
2, 4 or 8 of them for each run: numbers that divide 8, the parts of MoCo's batch norm.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from eqco.data.image_folder import scan
from reproductions.experiments import plan
from reproductions.experiments.resolve import choose_data
from reproductions.scales import SCALES

HERE = Path(__file__).parents[1]


def data_option(option: str, environment: str) -> str:
    """The value of --data, or of EQCO_IMAGENET, which may also be a plain path.

    Raises:
        ValueError: both are empty.
    """
    if option:
        return option
    if not environment:
        raise ValueError(
            "the ImageNet tree is not named: give --data folder:PATH, or set EQCO_IMAGENET to its "
            "path; it holds train/CLASS/*.JPEG and val/CLASS/*.JPEG"
        )
    has_kind = environment.startswith(("folder:", "part:"))
    return environment if has_kind else f"folder:{environment}"


def launcher_words(words: Sequence[str], gpus: int) -> list[str]:
    """Options that start torchrun on this node's GPUs; none where the user gave a launcher."""
    if any(word.startswith(("--launcher", "--processes")) for word in words) or gpus < 2:
        return []
    shared = max(count for count in (1, 2, 4, 8) if count <= gpus)
    return ["--launcher=torchrun", f"--processes={shared}"]


def main(args: argparse.Namespace, words: Sequence[str] = ()) -> int:
    """Check the tree, print the plan, run the tables; returns pytest's exit status.

    Args:
        args: data, seeds, records, checkpoints, throughput, plan_only.
        words: options for pytest.

    Raises:
        ValueError: the tree is not named, or is not ImageNet.
    """
    args.data = data_option(args.data, os.environ.get("EQCO_IMAGENET", ""))
    args.scale, args.tables, args.experiment = "imagenet", None, None
    args.parts = ["tables"]
    _, folder = choose_data(args.data, Path(), SCALES["imagenet"])
    counts = "{:,} classes, {:,} training and {:,} held-out images".format(*scan(folder).counts)
    print(f"{folder}: {counts}\n")
    plan.main(args)
    if args.plan_only:
        return 0
    shared = [
        f"--{name}={getattr(args, name)}"
        for name in ("scale", "data", "seeds", "records", "checkpoints", "precision")
    ]
    launcher = launcher_words(words, torch.cuda.device_count())
    sys.stdout.flush()
    return int(pytest.main([str(HERE), *shared, *launcher, *words]))
