"""A folder that one process at a time writes to."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hilum.domain.errors import UsageError
from hilum.files.atomic import naming

__all__ = ["LOCK", "locked", "refuse_if_locked"]

LOCK = ".lock"
"""Name of the lock file in a folder that is being written."""
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of a file system without locks, as some network shares are."""


@contextmanager
def locked(folder: Path, wait: bool = False) -> Generator[None]:
    """Hold an exclusive lock on a folder.

    The operating system releases the lock when the process ends, however it ends: a killed run
    leaves a file and no lock. Where the file system has no locks, nothing is held.

    Args:
        folder: made if it does not exist.
        wait: wait for the holder instead of refusing.

    Raises:
        UsageError: at once, when another process holds the lock and `wait` is false, or when the
            folder cannot be written.
    """
    path = folder / LOCK
    lock = FileLock(path, timeout=-1 if wait else 0, on_acquired=_write_holder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with naming(path):
            lock.acquire()
    except Timeout:
        raise UsageError(
            f"an output folder is written by one run at a time; {folder} is in use by "
            f"{_holder(path)}. Wait for it, or name another folder with -o"
        ) from None
    except OSError as error:
        if error.errno in NOT_WRITABLE:
            raise UsageError(
                f"an output folder must be one that may be written to; {folder}: "
                f"{error.strerror}. Name another folder with -o"
            ) from None
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                os.truncate(path, 0)
        lock.release()


def refuse_if_locked(folder: Path) -> None:
    """Find out early, before anything slow starts, that another run holds a folder.

    Raises:
        UsageError: when it does.
    """
    if (folder / LOCK).is_file():
        with locked(folder):
            pass


def _write_holder(descriptor: int) -> None:
    """Write who holds the lock into the lock file, for the message of a process that is refused."""
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())


def _holder(path: Path) -> str:
    try:
        return " ".join(path.read_text("utf-8", "replace")[:200].split()) or "another run"
    except OSError:  # Windows does not let others read what is locked
        return "another run"
