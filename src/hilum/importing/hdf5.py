"""Arrays of an HDF5 file, and nothing else of what HDF5 can do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError

__all__ = ["arrays_of"]

_FILTERS = frozenset({1, 2, 3})
"""HDF5's numbers of deflate, shuffle and Fletcher's sum; others load libraries."""
_DEPTH = 32
_MOST_OBJECTS = 100_000
_MOST_BYTES = 4 * 1024**3
_RATIO = 1100
"""Deflate's largest: what is beyond cannot come from the bytes that are there."""


def arrays_of(file: h5py.File, path: Path) -> dict[str, NDArray[Any]]:
    """Return every array by its path.

    Raises:
        BundleError: for links, virtual and external data, filters that load libraries, and sizes
            that the file's bytes cannot hold.
    """
    found: dict[str, NDArray[Any]] = {}
    total = 0
    for name, dataset in _datasets(file, "", 0, str(path)):
        if dataset.dtype.kind not in "fiub":
            continue
        total += math.prod(dataset.shape) * dataset.dtype.itemsize
        if total > _MOST_BYTES:
            raise BundleError(f"{path} must hold less than {_MOST_BYTES} bytes of arrays")
        found[name] = np.asarray(dataset[()])
        if len(found) > _MOST_OBJECTS:
            raise BundleError(f"{path} must hold fewer than {_MOST_OBJECTS} arrays")
    return found


def _datasets(
    group: h5py.Group, above: str, depth: int, where: str
) -> Iterator[tuple[str, h5py.Dataset]]:
    if depth > _DEPTH:
        raise BundleError(f"groups may be nested {_DEPTH} deep; {where} goes deeper")
    for name in group:
        path = f"{above}/{name}".lstrip("/")
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise BundleError(
                f"arrays must lie in the file itself; {where} has a link at {path[:80]}, which can "
                "name other files. Nothing was opened"
            )
        member: Any = group[name]
        if isinstance(member, h5py.Group):
            yield from _datasets(member, path, depth + 1, where)
        elif isinstance(member, h5py.Dataset):
            _check(member, f"{where} ({path[:80]})")
            yield path, member


def _check(dataset: h5py.Dataset, where: str) -> None:
    plist: Any = dataset.id.get_create_plist()
    if dataset.is_virtual or dataset.external:
        raise BundleError(f"arrays must lie in the file itself; {where} is in other files")
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    if not _FILTERS.issuperset(filters):
        raise BundleError(f"{where} needs filter {max(filters)}, which would load a library")
    if dataset.shape is None:
        raise BundleError(f"{where} has no numbers")
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    held = int(dataset.id.get_storage_size())
    if size > held * (_RATIO if filters else 1):
        raise BundleError(f"{where} states {size} bytes; the file holds {held} for it")
