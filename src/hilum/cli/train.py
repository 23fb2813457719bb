"""`hilum train`: from a dataset to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import Data, Out, Quiet
from hilum.cli.progress import progress, say
from hilum.domain.errors import UsageError

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
    quiet: Quiet = False,
) -> None:
    """Train a network on a dataset's train split; calibrate and test stay unread.

    Patients are split by the dataset's official test list, where it has one, and by a hash.
    """
    from hilum.datasets import open_dataset, without
    from hilum.splits import assign
    from hilum.training.config import load_config
    from hilum.training.run import RunFolder

    resolved = load_config(config, tuple(changes or ()))
    run = RunFolder(out)
    if (out / "run.json").exists():
        raise UsageError(f"a run is trained in a new folder; {out} holds a finished one")
    cohort = open_dataset(data)
    if exclude is not None:
        names = _names(exclude)
        cohort = without(cohort, names, f"listed in {exclude.name}")
        out.mkdir(parents=True, exist_ok=True)
        run.excluded.write_text("".join(f"{name}\n" for name in sorted(names)), "utf-8")
    splits = assign(cohort, resolved.split, resolved.seed)
    say(f"{cohort.dataset}: {len(cohort):,} films; split {splits.name}", quiet)
    from hilum.training.train import train as train_run

    with progress(quiet) as step:
        train_run(resolved, cohort, splits, (run, data), step)
    facts = run.facts()
    best = "none" if facts.best_tune_auroc is None else f"{facts.best_tune_auroc:.3f}"
    say(f"kept epoch {facts.best_epoch}: macro AUROC {best} on tune (chosen by it)", quiet)
    typer.echo(out)


def _names(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text("utf-8").split())
    except OSError as error:
        raise UsageError(f"--exclude must be a readable file; {path}: {error.strerror}") from None
