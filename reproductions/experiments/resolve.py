"""Options that sessions and sweeps share: data, device, precision, workers, launcher."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from eqco.data import SOURCES
from eqco.data.image_folder import scan
from eqco.engine.precision import emulation
from eqco.recipe import Recipe
from eqco.runtime.cpu import granted_cores
from eqco.runtime.validation import home_expanded
from reproductions.scales import Scale


def data_folder(option: str) -> tuple[str, Path]:
    """The two parts of --data folder:PATH or part:PATH.

    Raises:
        ValueError: it is neither.
    """
    kind, _, path = option.partition(":")
    if kind not in ("folder", "part") or not path:
        raise ValueError(f"--data takes folder:PATH or part:PATH, got {option!r}")
    return kind, home_expanded(path)


def choose_data(option: str, data_dir: Path, scale: Scale) -> tuple[Recipe, Path]:
    """The baseline with the data that --data asks for, and where that data lies.

    Args:
        option: "folder:PATH", "part:PATH", or "" for the scale's own data.
        data_dir: where the scale's own data lies or is downloaded to.
        scale: whose baseline it is.

    Raises:
        ValueError: the scale takes other data, or the folder does not hold it.
    """
    base = scale.base
    if not option:
        if scale.needs_folder:
            raise ValueError("this scale needs --data folder:PATH with train/ and val/ or test/")
        return base, data_dir
    kind, folder = data_folder(option)
    if base.data == "glyphs":
        raise ValueError("--data goes with --scale cifar10-quick, cifar10-cpu, cifar10 or imagenet")
    if kind == "part" and not base.from_files:
        raise ValueError("--data part:PATH goes with --scale imagenet, others take folder:PATH")
    source = SOURCES["imagenet" if base.from_files and kind == "folder" else kind]
    assert source.identify
    return replace(base, data=source.identify(folder)), folder


def check_batch(base: Recipe, folder: Path) -> None:
    """Raise ValueError where a batch takes more images than a user's tree has."""
    if SOURCES[base.data.partition(":")[0]].identify is None:
        return
    images = len(scan(folder).train)
    if base.batch_size > images:
        raise ValueError(
            f"{folder} has {images} training images, a batch of this scale takes "
            f"{base.batch_size}: add images, or train on them by eqco train "
            f"--data {shlex.quote(str(folder))}"
        )


def choose_precision(option: str, base: Recipe, scale: str) -> Recipe:
    """The baseline with the precision that --precision asks for; "auto" leaves it as it is.

    Raises:
        ValueError: bfloat16 at a scale of float32, whose evidence is in float32.
    """
    if option == "bfloat16" and base.precision != option:
        raise ValueError(
            f"--precision bfloat16 goes with --scale cifar10 or imagenet, {scale} is in float32"
        )
    return base if option == "auto" else replace(base, precision=option)


def check_speed(option: str, base: Recipe, device: str) -> None:
    """Raise ValueError where this CPU would emulate bfloat16 and nobody asked for it."""
    slow = emulation(base.precision, device)
    if option == "auto" and slow:
        raise ValueError(
            f"{slow}: use a GPU, give --precision float32, or give --precision bfloat16 to train "
            "anyway"
        )


CLUSTER_WORKERS = 8  # the cores of a cluster's node are not known here


def choose_workers(workers: int | None, base: Recipe, processes: int, launcher: str) -> int:
    """Decoding processes for each training process; None shares the cores among them."""
    if not base.from_files:
        return 0
    if workers is not None:
        return workers
    cores = CLUSTER_WORKERS * processes if launcher == "slurm" else granted_cores()
    return max(1, min(16, cores // processes))


def check_launcher(option: Callable[[str], Any]) -> tuple[str, ...]:
    """The words of --launcher-options, after a check of what goes with a launcher.

    Raises:
        ValueError: options contradict each other.
    """
    launcher, processes = option("launcher"), option("processes")
    try:
        options = tuple(shlex.split(option("launcher_options")))
    except ValueError as error:
        raise ValueError(f"--launcher-options cannot be split into words: {error}") from error
    if launcher == "here" and processes > 1:
        raise ValueError(f"--processes {processes} needs --launcher torchrun or slurm")
    if launcher == "slurm" and not all("=" in word for word in options):
        raise ValueError(f"--launcher-options of slurm are NAME=VALUE, got {options}")
    if option("write_jobs") and option("run") == "never":
        raise ValueError("--write-jobs is for runs that are missing: leave --run never out")
    if option("run") == "always" and (launcher != "here" or option("write_jobs")):
        raise ValueError(
            "--run always works in this process only: leave --launcher and --write-jobs out"
        )
    return options
