"""Ledger of looks at a test split: one line per look, beside the evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hilum.domain.errors import BundleError
from hilum.domain.provenance import code_sha256

__all__ = ["NAME", "count_look", "mark_choice", "was_chosen_by"]

NAME = "test_ledger.jsonl"
"""The ledger's file name, in a run or beside an evaluation."""


def count_look(ledger: Path, split_sha256: str, facts: Mapping[str, str]) -> int:
    """Record a look at these films; return the number of looks so far.

    A test set that was evaluated often becomes a tuning set: the best of many evaluations is too
    good by chance. Only looks at the same films count.

    Args:
        ledger: the file; created where it is missing.
        split_sha256: hash of the film names, sorted, one per line.
        facts: hashes and names of what was evaluated.

    Raises:
        BundleError: when the ledger is no longer JSON lines with the expected keys.
    """
    _append(ledger, {"split_sha256": split_sha256, **facts})
    return sum("chosen" not in line for line in _lines(ledger, split_sha256))


def mark_choice(ledger: Path, split_sha256: str, chosen: str) -> None:
    """Record that a model was chosen by its numbers on these test films."""
    _append(ledger, {"split_sha256": split_sha256, "chosen": chosen})


def was_chosen_by(ledger: Path, split_sha256: str) -> bool:
    """Return whether these test films were used to choose between models."""
    return ledger.exists() and any("chosen" in line for line in _lines(ledger, split_sha256))


def _append(ledger: Path, line: Mapping[str, str]) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with ledger.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "code_sha256": code_sha256(), "time": when}) + "\n")


def _lines(ledger: Path, split_sha256: str) -> list[dict[str, str]]:
    try:
        lines = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
        return [line for line in lines if line["split_sha256"] == split_sha256]
    except (KeyError, TypeError, ValueError):
        raise BundleError(
            f"the ledger must be JSON lines as hilum wrote them; {ledger} was edited. Restore it"
        ) from None
