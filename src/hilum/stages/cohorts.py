"""The cohort of a run, found again and checked to be the one it was trained on."""

from __future__ import annotations

from pathlib import Path

from hilum.datasets import open_dataset, without
from hilum.domain.errors import DatasetError
from hilum.domain.policy import settle
from hilum.domain.record import Cohort, Split
from hilum.runs.folder import RunFolder
from hilum.splits import SplitTable

__all__ = ["split_of"]


def split_of(run: RunFolder, split: Split, data: Path | None) -> Cohort:
    """The run's films of one split.

    Args:
        run: a finished run.
        split: which.
        data: the dataset's folder; None for the one the run was trained on.

    Raises:
        DatasetError: when films, patients or labels are not those the run was trained with.
        LeakError: when patients cross splits.
    """
    facts = run.facts()
    root = data or Path(facts.data)
    cohort = open_dataset(root, facts.dataset)
    if run.excluded.exists():
        names = frozenset(run.excluded.read_text("utf-8").split())
        cohort = without(cohort, names, f"listed in {run.excluded.name}")
    cohort = settle(cohort, run.config().labels)
    if cohort.sha256() != facts.records_sha256:
        raise DatasetError(
            f"the dataset must be the one the run was trained on; films, patients or labels in "
            f"{root} differ from those of {run.root}. Name the right folder with --data"
        )
    table = SplitTable.read(run.split)
    for name, expected in facts.split_sha256.items():
        if table.sha256(Split(name)) != expected:
            raise DatasetError(
                f"the split must be the one the run was trained with; {run.split} was changed: "
                f"its {name} films are others. Restore it"
            )
    return table.of(cohort, split)
