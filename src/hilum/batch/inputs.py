"""What the user named, as a list of films."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from hilum.domain.errors import UsageError

__all__ = ["list_inputs", "output_names"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ""})
"""Files that a folder is searched for; the content decides what they are. A file named by the
user is taken whatever its suffix."""

COLUMNS = ("path", "Path", "Image Index", "image_id", "Image_ID", "input")
"""Columns of a CSV list that may name the films."""


def list_inputs(named: Sequence[str]) -> list[Path]:
    """Every film that files, folders, globs and CSV lists name: each once, sorted.

    Folders are searched through all their levels; hidden files and links are not followed.

    Raises:
        UsageError: when a name matches nothing, or a list has no column of films.
    """
    found: dict[Path, Path] = {}
    for name in named:
        for path in _named(name):
            found.setdefault(Path(os.path.abspath(path)), path)  # noqa: PTH100 (links stay links)
    if not found:
        raise UsageError(f"there must be a film to score; nothing in {', '.join(named)}")
    return [path for _, path in sorted(found.items())]


def _named(name: str) -> Iterable[Path]:
    path = Path(name)
    # os.path says no where pathlib raises: for a name too long to be asked about
    if os.path.isdir(path):  # noqa: PTH112
        return _folder(path)
    if path.suffix.lower() == ".csv" and os.path.isfile(path):  # noqa: PTH113
        return _csv(path)
    if not os.path.lexists(path) and glob.has_magic(name):
        matches = [Path(match) for match in glob.glob(name, recursive=True)]  # noqa: PTH207
        if not matches:
            raise UsageError(f"a pattern must match something; '{name}' matches no file")
        return [
            film for match in matches for film in (_folder(match) if match.is_dir() else [match])
        ]
    return [path]


def _folder(root: Path) -> Iterable[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(folder, name)


def _csv(path: Path) -> list[Path]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            column = next((c for c in COLUMNS if c in (reader.fieldnames or ())), None)
            if column is None:
                raise UsageError(
                    f"a list of films must have one of the columns {', '.join(COLUMNS)}; {path} "
                    f"has {', '.join(reader.fieldnames or ()) or 'none'}"
                )
            names = [row[column] for row in reader if row[column]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"a list of films must be CSV in UTF-8; {path}: {error}") from None
    return [Path(name) if Path(name).is_absolute() else path.parent / name for name in names]


def output_names(paths: Sequence[Path]) -> list[str]:
    """A safe, short and unique stem for what is written of each film.

    The file's own name where it is harmless and nobody else has it; else what is harmless of it
    and a hash of the path. Names from outside never become paths.

    >>> output_names([Path("a/x.png"), Path("b/y z.png")])
    ['x', 'y_z-eceab1ed']
    """
    stems = [re.sub(r"[^A-Za-z0-9._-]", "_", path.stem).strip(".")[:80] for path in paths]
    counts = Counter(stems)
    names: list[str] = []
    for path, stem in zip(paths, stems, strict=True):
        if stem != path.stem or counts[stem] > 1 or not stem:
            raw = os.fsencode(path)
            stem = f"{stem or 'film'}-{hashlib.sha256(raw).hexdigest()[:8]}"
        names.append(stem)
    return names
