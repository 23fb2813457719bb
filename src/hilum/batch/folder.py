"""The output folder: written by one run at a time, and every file in it whole."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hilum.domain.errors import UsageError

__all__ = [
    "clear_leftovers",
    "held",
    "refuse_if_held",
    "remove_files",
    "sync_folder",
    "write_whole",
]

LOCK = ".lock"
UNFINISHED = ".hilum.tmp"
"""How the name of a file ends that is not whole yet. No user's file is called so."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What a file system says that has no locks, as some network shares have none."""


@contextmanager
def held(out: Path) -> Generator[None]:
    """Be the only run that writes to a folder.

    The system gives the lock back when the process ends, however it ends: a killed run leaves a
    file and no lock. Where system or file system have no locks, nothing is held.

    Raises:
        UsageError: at once, when another run holds the folder.
    """
    with (out / LOCK).open("a+", encoding="utf-8") as file:
        if not _locked(file):
            file.seek(0)
            holder = " ".join(file.read(200).split()) or "another run"
            raise UsageError(
                f"an output folder is written by one run at a time; {out} is in use by {holder}. "
                "Wait for it, or name another folder with -o"
            )
        with naming(out / LOCK):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def refuse_if_held(out: Path) -> None:
    """Find out early, before anything slow is begun, that another run holds a folder.

    Raises:
        UsageError: when it does.
    """
    if (out / LOCK).is_file():
        with held(out):
            pass


def _locked(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Say which file it was when the disk is full; a write that fails does not say it itself."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_whole(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file so that nobody ever sees half of it: beside its place, then moved there.

    Args:
        path: where to.
        data: all of it.
        durable: wait until the disk has it, so that it is whole after a power cut too.
    """
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        with naming(path), unfinished.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows which files a folder has."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


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
