"""`hilum train`: from a dataset to a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.options import Data, Out, Quiet, film_names
from hilum.cli.progress import progress, say
from hilum.domain.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from hilum.domain.record import Cohort

__all__ = ["train"]


def train(
    config: Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.")],
    data: Data,
    out: Out,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: model.backbone=densenet121.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(help="Leave these films out: a file with one name a line.")
    ] = None,
    allow_unlabelled: Annotated[
        bool, typer.Option("--allow-unlabelled", help="Films without a row are expected.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a dataset's train split; calibrate and test stay unread.

    Patients are split by the dataset's official test list, where it has one, and by a hash.
    """
    from hilum.datasets import open_dataset, without
    from hilum.domain.policy import settle
    from hilum.domain.record import Split
    from hilum.splits import assign
    from hilum.training.config import load_config
    from hilum.training.run import RunFolder

    resolved = load_config(config, tuple(changes or ()))
    run = RunFolder(out)
    if (out / "run.json").exists():
        raise UsageError(f"a run is trained in a new folder; {out} holds a finished one")
    cohort = open_dataset(data)
    if not allow_unlabelled:
        _refuse_unlabelled(cohort, data)
    if exclude is not None:
        names = film_names(exclude)
        cohort = without(cohort, names, f"listed in {exclude.name}")
        out.mkdir(parents=True, exist_ok=True)
        run.excluded.write_text("".join(f"{name}\n" for name in sorted(names)), "utf-8")
    cohort = settle(cohort, resolved.labels)
    splits = assign(cohort, resolved.split, resolved.seed)
    for split in (Split.TRAIN, Split.TUNE, Split.CALIBRATE):
        splits.of(cohort, split)  # an empty one is refused now, and not after hours
    say(f"{cohort.dataset}: {len(cohort):,} films; split {splits.name}", quiet)
    from hilum.training.train import train as train_run

    with progress(quiet) as step:
        train_run(resolved, cohort, splits, (run, data), step)
    facts = run.facts()
    best = "none" if facts.best_tune_auroc is None else f"{facts.best_tune_auroc:.3f}"
    say(f"kept epoch {facts.best_epoch}: macro AUROC {best} on tune (chosen by it)", quiet)
    typer.echo(out)


def _refuse_unlabelled(cohort: Cohort, data: Path) -> None:
    """Refuse films that no row describes: a table that was cut short would train on what is left.

    Rows without a film, as a part of a download has, are no such thing.
    """
    from hilum.datasets.base import first_names, folder_of
    from hilum.inspection.films import films_without_row

    stray = [path.as_posix() for path in films_without_row(cohort, folder_of(data))]
    if stray:
        raise DatasetError(
            f"every film must have a row in the table; {len(stray):,} in {data} have none, first: "
            f"{first_names(stray)}. Is a part of the table missing? If not, --allow-unlabelled "
            "trains without them"
        )
