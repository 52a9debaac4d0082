"""The oldest versions that pyproject.toml allows, as pip's constraints: `tox -e lowest`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest() -> list[str]:
    """`name==version` of each dependency of the suite and its tests, sorted.

    Raises:
        ValueError: a dependency has no lower bound.
    """
    found = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = found["optional-dependencies"]
    lines = []
    for needed in [*found["dependencies"], *extras["suite"], *extras["slurm"], *extras["test"]]:
        if needed.startswith("eqco["):
            continue
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)", needed)
        if match is None:
            raise ValueError(f"{needed!r} of {PROJECT} has no lower bound: write NAME>=VERSION")
        lines.append("==".join(match.groups()))
    return sorted(lines)


if __name__ == "__main__":
    print("\n".join(lowest()))
