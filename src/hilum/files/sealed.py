"""A seal over a JSON document: an edit by hand shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hilum.domain.errors import BundleError

__all__ = [
    "file_sha256",
    "first_fault",
    "is_sealed",
    "read_seal",
    "read_sealed",
    "seal",
    "write_sealed",
]

M = TypeVar("M", bound=BaseModel)


def seal(document: Mapping[str, Any]) -> str:
    """sha256 (hex) of the document without its own `seal`, keys sorted.

    It shows edits and damage; it is no signature, since anybody can compute it.

    >>> seal({"b": 1, "a": 2}) == seal({"a": 2, "b": 1, "seal": "anything"})
    True
    """
    body = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_sealed(document: Mapping[str, Any]) -> bool:
    """Return whether the document carries its own seal, unbroken.

    >>> is_sealed({"a": 1}), is_sealed({"a": 1, "seal": seal({"a": 1})})
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


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a document: its place and what must hold there, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"


def write_sealed(document: BaseModel, path: Path) -> None:
    """Write a model as JSON with its seal."""
    tree = document.model_dump(mode="json")
    tree["seal"] = seal(tree)
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")


def read_sealed(
    kind: type[M], path: Path, lift: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> M:
    """Read what `write_sealed` wrote.

    Args:
        kind: the model to read.
        path: the file.
        lift: turns the checked content, seal excluded, into the present shape of `kind`; for
            documents whose older shapes are completed from another file.

    Raises:
        BundleError: for a missing, edited or foreign file.
    """
    tree = _read_tree(path)
    del tree["seal"]
    try:
        return kind.model_validate(tree if lift is None else lift(tree))
    except ValidationError as error:
        raise BundleError(f"{path}: {first_fault(error)}") from None


def read_seal(path: Path) -> str:
    """Return the seal (sha256, hex) that a document carries, once it is found unbroken.

    It identifies the document. It is read from the file and not computed from a model, so that a
    document of an older shape keeps its identity in a version that reads it into a newer shape.

    Raises:
        BundleError: for a missing, edited or foreign file.
    """
    return _read_tree(path)["seal"]


def _read_tree(path: Path) -> dict[str, Any]:
    """Return the content of a sealed file, its seal checked and included."""
    try:
        tree = json.loads(path.read_text("utf-8"))
    except OSError:
        raise BundleError(f"{path.name} must be there; {path.parent} has none") from None
    except ValueError as error:
        raise BundleError(f"{path.name} must be JSON; {path}: {error}") from None
    if not isinstance(tree, dict) or not is_sealed(tree):
        raise BundleError(
            f"{path.name} must be as hilum wrote it; {path} was edited since, so its labels, "
            "thresholds and hashes cannot be trusted. Restore it or make it again"
        )
    return tree
