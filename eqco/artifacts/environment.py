"""Where a run happens: processor, versions of libraries, commit of this package."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from eqco.config import Machine
from eqco.runtime.cpu import granted_cores
from eqco.runtime.distributed import world_size

LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "pillow")
PACKAGE = Path(__file__).parents[1]
# Where another repository than that of the package may be named, as in a hook of git.
OF_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def git(*arguments: str) -> str | None:
    """Output of git in the package's folder; None where it gives no answer."""
    env = {name: value for name, value in os.environ.items() if name not in OF_GIT}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE, env=env, capture_output=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


@cache
def source() -> tuple[str | None, bool | None]:
    """The commit that this package is of, and whether its files differ from it.

    Asked once a process, when its first run starts: what is committed later is not what it runs.
    Both are None where git does not track the package's files. A copy may lie inside another
    repository, whose commit says nothing about it.
    """
    if git("ls-files", "--error-unmatch", "--", "__init__.py") is None:
        return None, None
    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return commit, None if commit is None or changed is None else bool(changed)


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


def tf32() -> dict[str, bool]:
    """Whether a GPU rounds float32 to 10 bits of mantissa in convolutions and matrix products."""
    backends: Any = torch.backends
    kinds = {"convolutions": backends.cudnn.conv, "products": backends.cuda.matmul}
    return {name: kind.fp32_precision == "tf32" for name, kind in kinds.items()}


def provenance(machine: Machine) -> dict[str, Any]:
    """Device, threads, versions and commit of this process; what is unknown is None."""
    cuda = machine.device.startswith("cuda")
    commit, dirty = source()
    return {
        **({"tf32": tf32()} if cuda else {}),
        "device": torch.cuda.get_device_name() if cuda else processor(),
        "device_type": machine.device.split(":")[0],
        "threads": machine.threads,
        "workers": machine.workers,
        "compile": machine.compile,
        "processes": world_size(),
        "cores": granted_cores(),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": {name: installed(name) for name in LIBRARIES},
        "commit": commit,
        "dirty": dirty,
    }
