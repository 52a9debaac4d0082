"""Opens every image of a tree, before a run of days does.

    python -m reproductions check --data folder:PATH

Repairing an image later changes the data (see `eqco.data.image_folder.identity`), and with it the
recipe: a run that has started could not continue.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

from eqco.data.decode import decode
from eqco.data.image_folder import identity, scan
from eqco.runtime.cpu import granted_cores
from reproductions.experiments.resolve import data_folder

SHOWN = 20


def problem(path: Path) -> str:
    """Why an image cannot be read; "" where it can."""
    try:
        decode(path)
    except ValueError as error:
        return str(error)
    return ""


def problems(paths: Sequence[Path], processes: int) -> Iterator[str]:
    """`problem` of each image, in no order."""
    if processes == 1:
        yield from map(problem, paths)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(problem, paths, chunksize=64)


def main(args: argparse.Namespace) -> int:
    """Check all images; returns 1 where one cannot be read.

    Args:
        args: data, workers.

    Raises:
        ValueError: the tree is not one of images.
    """
    _, folder = data_folder(args.data)
    tree = scan(folder)
    paths = tree.train.paths() + tree.held_out.paths()
    processes = granted_cores() if args.workers is None else max(1, args.workers)
    unreadable = 0
    for count, reason in enumerate(problems(paths, processes), start=1):
        unreadable += bool(reason)
        if reason and unreadable <= SHOWN:
            print(reason, flush=True)
        if count % 50_000 == 0:
            print(f"{count:,} of {len(paths):,} images read", flush=True)
    counts = "{:,} classes, {:,} training and {:,} held-out images".format(*tree.counts)
    print(f"{folder}: {counts}, content {identity(folder)}; {unreadable} cannot be read")
    return int(unreadable > 0)
