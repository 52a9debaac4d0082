"""Records: what was run, where, with what result. One JSON file a run, written whole or not."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eqco.recipe import NUMERICS, Machine, Recipe

Record = dict[str, Any]
LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "pillow", "kornia")


class RecordError(ValueError):
    """A record cannot be trusted: truncated, edited, or of another recipe."""


def checksum(record: Record) -> str:
    """SHA-256 of the record without its own `checksum`, canonical JSON."""
    body = {name: value for name, value in record.items() if name != "checksum"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git(*arguments: str) -> str:
    """Output of git in this package's checkout, "" where there is none."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def installed(name: str) -> str:
    """Version of an installed distribution, or "none"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def provenance(machine: Machine) -> Record:
    """Device, threads, versions and commit of this process."""
    import torch

    from eqco.parallel import world_size

    cuda = machine.device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name() if cuda else processor(),
        "device_type": machine.device.split(":")[0],
        "threads": machine.threads,
        "workers": machine.workers,
        "compile": machine.compile,
        "processes": world_size(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": {name: installed(name) for name in LIBRARIES},
        "commit": git("rev-parse", "HEAD"),
        "dirty": bool(git("status", "--porcelain", "--untracked-files=no", "--", "*.py")),
    }


def make(recipe: Recipe, seed: int, machine: Machine, started: str, **outcome: Any) -> Record:
    """A sealed record of a finished run; `outcome` holds metrics, curves, times and notes."""
    record: Record = {
        "run_id": recipe.run_id(seed),
        "seed": seed,
        "numerics": NUMERICS,
        "recipe": asdict(recipe),
        "machine": provenance(machine),
        "started": started,
        "ended": now(),
        **outcome,
    }
    record["checksum"] = checksum(record)
    return record


def path_of(folder: Path, recipe: Recipe, seed: int) -> Path:
    """Where the record of a run lies."""
    return folder / f"{recipe.run_id(seed)}.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see the old one or the whole new one, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Make a folder, and raise ValueError where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
            pass
    except OSError as error:
        raise ValueError(
            f"folder {folder} cannot be written ({error.strerror}): give another one, or the right "
            "to write there"
        ) from error


def write(folder: Path, record: Record) -> Path:
    """Write a sealed record into `folder`, atomically; returns its path."""
    path = folder / f"{record['run_id']}.json"
    write_atomically(path, json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return path


def refuse_constant(name: str) -> None:
    """Raise ValueError for NaN and Infinity, which no record holds."""
    raise ValueError(f"it holds {name}")


def read(path: Path) -> Record:
    """A record that holds what was written.

    Raises:
        RecordError: the file is truncated or was edited, or its name is not its run's.
    """
    try:
        text = path.read_text(encoding="utf-8")
        record = json.loads(text, parse_constant=refuse_constant)
    except (OSError, ValueError) as error:
        raise RecordError(
            f"record {path} cannot be read ({error}): delete it and run again"
        ) from error
    if not isinstance(record, dict) or record.get("checksum") != checksum(record):
        raise RecordError(
            f"record {path} does not match its checksum, it was edited: delete it and run again"
        )
    if record["run_id"] != path.stem:
        raise RecordError(f"record {path} belongs to run {record['run_id']}: rename it back")
    return record


def find(folder: Path, recipe: Recipe, seed: int) -> Record | None:
    """The record of a run under today's NUMERICS, or None where there is none."""
    path = path_of(folder, recipe, seed)
    if not path.exists():
        return None
    record = read(path)
    if Recipe.of(record["recipe"]) != recipe or record["numerics"] != NUMERICS:
        raise RecordError(f"record {path} was made by another recipe: delete it and run again")
    return record


def read_all(folder: Path) -> list[Record]:
    """All records of a folder under today's NUMERICS, by run_id."""
    records = (read(path) for path in sorted(folder.glob("*.json")))
    return [record for record in records if record["numerics"] == NUMERICS]
