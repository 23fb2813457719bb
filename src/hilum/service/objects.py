"""The bytes of films, each once, under their SHA-256; and what is derived from them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.files.atomic import move_whole, sync_folder, write_atomic

__all__ = ["FilmObjects", "TooLargeError", "UploadedBytes", "harmless_suffix"]

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


class TooLargeError(Exception):
    """More bytes than a film may have."""


@dataclass(frozen=True)
class UploadedBytes:
    """Bytes that are safe on the disk.

    Attributes:
        sha256: of them.
        size: their number.
    """

    sha256: str
    size: int


def harmless_suffix(name: str) -> str:
    """Return the end of a film's name, which readers compare with its content; or nothing.

    >>> harmless_suffix("a.PNG"), harmless_suffix("../../b.p/ng"), harmless_suffix("1.2.840")
    ('.PNG', '', '.840')
    """
    suffix = os.path.splitext(name)[1]  # noqa: PTH122 (a name, and not a path)
    return suffix if _SUFFIX.fullmatch(suffix) else ""


class FilmObjects:
    """Files below the folder of a store; no name from outside ever becomes part of a path.

    ::

        objects/ab/abcd...   a film's bytes, under their SHA-256; written once
        derived/ab/abcd...-* pixels, maps and pictures, which can be made again
        tmp/                 what is arriving, and links under which films are read

    Args:
        root: the store's folder, made here.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tmp = root / "tmp"
        for name in ("objects", "derived", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def clear_tmp(self) -> None:
        """Remove what a killed service was receiving. One service alone has a store."""
        for path in self._tmp.iterdir():
            path.unlink(missing_ok=True)

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        most: int,
        whole: Callable[[], None] = lambda: None,
    ) -> UploadedBytes:
        """Write bytes as they come, and return when the disk has them.

        Args:
            chunks: the bytes.
            most: bytes that there may be.
            whole: called when all have come; what it raises keeps them out.

        Raises:
            TooLargeError: for more bytes than `most`.
            OSError: when the disk is full.
        """
        from anyio.to_thread import run_sync

        path, digest, size = self._tmp / secrets.token_hex(16), hashlib.sha256(), 0
        try:
            with path.open("xb", buffering=0) as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise TooLargeError
                    digest.update(chunk)
                    _write_all(file.fileno(), chunk)
            whole()
            await run_sync(move_whole, path, self.film(digest.hexdigest()))
        finally:
            path.unlink(missing_ok=True)
        return UploadedBytes(digest.hexdigest(), size)

    def film(self, sha256: str) -> Path:
        """Return the path of a film's bytes."""
        return self.root / "objects" / sha256[:2] / sha256

    def lend(self, sha256: str, film: str, suffix: str) -> Path:
        """Return a path to a film's bytes that ends as its name does, for a reader.

        It is to be given back with `give_back`.
        """
        path = self._tmp / f"{film}-{secrets.token_hex(4)}{suffix}"
        try:
            path.hardlink_to(self.film(sha256))
        except OSError:  # a file system without hard links
            path.symlink_to(self.film(sha256).resolve())
        return path

    def give_back(self, path: Path) -> None:
        """Remove a path that `lend` returned."""
        path.unlink(missing_ok=True)

    def derived(self, film: str, kind: str) -> Path:
        """Return the path of something derived from a film, such as `pixels`."""
        return self.root / "derived" / film[:2] / f"{film}-{kind}"

    def derive(self, film: str, kind: str, data: bytes) -> None:
        """Keep something that is derived from a film, whole or not at all."""
        write_atomic(self.derived(film, kind), data)

    def remove(self, film: str, sha256: str | None) -> None:
        """Remove a film's bytes and everything that is derived from it."""
        if sha256 is not None:
            path = self.film(sha256)
            if path.exists():
                path.unlink()
                sync_folder(path.parent)
        for path in self.derived(film, "").parent.glob(f"{film}-*"):
            path.unlink(missing_ok=True)


def _write_all(descriptor: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(descriptor, left) :]
