"""The oldest versions that are tested are those that pyproject.toml names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lowest import PROJECT, lowest


def test_every_dependency_has_its_lowest_version() -> None:
    found = lowest()
    assert "torch==2.9" in found
    assert len(found) == len({line.partition("==")[0] for line in found}) > 15


def test_a_dependency_without_a_bound_is_named(tmp_path: Path) -> None:
    other = tmp_path / "pyproject.toml"
    other.write_text(PROJECT.read_text().replace('"pillow>=10"', '"pillow"'))
    with pytest.raises(ValueError, match=r"'pillow'.*has no lower bound"):
        lowest(other)
