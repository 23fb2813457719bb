"""A seal over a JSON document: an edit by hand shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["file_sha256", "seal", "sealed"]


def seal(document: Mapping[str, Any]) -> str:
    """sha256 (hex) of the document without its own `seal`, keys sorted.

    It shows edits and damage; it is no signature, since anybody can compute it.

    >>> seal({"b": 1, "a": 2}) == seal({"a": 2, "b": 1, "seal": "anything"})
    True
    """
    body = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(document: Mapping[str, Any]) -> bool:
    """Whether the document carries its own seal, unbroken.

    >>> sealed({"a": 1}), sealed({"a": 1, "seal": seal({"a": 1})})
    (False, True)
    """
    return document.get("seal") == seal(document)


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
