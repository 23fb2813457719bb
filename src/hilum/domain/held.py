"""A folder that one process at a time writes to."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hilum.domain.errors import UsageError
from hilum.domain.whole import naming

__all__ = ["LOCK", "held", "refuse_if_held"]

LOCK = ".lock"
"""The file of a folder that whoever writes to it holds."""
NO_LEAVE = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What a file system says that has no locks, as some network shares have none."""


@contextmanager
def held(folder: Path, wait: bool = False) -> Generator[None]:
    """Be the only process that writes to a folder.

    The system gives the lock back when the process ends, however it ends: a killed run leaves a
    file and no lock. Where system or file system have no locks, nothing is held.

    Args:
        folder: made if it is not there.
        wait: for whoever holds it, instead of refusing.

    Raises:
        UsageError: at once, when another process holds the folder and nobody is to wait, or when
            nothing may be written there.
    """
    with _opened(folder) as file:
        if not _locked(file, wait):
            file.seek(0)
            holder = " ".join(file.read(200).split()) or "another run"
            raise UsageError(
                f"an output folder is written by one run at a time; {folder} is in use by "
                f"{holder}. Wait for it, or name another folder with -o"
            )
        with naming(folder / LOCK):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _opened(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        if error.errno not in NO_LEAVE:
            raise
        raise UsageError(
            f"an output folder must be one that may be written to; {folder}: {error.strerror}. "
            "Name another folder with -o"
        ) from None


def refuse_if_held(folder: Path) -> None:
    """Find out early, before anything slow is begun, that another run holds a folder.

    Raises:
        UsageError: when it does.
    """
    if (folder / LOCK).is_file():
        with held(folder):
            pass


def _locked(file: IO[str], wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True
