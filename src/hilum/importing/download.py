"""Downloads of the catalog: HTTPS, resumable, and the same file every time."""

from __future__ import annotations

import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hilum.domain.errors import BundleError, UsageError
from hilum.files.lock import locked
from hilum.files.sealed import file_sha256
from hilum.importing.kinds import kind_of
from hilum.importing.profile import Profile

__all__ = ["cache_folder", "fetched"]

_TIMEOUT_S = 30.0
_PIECE = 1 << 20
_LARGEST = 4 * 1024**3


def cache_folder() -> Path:
    """Return the folder of downloaded weights."""
    return Path.home() / ".cache" / "hilum" / "weights"


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follow redirects to HTTPS only."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise BundleError(
                f"a download must stay on HTTPS; {req.full_url} leads to {newurl[:200]}. Fetch the "
                "file by hand"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetched(
    profile: Profile,
    mirror: str | None,
    offline: bool,
    say: Callable[[str], None],
    folder: Path | None = None,
    context: ssl.SSLContext | None = None,
) -> Path:
    """Return the local file of a catalog entry, downloaded if it is not here yet.

    The first download's sha256 is kept beside the file, and compared at every later use.

    Args:
        profile: the entry.
        mirror: HTTPS folder to take it from; None for the authors' address.
        offline: use what is here, and nothing else.
        say: called with progress, in words.
        folder: of downloads; None for the user's cache.
        context: certificates to trust; None for the system's.

    Raises:
        UsageError: for an entry without an address, or none here while offline.
        BundleError: for a download that failed or changed.
    """
    if not profile.download:
        raise UsageError(
            f"{profile.name} has no address to download from; fetch the file from {profile.url} "
            "and name it"
        )
    name = Path(urlsplit(profile.download).path).name
    address = profile.download if mirror is None else f"{mirror.rstrip('/')}/{name}"
    if urlsplit(address).scheme != "https":
        raise UsageError(f"a download must be from HTTPS; got {address}. Name an HTTPS folder")
    folder = folder or cache_folder()
    path = folder / name
    if not path.exists():
        if offline:
            raise UsageError(
                f"offline, {profile.name} must be here already; {path} is not. Leave out --offline"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _download(address, path, profile.size_bytes, say, context)
    _compare(path, profile)
    return path


def _compare(path: Path, profile: Profile) -> None:
    """Refuse a file that is not the one of the first use."""
    note = path.with_name(f"{path.name}.sha256")
    found = file_sha256(path)
    wanted = profile.sha256 or (note.read_text("ascii").strip() if note.exists() else "")
    if wanted and wanted != found:
        raise BundleError(
            f"{path} has changed since it was first used: its sha256 was {wanted[:12]}, it is "
            f"{found[:12]}. Delete it to fetch it again"
        )
    if not note.exists():
        note.write_text(f"{found}\n", "ascii")


def _download(
    address: str,
    path: Path,
    expected: int,
    say: Callable[[str], None],
    context: ssl.SSLContext | None,
) -> None:
    partial = path.with_name(f"{path.name}.partial")
    have = partial.stat().st_size if partial.exists() else 0
    tag = path.with_name(f"{path.name}.tag")
    headers = {"User-Agent": "hilum"}
    if have:
        headers |= {"Range": f"bytes={have}-"}
        with suppress(OSError):
            headers |= {"If-Range": tag.read_text("ascii").strip()}
    opener = urllib.request.build_opener(
        _HttpsOnly, urllib.request.HTTPSHandler(context=context or ssl.create_default_context())
    )
    try:
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 (HTTPS, see above)
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            resumed = answer.status == 206
            have = have if resumed else 0
            total = have + int(answer.headers.get("Content-Length") or 0)
            if total > _LARGEST:
                raise BundleError(f"a download may have {_LARGEST} bytes; {address} has {total}")
            if "ETag" in answer.headers:
                tag.write_text(answer.headers["ETag"], "ascii")
            with partial.open("ab" if resumed else "wb") as file:
                while piece := answer.read(_PIECE):
                    have += len(piece)
                    if have > _LARGEST:
                        raise BundleError(f"{address} sends more than {_LARGEST} bytes")
                    file.write(piece)
                    say(f"{have / 1e6:.0f} of {total / 1e6:.0f} MB")
                file.flush()
                os.fsync(file.fileno())
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        raise BundleError(
            f"the download of {address} failed: {' '.join(str(error).split())[:160]}. Run it again "
            "to go on where it stopped"
        ) from None
    if have < total:
        raise BundleError(
            f"the download of {address} was cut at {have} of {total} bytes. Run it again to go on "
            "where it stopped"
        )
    _accept(partial, path, expected)
    tag.unlink(missing_ok=True)


def _accept(partial: Path, path: Path, expected: int) -> None:
    """Move a whole download to its place, unless it is something else than weights."""
    size = partial.stat().st_size
    try:
        if expected and size != expected:
            raise BundleError(f"the file must have {expected} bytes; the server sent {size}")
        kind_of(partial)
    except BundleError:
        partial.unlink()
        raise
    partial.replace(path)
