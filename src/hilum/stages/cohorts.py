"""The films of a run: bound once, then found again and checked to be the same."""

from __future__ import annotations

from pathlib import Path

from hilum.datasets import open_dataset, without
from hilum.domain.errors import DatasetError
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import Cohort, Split
from hilum.runs.facts import BoundFilms
from hilum.runs.folder import RunFolder
from hilum.splits import SplitTable, assign

__all__ = ["bind", "split_of"]

DEFAULT_POLICY = LabelPolicy()
"""The policy that training has too where none is named."""


def bind(run: RunFolder, data: Path, policy: LabelPolicy = DEFAULT_POLICY) -> None:
    """Bind an imported network to a dataset: write split.csv, and the films into run.json.

    A run that has films keeps them: `split_of` then refuses a dataset with different records.

    Args:
        run: a finished run.
        data: the dataset's folder.
        policy: what uncertain, blank and contradicting labels count as.

    Raises:
        DatasetError: when the folder is not a dataset.
        UsageError: when the policy leaves a label of the dataset open.
    """
    facts = run.facts()
    if facts.films is not None:
        return
    cohort = settle(open_dataset(data), policy)
    splits = assign(cohort)
    splits.check(cohort)
    splits.write(run.split)
    films = BoundFilms.from_splits(cohort, splits, data, policy)
    run.write_facts(facts.model_copy(update={"films": films}))


def split_of(run: RunFolder, split: Split, data: Path | None) -> Cohort:
    """Return the run's films of one split.

    Args:
        run: a finished run.
        split: train, tune, calibrate or test.
        data: the dataset's folder; None for the folder that the run names.

    Raises:
        DatasetError: when films, patients or labels are not those that the run is bound to.
        LeakError: when patients cross splits.
        UsageError: for an imported network that no dataset was named for.
    """
    films = run.films()
    run.refuse_edited_config()
    root = data or Path(films.data)
    cohort = open_dataset(root, films.dataset)
    if run.excluded.exists():
        names = frozenset(run.excluded.read_text("utf-8").split())
        cohort = without(cohort, names, f"listed in {run.excluded.name}")
    cohort = settle(cohort, films.policy or DEFAULT_POLICY)
    if cohort.sha256() != films.records_sha256:
        raise DatasetError(
            f"the dataset must be the one of the run; films, patients or labels in "
            f"{root} differ from those of {run.root}. Name the right folder with --data"
        )
    table = SplitTable.read(run.split)
    for name, expected in films.split_sha256.items():
        if table.sha256(Split(name)) != expected:
            raise DatasetError(
                f"the split must be the one of the run; {run.split} was modified: its {name} films "
                "are different. Restore it"
            )
    return table.of(cohort, split)
