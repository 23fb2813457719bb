"""Version of the code that made an artifact."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["SCORING", "TRAINING", "code_sha256", "provenance"]


SCORING = (
    *("domain", "files", "confined", "imaging", "calibration", "inference", "explain"),
    *("runs", "reading", "bundle", "batch", "interchange"),
)
"""Rooms that decide a score, a picture or a line of a journal. Neither the command line nor the
reports: to mend a word there does not make a half-done archive another batch."""
TRAINING = (
    *("domain", "files", "confined", "imaging", "datasets", "splits", "metrics", "model"),
    *("runs", "reading", "training"),
)
"""Rooms that decide what a training run becomes."""


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
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        counted = not rooms or name.parts[0] in rooms
        if counted and path.suffix in (".py", ".yaml", ".j2"):
            total.update(name.as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()


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
