"""What the tests of data share."""

from __future__ import annotations

import pytest

from eqco.data.image_folder import ImageTree, scan
from tests.trees import write_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> ImageTree:
    """Twenty training images to read: one is gray, one CMYK, one a PNG by content."""
    return scan(write_tree(tmp_path_factory.mktemp("data") / "photos"))
