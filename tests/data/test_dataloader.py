"""Workers that read images ahead, on machines with settings of their own."""

from __future__ import annotations

from pathlib import Path

from tests.processes import python
from tests.trees import write_tree


def test_sockets_of_workers_have_short_names_where_the_temporary_folder_has_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    tree = write_tree(tmp_path / "tree")
    code = (
        "from eqco.config import Machine; from eqco.data import open_images; "
        "from tests.trees import files_recipe; from pathlib import Path; "
        f"tree = Path({str(tree)!r}); machine = Machine(threads=1, workers=1, data_dir=tree); "
        "print(open_images(files_recipe(tree), 0, machine).views(0)[0].shape[1])"
    )
    assert python("-c", code, TMPDIR=str(folder)).stdout == "3\n"
