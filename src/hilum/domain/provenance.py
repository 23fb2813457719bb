"""Version of the code that made an artifact, and the day."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

__all__ = ["SCORING", "TRAINING", "code_sha256", "provenance", "today"]


SCORING = (
    *("domain", "files", "confined", "imaging", "calibration", "inference", "explain"),
    *("runs", "reading", "bundle", "batch", "interchange"),
)
"""Rooms that decide a score, a picture or a line of a journal. Neither the command line nor the
reports: to mend a word there does not make a half-done archive another batch."""
TRAINING = (
    *("domain", "files", "confined", "imaging", "datasets", "splits", "metrics", "model"),
    *("runs", "reading", "training", "phantom"),
)
"""Rooms that decide what a training run becomes; the phantom says where findings were drawn."""
_SOURCES = (".py", ".yaml", ".j2")


@cache
def code_sha256(*rooms: str) -> str:
    """Return a hash (hex) of hilum's own source files: two installs of the same code agree.

    Args:
        rooms: folders below `hilum`, such as those of `SCORING`; none for the whole package.

    >>> code_sha256("domain") == code_sha256("domain", "files")
    False
    """
    root = Path(__file__).resolve().parent.parent
    total = hashlib.sha256()
    for path in sorted(path for room in rooms or ("",) for path in _sources(root / room)):
        total.update(path.relative_to(root).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _sources(room: Path) -> Iterator[Path]:
    """Yield the source files below a folder, and look at nothing else: every start waits for it."""
    for folder, below, names in os.walk(room):
        below[:] = [name for name in below if name != "__pycache__"]
        yield from (Path(folder, name) for name in names if name.endswith(_SOURCES))


def provenance() -> dict[str, str]:
    """Code, interpreter and the libraries that decide numbers.

    >>> sorted(provenance())[:2]
    ['code_sha256', 'hilum']
    """
    # a reader of films needs the hash of the code, and neither of these
    import platform
    from importlib.metadata import version

    return {
        "hilum": version("hilum"),
        "code_sha256": code_sha256(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "numpy": version("numpy"),
        "openvino": version("openvino"),
    }


def today() -> str:
    """Return the day in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()
