"""The films that a training run reads: what is left out, what labels count as, and the split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hilum.datasets import open_dataset, without
from hilum.datasets.parts.disk import folder_of
from hilum.datasets.parts.records import first_names
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.policy import settle
from hilum.domain.record import Cohort, Split
from hilum.inspection.films import films_without_row
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.splits import SplitTable, assign

__all__ = ["TrainingRequest", "film_names"]


@dataclass(frozen=True)
class TrainingRequest:
    """Request for the films to train on.

    Attributes:
        config: the recipe.
        data: the dataset's top folder.
        exclude: a file with the names of films to leave out, one a line; None to leave out none.
        allow_unlabelled: whether films that no row describes are expected.
    """

    config: TrainingConfig
    data: Path
    exclude: Path | None = None
    allow_unlabelled: bool = False

    def unwanted(self) -> frozenset[str]:
        """Return the names of the films to leave out."""
        return frozenset() if self.exclude is None else film_names(self.exclude)

    def read(self) -> Cohort:
        """Read the dataset, less the films to leave out.

        Raises:
            DatasetError: when there is no dataset, or films that no row describes.
        """
        cohort = open_dataset(self.data)
        if not self.allow_unlabelled:
            _refuse_without_labels(cohort, self.data)
        if self.exclude is None:
            return cohort
        return without(cohort, self.unwanted(), f"listed in {self.exclude.name}")

    def settled(self, cohort: Cohort) -> tuple[Cohort, SplitTable]:
        """Apply the label policy and split the patients.

        Raises:
            DatasetError: when train, tune or calibrate is empty: now, and not after hours.
        """
        settled = settle(cohort, self.config.labels)
        splits = assign(settled, self.config.split, self.config.seed)
        for split in (Split.TRAIN, Split.TUNE, Split.CALIBRATE):
            splits.of(settled, split)
        return settled, splits

    def keep_excluded(self, run: RunFolder) -> None:
        """Write the names of the films left out into the run's folder, once."""
        if self.exclude is not None and not run.excluded.exists():
            run.root.mkdir(parents=True, exist_ok=True)
            names = sorted(self.unwanted())
            run.excluded.write_text("".join(f"{name}\n" for name in names), "utf-8")


def film_names(path: Path) -> frozenset[str]:
    """Read a list of film names, one a line, as `--exclude` names it.

    Raises:
        UsageError: when the file cannot be read.
    """
    try:
        return frozenset(path.read_text("utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--exclude must be a readable list of films; {path}: {error}") from None


def _refuse_without_labels(cohort: Cohort, data: Path) -> None:
    """Refuse films that no row describes: a table that was cut short would train on what is left.

    Rows without a film, as a part of a download has, are accepted.
    """
    stray = [path.as_posix() for path in films_without_row(cohort, folder_of(data))]
    if stray:
        raise DatasetError(
            f"every film must have a row in the table; {len(stray):,} in {data} have none, first: "
            f"{first_names(stray)}. Is a part of the table missing? If not, --allow-unlabelled "
            "trains without them"
        )
