"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "UNFINISHED",
    "atomic_file",
    "atomic_folder",
    "move_whole",
    "naming",
    "sync_folder",
    "write_atomic",
]

UNFINISHED = ".hilum.tmp"
"""Suffix of a file that is not complete yet. No user's file has it."""


@contextmanager
def atomic_file(path: Path, durable: bool = True) -> Generator[Path]:
    """Open a file that appears at `path` complete or not at all (atomic write).

    What is written goes beside it and is moved when it is finished. An error, or a kill, leaves the
    file that was there before.

    Args:
        path: where the file will be; its folder is made.
        durable: wait until the disk has it, so that it is whole after a power cut too.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic_file(path) as unfinished:
    ...     _ = unfinished.write_text("all of it")
    >>> path.read_text()
    'all of it'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    unfinished.unlink(missing_ok=True)
    try:
        with naming(path):
            unfinished.touch()
            mode = unfinished.stat().st_mode
            yield unfinished
            unfinished.chmod(mode)  # safetensors gives its files to their owner alone
            if durable:
                _sync(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Generator[Path]:
    """Fill a folder that appears at `path` whole or not at all.

    Args:
        path: where the folder will be; it must not exist yet, and the one above it is made.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "made"
    >>> with atomic_folder(path) as unfinished:
    ...     _ = (unfinished / "a.txt").write_text("all of it")
    >>> [file.name for file in path.iterdir()]
    ['a.txt']
    """
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield work
        work.chmod(0o755)  # a temporary folder is its owner's alone
        work.replace(path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def write_atomic(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file so that nobody ever sees half of it.

    Args:
        path: where to.
        data: all of it.
        durable: wait until the disk has it, so that it is whole after a power cut too.
    """
    with atomic_file(path, durable) as unfinished:
        unfinished.write_bytes(data)


def move_whole(unfinished: Path, path: Path) -> None:
    """Move a file that is written to its place, so that it is there after a power cut too.

    A file that is at the place already stays; it must be the same, such as one that is named by
    the hash of its bytes.

    Args:
        unfinished: the file, on the file system of its place.
        path: its place; the folder is made, and the one above it must exist.
    """
    if path.exists():
        return
    new = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    _sync(unfinished)
    unfinished.replace(path)
    sync_folder(path.parent)
    if new:
        sync_folder(path.parent.parent)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Say which file it was when the disk is full; a write that fails does not say it itself."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows which files a folder has."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        with naming(folder):
            _sync(folder)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
