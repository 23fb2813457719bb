"""Which code made an artefact."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

__all__ = ["code_sha256", "provenance"]


@cache
def code_sha256() -> str:
    """Hash (hex) over hilum's own source files: two installs of the same code agree."""
    root = Path(__file__).resolve().parent.parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".yaml", ".j2"):
            total.update(path.relative_to(root).as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def provenance() -> dict[str, str]:
    """Code, interpreter and the libraries that decide numbers.

    >>> sorted(provenance())[:2]
    ['code_sha256', 'hilum']
    """
    return {
        "hilum": version("hilum"),
        "code_sha256": code_sha256(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "numpy": version("numpy"),
        "openvino": version("openvino"),
    }
