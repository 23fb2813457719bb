"""Objects that are put once: whole, and never over one that is there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from hilum.files.atomic import UNFINISHED, naming, sync_folder

__all__ = ["copy_once", "put_once"]


def put_once(path: Path, data: bytes) -> bool:
    """Put a file whole, unless there is one; return whether it was put.

    Several processes may put the same file at once: one of them does, and nobody sees half of it.

    Args:
        path: where to; the folder is made.
        data: all of it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "parts" / "0.parquet"
    >>> put_once(path, b"first"), put_once(path, b"second"), path.read_bytes()
    (True, False, b'first')
    """

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(data)

    return _once(path, write)


def copy_once(source: Path, path: Path) -> bool:
    """Copy a file whole, unless there is one; return whether it was copied. As `put_once`."""

    def write(unfinished: Path) -> None:
        shutil.copyfile(source, unfinished)

    return _once(path, write)


def _once(path: Path, write: Callable[[Path], object]) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}{UNFINISHED}")
    try:
        with naming(path):
            write(unfinished)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
        put = _moved(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)
    return put


def _moved(unfinished: Path, path: Path) -> bool:
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: the last of several wins, with the same bytes
        with naming(path):
            unfinished.replace(path)
    return True
