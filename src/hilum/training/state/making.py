"""What a run is made from. A stopped run goes on only with the very same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from hilum.domain.errors import UsageError

__all__ = ["Making"]


class Making(BaseModel):
    """What decides the weights of a run, and what may change their last bits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any]
    """The resolved configuration, as JSON has it."""
    labels: tuple[str, ...]
    records: str
    """Hash of films, patients and label states."""
    split: str
    """Hash of the use of every film."""
    films: str = ""
    """Hash of the names of the train and tune films that could be read; empty before they are."""
    code: str
    """Hash of hilum's source."""
    processes: int

    def refuse_other(self, begun: Making, run: Path) -> None:
        """Refuse to go on with a run that was begun otherwise.

        Args:
            begun: what it was begun with.
            run: its folder.

        Raises:
            UsageError: naming what differs: fields of the configuration, records, split, labels
                or films.
        """
        mine, theirs = dict(_flat(self)), dict(_flat(begun))
        if not self.films:
            theirs["films"] = ""
        differ = [key for key in {**theirs, **mine} if mine.get(key) != theirs.get(key)]
        if differ:
            raise UsageError(
                f"a run goes on as it was begun; {run} was begun with another {', '.join(differ)}. "
                "Give what it was begun with, or name another folder with -o"
            )

    def notes(self, begun: Making, epoch: int) -> tuple[str, ...]:
        """What is other now than when the run began, and may show in the last bits of its weights.

        Args:
            begun: the circumstances it began under.
            epoch: in which it goes on.
        """
        found: list[str] = []
        if self.processes != begun.processes:
            found.append(
                f"from epoch {epoch} on trained by {self.processes} processes, before that by "
                f"{begun.processes}"
            )
        if self.code != begun.code:
            found.append(f"from epoch {epoch} on trained by another version of hilum's code")
        return tuple(found)


def _flat(making: Making) -> Iterator[tuple[str, object]]:
    tree = making.model_dump(mode="json", exclude={"code", "processes", "config"})
    yield from _leaves(making.config, "")
    yield from tree.items()


def _leaves(tree: object, above: str) -> Iterator[tuple[str, object]]:
    """The values of a nested document with their dotted names."""
    if isinstance(tree, dict):
        below = tree.items()
    elif isinstance(tree, list):
        below = enumerate(tree)
    else:
        yield above, tree
        return
    for key, value in below:
        yield from _leaves(value, f"{above}.{key}" if above else str(key))
