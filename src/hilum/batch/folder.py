"""The output folder, free of what is not wanted in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from hilum.files.atomic import UNFINISHED

__all__ = ["clear_leftovers", "remove_files"]


def clear_leftovers(folders: Iterable[Path]) -> None:
    """Remove what a killed run had not finished writing."""
    for folder in folders:
        remove_files(folder, lambda name: name.startswith(".") and name.endswith(UNFINISHED))


def remove_files(folder: Path, unwanted: Callable[[str], bool]) -> None:
    """Remove the files right in a folder whose names are not wanted."""
    with os.scandir(folder) as found:
        names = [entry.name for entry in found if not entry.is_dir(follow_symlinks=False)]
    for name in names:
        if unwanted(name):
            (folder / name).unlink(missing_ok=True)
