"""The plan of a scale: the state and the price of each run of its tables and of its sweep.

    python -m reproductions plan --scale imagenet --seeds 1
    python -m reproductions plan --seeds 5 --parts grid

A price comes from records, else from a measurement of `python -m reproductions throughput`, else,
at the paper's own scale, from the stated price of MoCo v2: 53 h on 8 V100 for 200 epochs.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Busy, Run
from eqco.config import Machine
from eqco.data.image_folder import IMAGENET, scan
from eqco.recipe import IMAGES, Recipe
from eqco.runtime.files import read_json
from eqco.runtime.text import plain
from eqco.runtime.validation import COUNT, positive_finite
from reproductions.experiments.grid import check_choice, chosen_jobs
from reproductions.experiments.resolve import check_batch, choose_data, choose_precision
from reproductions.results.evidence import committed, other_images, user_baseline
from reproductions.results.records import Records, scale_records
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.formats import Grid, to_text

STATED_HOURS = 53.0 * 8  # GPU-hours: facebookresearch/moco README, 8 V100, 200 epochs
PASSES = 4.0  # of a training step: query forward and backward (3), key forward; a probe's has 1


@dataclass(frozen=True)
class Price:
    """Price of a run in hours of one device: per epoch of training and of the probe."""

    training: float
    probing: float
    origin: str

    def hours(self, recipe: Recipe) -> float:
        return self.training * recipe.epochs + self.probing * recipe.probe_epochs


def price_from_records(records: Sequence[Record]) -> Price | None:
    """Median over the records of trained runs; None where there are none."""
    trained = [record for record in records if record.recipe.epochs and record.seconds]
    if not trained:
        return None

    def hours(stage: str, epochs: str) -> float:
        seconds: list[float] = [
            run.seconds[stage] * run.machine.get("processes", 1) / getattr(run.recipe, epochs)
            for run in trained
        ]
        return median(seconds) / 3600

    device = trained[0].machine["device"]
    origin = f"median of {len(trained)} records, {device}"
    return Price(hours("train", "epochs"), hours("probe", "probe_epochs"), origin)


def price_from_measurement(path: Path, images: int = IMAGENET[1]) -> Price:
    """Price from a file of `python -m reproductions throughput`, for so many training images.

    Raises:
        ValueError: the file is no such measurement.
    """
    try:
        measurement: dict[str, Any] = read_json(path)
        rates = measurement["images_per_second"]
        processes = COUNT.check("processes", measurement["processes"])
        hours = images * processes / 3600
        for name in ("training", "probing"):
            positive_finite(name, rates[name])
        date, device = measurement["date"][:10], measurement["device"]
        origin = plain(f"measured {date} on {processes} x {device}")
        return Price(hours / rates["training"], hours / rates["probing"], origin)
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a throughput measurement ({error!r}): make it with "
            "python -m reproductions throughput"
        ) from error


def stated(images: int = IMAGENET[1]) -> Price:
    """Price from the stated time of the official code; the probe by its share of the passes."""
    training = STATED_HOURS / 200 * images / IMAGENET[1]
    origin = "stated: 53 h on 8 V100 for 200 epochs of MoCo v2; the probe derived, a pass of four"
    return Price(training, training / PASSES, origin)


def price_by(scale: str, *records: Sequence[Record], images: int = IMAGENET[1]) -> Price | None:
    """Price by the first records with a trained run, else the stated one of the paper's scale."""
    price = next(filter(None, map(price_from_records, records)), None)
    return stated(images) if price is None and SCALES[scale].paper else price


def best_price(
    scale: str, records: Records, measurement: Path | None, images: int = IMAGENET[1]
) -> Price | None:
    """The price from the best source at hand; None where there is no source.

    Args:
        scale: a name in `reproductions.scales.SCALES`.
        records: of this user.
        measurement: file of a throughput measurement.
        images: number of training images, where images are read from files.
    """
    if measurement is not None:
        return price_from_measurement(measurement, images)
    return price_by(scale, records.all(), committed(scale).records, images=images)


def run_state(job: Run, records: Records, committed: Collection[str] = ()) -> str:
    """ "done", "running", "begun" (a checkpoint waits), "missing", or "committed" instead.

    Args:
        job: with the machine whose checkpoints count.
        records: of this user.
        committed: names of the runs whose records the project has.
    """
    if records.find(job.recipe, job.seed) is not None:
        return "done"
    if job.lock.exists():
        try:
            job.check_free()
        except Busy:
            return "running"
    if job.has_checkpoint:
        return "begun"
    return "committed" if job.run_id in committed else "missing"


def alpha_column(wanted: Sequence[Run]) -> list[str]:
    """alpha of each run; empty where no two runs differ in it alone.

    Names of runs have method, loss and K alone: rows that differ in alpha look the same.
    """
    recipes = [job.recipe for job in wanted]
    cells = {(r.method, r.loss, r.num_negatives, r.alpha) for r in recipes if r.alpha is not None}
    if len(cells) == len({cell[:3] for cell in cells}):
        return []
    return ["" if recipe.alpha is None else f"{recipe.alpha:g}" for recipe in recipes]


def plan(
    wanted: Sequence[Run],
    records: Records,
    price: Price | None,
    unit: str,
    committed: Collection[str] = (),
) -> str:
    """The plan as text: one line a run, then the sums.

    Args:
        wanted: the runs, with the machine whose checkpoints count.
        records: of this user.
        price: of a run.
        unit: of the price, hours of one device.
        committed: names of the runs whose records the project has.
    """
    states = {job.run_id: run_state(job, records, committed) for job in wanted}
    hours = [price.hours(job.recipe) if price else math.nan for job in wanted]
    columns = {"run": list(states), "alpha": alpha_column(wanted), "state": list(states.values())}
    columns[unit] = [f"{hour:,.2f}" for hour in hours]
    frame = pd.DataFrame({title: words for title, words in columns.items() if words})
    done = ("done", "committed")
    hours_left = sum(h for h, s in zip(hours, states.values(), strict=True) if s not in done)
    lines = [to_text(Grid(frame, ("alpha", unit)))]
    names = ["done", *(["committed"] if committed else []), "running", "begun", "missing"]
    counts = Counter(states.values())
    summary = ", ".join(f"{counts[name]} {name}" for name in names)
    lines += ["", f"{len(wanted)} runs: {summary}."]
    if price is None:
        lines.append("No price is known: there are no records of this scale.")
    else:
        lines.append(f"Left: {hours_left:,.1f} {unit}.\nPrice: {price.origin}.")
    return "\n".join(lines)


def main(args: argparse.Namespace) -> int:
    """Print the plan of a scale.

    Raises:
        ValueError: an option is wrong.
    """
    check_choice(args)
    scale, base, images = SCALES[args.scale], SCALES[args.scale].base, IMAGENET[1]
    if args.data:
        base, tree = choose_data(args.data, Path(), scale)
        check_batch(base, tree)
        images = len(scan(tree).train) if base.from_files else images
    records = scale_records(args.records, args.scale)
    if not args.data and scale.needs_folder:  # a run is named by its images too
        own = records.all()
        base = user_baseline(scale, own, records.place) if own else committed(args.scale).base
    base = choose_precision(args.precision, base, args.scale)
    price = best_price(args.scale, records, args.throughput, images)
    machine = Machine(checkpoints=args.checkpoints)
    chosen = chosen_jobs(args, base, range(args.seeds))
    wanted = [job._replace(machine=machine) for job in chosen]
    unit = "GPU-hours" if base.from_files else "hours"
    committed_names = {record.run_id for record in committed(args.scale).records}
    if args.data and (other := other_images(args.scale, base)):
        print(other)
    print(plan(wanted, records, price, unit, committed_names))
    return 0


def scales(args: argparse.Namespace) -> int:
    """Print the scales with their K, prices and records, and the tables with their runs."""
    lines = []
    for name, scale in SCALES.items():
        about = [IMAGES.get(name, scale.base.data), scale.run]
        line = {
            "scale": name,
            "K": ", ".join(map(str, (*scale.below["simo"], scale.base.num_negatives))),
            "yours": str(len(scale_records(args.records, name).all())),
            "committed": str(len(committed(name).records)),
            "images; a run": "; ".join(about if scale.evidence else [*about, "never evidence"]),
        }
        lines.append(line)
    print(to_text(Grid(pd.DataFrame(lines), ("yours", "committed")), 80, fold="images; a run"))
    tables = [table(number, args.scale) for number in TABLES]
    columns = {
        "table": list(map(str, TABLES)),
        f"at scale {args.scale}": [entry.title for entry in tables],
        "rows": [str(len(entry.rows)) for entry in tables],
        "claims": [str(len(entry.claims)) for entry in tables],
    }
    frame = pd.DataFrame(columns)
    print(f"\n{to_text(Grid(frame, ('table', 'rows', 'claims')))}")
    return 0
