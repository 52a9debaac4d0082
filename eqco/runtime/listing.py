"""Folders are listed here: data, records and checkpoints.

Names that begin with a dot are other programs': `.ipynb_checkpoints`, `._x.JPEG` of macOS. They are
left out. A link that leads nowhere is an error: it stands for data that is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eqco.runtime.validation import one_line

# What systems put beside data: servers (NAS), archives, trash, previews. In small letters.
NOT_DATA = {
    "@eadir", "@recently-snapshot", "@recycle", "@tmp", "#recycle", "#snapshot", "$recycle.bin",
    "__macosx", "__pycache__", "desktop.ini", "ehthumbs.db", "icon\r", "lost+found",
    "network trash folder", "recycler", "system volume information", "temporary items",
    "thumbs.db",
}  # fmt: skip
ENDINGS = ("@synoeastream", "@synoresource", ".ds_store")


def is_of_a_system(name: str) -> bool:
    """Whether a name is one that servers, archives and trash give; it is no data."""
    name = name.lower()
    return name in NOT_DATA or name.endswith(ENDINGS)


# Why entries are left out; of hidden folders and those of systems, what is inside is not named.
HIDDEN, SYSTEM, OTHER, BESIDE = REASONS = (
    "hidden (a dot before the name)",
    "of a server, an archive or trash",
    "that are no image files",
    "beside the class folders",
)


@dataclass
class SkippedEntries:
    """Entries below a folder that are not data.

    Attributes:
        root: the folder.
        left_out: their paths, by one of REASONS.
        dangling: links to nothing, or back to a folder around them.
    """

    root: Path
    left_out: dict[str, list[str]] = field(default_factory=lambda: {why: [] for why in REASONS})
    dangling: list[str] = field(default_factory=list)

    def check_links(self) -> None:
        """Raise ValueError where there are links that lead nowhere; it names the first."""
        if not self.dangling:
            return
        first, count = min(self.dangling), len(self.dangling)
        aim = os.readlink(first)
        raise ValueError(
            f"{count} link(s) below {self.root} are broken or lead back to a folder around them, "
            f"such as {one_line(first)} to {one_line(aim)}: restore their targets, or remove them"
        )

    def sentence(self) -> str:
        """How many entries were left out, with one of each kind; "" where none was."""
        parts = [
            f"{len(paths):,} {why}, such as {one_line(os.path.relpath(min(paths), self.root))}"
            for why, paths in self.left_out.items()
            if paths
        ]
        return f"{self.root}: entries left out: {'; '.join(parts)}" if parts else ""


NameFilter = Callable[[str], bool]


def ends_in(*endings: str) -> NameFilter:
    """Whether a name has one of some endings, in upper or lower case."""
    return lambda name: os.path.splitext(name)[1].lower() in endings


def entries(folder: str, takes: NameFilter, skipped: SkippedEntries) -> tuple[list[str], list[str]]:
    """Names of the folders in a folder, and of the files that `takes` accepts by name, each sorted.

    Links to folders count as folders; all other entries are added to `skipped`.

    Raises:
        ValueError: the folder cannot be listed.
    """
    folders, files = [], []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                if entry.name.startswith("."):
                    skipped.left_out[HIDDEN].append(entry.path)
                elif is_of_a_system(entry.name):
                    skipped.left_out[SYSTEM].append(entry.path)
                elif entry.is_symlink() and not os.path.exists(entry.path):
                    skipped.dangling.append(entry.path)
                elif entry.is_dir():
                    folders.append(entry.name)
                elif takes(entry.name) and entry.is_file():  # no pipe, no device
                    files.append(entry.name)
                else:
                    skipped.left_out[OTHER].append(entry.path)
    except OSError as error:
        raise ValueError(f"folder {folder} cannot be listed ({error.strerror})") from error
    return sorted(folders), sorted(files)


def files_below(folder: str, takes: NameFilter, skipped: SkippedEntries) -> Iterator[str]:
    """Paths of the files that `entries` takes, in a folder and in all folders below it."""
    folders, files = entries(folder, takes, skipped)
    yield from (os.path.join(folder, name) for name in files)
    for name in folders:
        path = os.path.join(folder, name)
        if os.path.islink(path) and leads_back(path):
            skipped.dangling.append(path)
        else:
            yield from files_below(path, takes, skipped)


def leads_back(link: str) -> bool:
    """Whether a link leads to a folder around it, so that following it would never end."""
    target = os.path.realpath(link)
    parents = Path(os.path.abspath(link)).parents  # they may be links too
    return any(os.path.realpath(folder) == target for folder in parents)


def json_files(folder: Path) -> list[Path]:
    """JSON files in a folder, such as records, sorted; none where there is no folder."""
    if not folder.is_dir():
        return []
    _, files = entries(str(folder), ends_in(".json"), SkippedEntries(folder))
    return [folder / name for name in files]
