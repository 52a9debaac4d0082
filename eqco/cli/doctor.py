"""`eqco doctor`: what this machine has, and what it can run in how many minutes."""

from __future__ import annotations

import argparse
import os
import textwrap
from pathlib import Path
from typing import Any

from eqco.cli.options import print_json
from eqco.engine.progress import duration
from eqco.runtime.cpu import granted_cores

# What each library adds to the losses, which need torch alone.
ADDS = {
    "numpy": "embeddings and images as arrays: train, probe, embed, diagnose",
    "pillow": "pictures: train, probe, embed",
    "filelock": "runs that no two processes do at once: train, tables",
    "torchvision": "ResNets, and images read from files",
    "matplotlib": "the glyphs of the tables, and figures",
    "seaborn": "figures",
    "scipy": "intervals and verdicts of the tables",
    "pandas": "figures and tables as files",
    "pytest": "tables: pytest reproductions",
    "jinja2": "the report as a page",
    "rich": "tables in a terminal",
    "submitit": "--launcher slurm",
}
TRAINING = ("numpy", "pillow", "filelock", "torchvision")  # and to look for data


def lacking(installed: dict[str, str]) -> list[str]:
    """The libraries of training that are not there, by versions that are "none" where missing."""
    return [name for name in TRAINING if installed[name] == "none"]


def devices() -> list[str]:
    """Devices of torch, in words."""
    import torch

    gpus = [
        f"cuda:{place} {torch.cuda.get_device_name(place)}"
        for place in range(torch.cuda.device_count())
    ]
    return [*gpus, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def data_in(folder: Path) -> dict[str, str]:
    """Data sets that are there: drawn, downloaded, or a tree of images."""
    from eqco.data.image_folder import imagenet_name, scan

    cifar10 = (folder / "cifar-10-batches-py").is_dir()
    data_sets = {"glyphs": "drawn characters, embedded: nothing to download"}
    data_sets["cifar10"] = f"in {folder}" if cifar10 else "not there: downloaded at first use"
    try:
        classes, train, held_out = scan(folder).counts
        data_sets["tree"] = f"{folder}: {classes} classes, {train:,} and {held_out:,} images"
        data_sets["imagenet"] = imagenet_name(folder)
    except ValueError:  # no tree, or not all of ImageNet
        data_sets.setdefault("tree", f"none in {folder}: --data names another folder")
    return data_sets


def report(options: argparse.Namespace) -> dict[str, Any]:
    """Everything but the measurement."""
    import torch

    from eqco.artifacts.environment import installed, processor
    from eqco.engine.precision import reported_units

    versions = {name: installed(name) for name in ("torch", *ADDS)}
    units = sorted(reported_units())
    gpu = torch.cuda.is_available()
    native = bool(units) or (gpu and torch.cuda.is_bf16_supported(including_emulation=False))
    return {
        "versions": versions,
        "missing": {name: adds for name, adds in ADDS.items() if versions[name] == "none"},
        "devices": devices(),
        "processor": processor(),
        "bfloat16": {"native": native, "units": units},
        "cores": {"machine": os.cpu_count(), "granted": granted_cores()},
        "threads": options.threads,
        "data": {} if lacking(versions) else data_in(options.data),
    }


def measured(options: argparse.Namespace, cuda: bool) -> dict[str, dict[str, Any]]:
    """Images a second, minutes of a run and the precision of both, by scale."""
    from eqco.config import Machine
    from eqco.engine.precision import fast_precision
    from eqco.engine.throughput import SIZES, images_per_second, minutes

    machine, scales = Machine(device="cuda" if cuda else "cpu", threads=options.threads), {}
    for name, size in SIZES.items():
        rate = images_per_second(size, machine, options.seconds / len(SIZES))
        precision = fast_precision(size.recipe.precision, machine.device)
        scales[name] = {
            "images_per_second": rate,
            "minutes": minutes(size, rate),
            "precision": precision,
        }
    return scales


def words(findings: dict[str, Any]) -> list[str]:
    """The report as lines."""
    cores, bfloat16 = findings["cores"], findings["bfloat16"]
    emulated = "emulated, ten times slower than float32: --precision float32"
    units = f"units {', '.join(bfloat16['units'])}" if bfloat16["units"] else "on the GPU"
    missing = [f"missing    {name}: {adds}" for name, adds in findings["missing"].items()]
    without = lacking(findings["versions"])
    present = [f"{n} {v}" for n, v in findings["versions"].items() if v != "none"]
    lines = [
        textwrap.fill(f"libraries  {', '.join(present)}", 79, subsequent_indent=11 * " "),
        *missing,
        *(["           pip install 'eqco[suite,slurm]' adds them"] if missing else []),
        f"devices    {', '.join(findings['devices'])}",
        f"processor  {findings['processor']}, {cores['granted']} of {cores['machine']} cores "
        "granted",
        f"threads    {findings['threads']}",
        f"bfloat16   {units if bfloat16['native'] else emulated}",
    ]
    if without:
        lines += [f"data       not checked: data and speed need {', '.join(without)}"]
    return lines + [f"{'data' if not n else '':11s}{k}: {v}" for n, (k, v) in enumerate(
        findings["data"].items())]  # fmt: skip


def main(options: argparse.Namespace) -> None:
    """Print the report, then the measurement."""
    findings = report(options)
    if not options.json:
        print("\n".join(words(findings)), flush=True)
    timed = options.seconds and not lacking(findings["versions"])
    if timed:
        findings["scales"] = measured(options, findings["devices"][0].startswith("cuda"))
    if options.json:
        print_json(findings)
    elif timed:
        from eqco.recipe import IMAGES

        print(f"\n{'scale':15s}{'one run':11s}images/s  precision  images ({options.seconds:g} s)")
        for name, scale in findings["scales"].items():
            rate = f"{scale['images_per_second']:,.{0 if scale['images_per_second'] > 10 else 2}f}"
            cells = f"{duration(60 * scale['minutes']):11s}{rate:>8s}  {scale['precision']:11s}"
            print(f"{name:15s}{cells}{IMAGES[name]}")
