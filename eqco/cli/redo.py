"""`eqco redo`: make a recorded run again, and say whether its numbers come back."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.cli.options import print_json
from eqco.cli.train import progress_of
from eqco.config import NUMERICS, Machine
from eqco.engine.launchers import choose_device
from eqco.engine.run import run
from eqco.runtime.files import check_apart, remove
from eqco.runtime.validation import home_expanded

COMPARED = ("metrics", "diagnostics", "curve", "correct", "steps", "data_fingerprint")
TOLD = ("device", "threads", "processes", "compile", "python", "commit")


def find(name: str, folder: Path) -> Record:
    """The record that a path or the name of a run means.

    Raises:
        ValueError: there is none, or it cannot be trusted.
    """
    file = home_expanded(name)
    record = Record.read(file) if file.is_file() else Record.named(name, folder)
    if record is not None:
        return record
    raise ValueError(
        f"{name} is neither the file of a record nor the name of a run in {folder}: eqco ls "
        f"{folder} lists them"
    )


def numbers(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values in a field of a record, each with its name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from numbers(f"{name}[{place}]", inner)
    else:
        yield name, value


def differences(before: Record, after: Record) -> dict[str, tuple[Any, Any]]:
    """What differs in the outcome of two runs, by name: the earlier value and the later one."""
    earlier, later = (
        dict(pair for field in COMPARED for pair in numbers(field, getattr(record, field)))
        for record in (before, after)
    )
    shared = earlier.keys() & later.keys()  # a record may lack what is kept since
    return {n: (earlier[n], later[n]) for n in earlier if n in shared and earlier[n] != later[n]}


def elsewhere(before: Record, after: Record) -> str:
    """How the machine of the later run differs from that of the earlier one, in words."""
    then, now = ({**r.machine, **r.machine.get("versions", {})} for r in (before, after))
    names = [*TOLD, *sorted(before.machine.get("versions", {}))]
    changed = [
        f"{name} {str(then.get(name))[:24]} -> {str(now.get(name))[:24]}"
        for name in names
        if then.get(name) != now.get(name)
    ]
    return "; ".join(changed)


def sentence(name: str, before: Any, after: Any) -> str:
    """One difference in words."""
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return f"  {name}: {before:.6g} -> {after:.6g} ({after - before:+.2g})"
    return f"  {name}: differs"


def main(options: argparse.Namespace) -> None:
    """Run a record's recipe and seed with its threads; exit status 1 where a number differs.

    Raises:
        ValueError: there is no such record, or its images are not here.
    """
    before = find(options.record, options.records)
    if before.numerics != NUMERICS:
        raise ValueError(
            f"{before.run_id} is of protocol version {before.numerics}, this version computes "
            f"{NUMERICS}: check out commit {before.machine['commit']} to make it again"
        )
    device = options.device
    if device == "auto":
        device = before.machine.get("device_type", "cpu")
    machine = Machine(
        device=choose_device(device),
        threads=before.machine["threads"],
        data_dir=options.data,
        checkpoints=options.out / "checkpoints",
        workers=before.machine.get("workers", 0),
        compile=before.machine.get("compile", False),
    )
    again = Run(before.recipe, before.seed, machine, options.out)
    check_apart(again.record_file, [home_expanded(options.record), options.records])
    after = run(*again, progress_of(options, again.recipe.batch_size))
    assert after is not None  # one process
    for path in (*again.checkpoints, again.record_file):
        remove(path)
    different = differences(before, after)
    place = elsewhere(before, after)
    if options.json:
        print_json({"run_id": before.run_id, "equal": not different, "differs": different})
    elif not different:
        print(f"{before.run_id}: equal to the bit" + (f", though {place}" if place else ""))
    else:
        shown = [sentence(name, *values) for name, values in list(different.items())[:12]]
        print(f"{before.run_id}: {len(different)} numbers differ, the first of them:")
        print(*shown, sep="\n")
        print(f"  made differently: {place}" if place else "  made in the same way")
    if different:
        raise SystemExit(1)
