"""Models to compare: single runs, or runs that differ in their seed alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.domain.errors import UsageError
from hilum.runs.facts import Imported
from hilum.runs.folder import RunFolder

__all__ = ["Side", "names_of", "places_of", "title_of"]

_SEEDS = ("seed", "split_seed", "name")
"""Fields of a configuration in which runs of one model may differ."""


@dataclass(frozen=True)
class Side:
    """A model in a comparison.

    Attributes:
        name: printed for it.
        runs: finished runs; several differ in their seed alone.
    """

    name: str
    runs: tuple[RunFolder, ...]

    @classmethod
    def of_run(cls, run: RunFolder) -> Side:
        """Return a model of a single run."""
        return cls(run.root.name, (run,))

    @classmethod
    def of(cls, places: Sequence[Path]) -> Side:
        """Return a model of a run, a folder of runs, or several runs.

        Args:
            places: one run; the folder that `hilum train --seeds` wrote; or the runs themselves.

        Raises:
            UsageError: for a folder without a run, or with one that is not finished.
        """
        if len(places) > 1:
            names = [place.name for place in places]
            return cls(title_of(names), tuple(map(RunFolder, places)))
        (place,) = places
        below = () if (place / "run.json").exists() else _runs_below(place)
        return cls(place.name, below) if below else cls.of_run(RunFolder(place))

    @property
    def first(self) -> RunFolder:
        """The run whose curves are drawn."""
        return self.runs[0]

    def titles(self) -> Iterator[tuple[str, RunFolder]]:
        """Yield each run with what it is called beside those of other models."""
        for run in self.runs:
            yield (self.name if len(self.runs) == 1 else f"{self.name}/{run.root.name}"), run

    def refuse_unlike(self) -> None:
        """Refuse runs of one model that differ in more than their seed, or not even in that.

        Raises:
            UsageError: naming two runs, and what they differ in.
        """
        if len(self.runs) == 1:
            return
        seeds: dict[str, Path] = {}
        first = self._fixed(self.first)
        for run in self.runs:
            own = self._fixed(run)
            keys = [k for k in {**first, **own} if first.get(k) != own.get(k)]
            if keys:
                raise UsageError(
                    f"runs of one model must differ in their seed alone; {self.first.root} and "
                    f"{run.root} differ in {', '.join(keys)}. Name them apart"
                )
            seed = str(run.trained().seed)
            if seed in seeds:
                raise UsageError(
                    f"runs of one model must have different seeds; {seeds[seed]} and {run.root} "
                    f"both have seed {seed}"
                )
            seeds[seed] = run.root

    def _fixed(self, run: RunFolder) -> dict[str, str]:
        run.trained()  # an imported network has no seed to vary
        return {key: value for key, value in _flat(_choices(run)).items() if key not in _SEEDS}

    def choices(self) -> dict[str, str]:
        """Return the configuration that all runs of the model share, or the origin of an import."""
        if len(self.runs) == 1:
            return _flat(_choices(self.first))
        seeds = ", ".join(str(run.trained().seed) for run in self.runs)
        return {**self._fixed(self.first), "seed": seeds}


def _runs_below(place: Path) -> tuple[RunFolder, ...]:
    """Return the runs in a folder, in the order of the numbers in their names."""
    begun = [path.parent for path in place.glob("*/config.yaml")] if place.is_dir() else []
    finished = [path.parent for path in place.glob("*/run.json")] if place.is_dir() else []
    stopped = sorted(set(begun) - set(finished))
    if finished and stopped:
        raise UsageError(
            f"all runs of a model must be finished; {stopped[0]} is not. Finish it with --resume, "
            "or name the finished ones"
        )
    return tuple(RunFolder(path) for path in sorted(finished, key=_numbered))


def _numbered(path: Path) -> tuple[str, int, str]:
    number = re.search(r"(\d{1,18})$", path.name)
    if number is None:
        return path.name, -1, path.name
    return path.name[: number.start()], int(number[1]), path.name


def places_of(model: Path | str | Sequence[Path | str]) -> tuple[Path, ...]:
    """Return the places that a model is named by: one, or several with commas between.

    >>> [place.as_posix() for place in places_of("runs/a,runs/b")]
    ['runs/a', 'runs/b']
    """
    if not isinstance(model, str | Path):
        return tuple(map(Path, model))
    whole = Path(model)
    if whole.exists() or "," not in str(model):
        return (whole,)
    return tuple(Path(part) for part in str(model).split(",") if part)


def title_of(names: Sequence[str]) -> str:
    """Return the name of a model of several runs.

    >>> title_of(["a-1", "a-2", "a-3"]), title_of(["a-1"])
    ('a-1 and 2 more', 'a-1')
    """
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def names_of(tables: Sequence[Path]) -> list[str]:
    """Return names of the files, with as many parent folders as needed to make them unique."""
    depth = 1
    while depth < 8:
        names = ["/".join(table.parts[-depth:]) for table in tables]
        if len(set(names)) == len(names):
            return names
        depth += 1
    return [str(table) for table in tables]


def _choices(run: RunFolder) -> dict[str, Any]:
    """Return the configuration of a trained run, or the origin of an imported one."""
    origin = run.facts().origin
    if isinstance(origin, Imported):
        return origin.model_dump(mode="json")
    return run.config().model_dump(mode="json")


def _flat(tree: Mapping[Any, Any], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, list) and any(isinstance(part, dict) for part in value):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            found |= _flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = str(value)
    return found
