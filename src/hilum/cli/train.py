"""`hilum train`: from a dataset to a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli import exits
from hilum.cli.options import Data, Quiet, film_names
from hilum.cli.progress import Step, progress, say
from hilum.domain.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from hilum.domain.record import Cohort
    from hilum.runs.folder import Places
    from hilum.runs.recipe import TrainingConfig
    from hilum.splits import SplitTable
    from hilum.training.ranks import Ranks
    from hilum.training.sinks import Sinks

__all__ = ["AllowUnlabelled", "Changes", "Config", "Exclude", "Request", "Watching", "train"]

Config = Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="Change a field: model.backbone=timm/resnet50.")
]
Exclude = Annotated[
    Path | None, typer.Option(help="Leave these films out: a file with one name a line.")
]
AllowUnlabelled = Annotated[
    bool, typer.Option("--allow-unlabelled", help="Films without a row are expected.")
]


def train(
    config: Config,
    data: Data,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The run's folder.")] = None,
    changes: Changes = None,
    exclude: Exclude = None,
    allow_unlabelled: AllowUnlabelled = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keep the reduced films here, and take them from here the next time."),
    ] = None,
    sinks: Annotated[
        list[str] | None,
        typer.Option("--sink", help="Numbers also go to: tensorboard, mlflow or mlflow=URI."),
    ] = None,
    explain_weights: Annotated[
        bool, typer.Option("--explain-weights", help="Show what each label weighs, and stop.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a dataset's train split; calibrate and test stay unread.

    Patients are split by the dataset's official test list, where it has one, and by a hash. Several
    processes, on one machine or more, are started by torchrun with the same command.
    """
    from hilum.runs.recipe import load_config

    request = Request(load_config(config, tuple(changes or ())), data, exclude, allow_unlabelled)
    if explain_weights:
        typer.echo("\n".join(_weights(request)))
        return
    if out is None:
        raise UsageError("a run must have a folder; name it with -o")
    from hilum.training.sinks import check

    check(sinks or ())
    from hilum.runs.folder import Places, RunFolder
    from hilum.training.ranks import joined

    places = Places(RunFolder(out), data, cache)
    with exits.stoppable("the same command with --resume"), joined() as ranks:
        if ranks.main:
            places.run.refuse_used(resume)
        _train(request, places, tuple(sinks or ()), ranks, quiet or not ranks.main)
        if ranks.main:
            typer.echo(out)


@dataclass(frozen=True)
class Request:
    """Which films are asked for, and what they are to be."""

    config: TrainingConfig
    data: Path
    exclude: Path | None
    allow_unlabelled: bool

    def unwanted(self) -> frozenset[str]:
        """The films to leave out, by name."""
        return frozenset() if self.exclude is None else film_names(self.exclude)

    def read(self) -> Cohort:
        """The dataset as it is, less the films to leave out.

        Raises:
            DatasetError: for no dataset, or films that no row describes.
        """
        from hilum.datasets import open_dataset, without

        cohort = open_dataset(self.data)
        if not self.allow_unlabelled:
            _refuse_unlabelled(cohort, self.data)
        if self.exclude is None:
            return cohort
        return without(cohort, self.unwanted(), f"listed in {self.exclude.name}")

    def settled(self, cohort: Cohort) -> tuple[Cohort, SplitTable]:
        """The cohort as the policy has it, and its split.

        Raises:
            DatasetError: when train, tune or calibrate is empty: now, and not after hours.
        """
        from hilum.domain.policy import settle
        from hilum.domain.record import Split
        from hilum.splits import assign

        settled = settle(cohort, self.config.labels)
        splits = assign(settled, self.config.split, self.config.seed)
        for split in (Split.TRAIN, Split.TUNE, Split.CALIBRATE):
            splits.of(settled, split)
        return settled, splits


@dataclass(frozen=True)
class Watching:
    """Progress to the terminal, and finished epochs to the sinks too."""

    step: Step
    quiet: bool = False
    sinks: Sinks | None = None

    def advance(self, what: str, done: int, total: int) -> None:
        """Move the bar."""
        self.step(what, done, total)

    def log(self, line: dict[str, Any]) -> None:
        """Say a finished epoch."""
        if self.sinks is not None:
            self.sinks.line(line)
        say(_epoch_line(line), self.quiet)


def _train(
    request: Request, places: Places, sinks: tuple[str, ...], ranks: Ranks, quiet: bool
) -> None:
    from hilum.training.sinks import opened
    from hilum.training.train import train as train_run

    config, run = request.config, places.run
    cohort, splits = request.settled(request.read())
    if ranks.main and request.exclude is not None and not run.excluded.exists():
        run.root.mkdir(parents=True, exist_ok=True)
        names = sorted(request.unwanted())
        run.excluded.write_text("".join(f"{name}\n" for name in names), "utf-8")
    say(f"{cohort.dataset}: {len(cohort):,} films; split {splits.name}", quiet)
    words = sinks if ranks.main else ()
    with progress(quiet) as step, opened(words, run.root, config) as told:
        train_run(config, cohort, splits, places, Watching(step, quiet, told), ranks)
    if ranks.main:
        facts = run.facts()
        best = "none" if facts.best_tune_auroc is None else f"{facts.best_tune_auroc:.3f}"
        say(f"kept epoch {facts.best_epoch}: macro AUROC {best} on tune (chosen by it)", quiet)


def _epoch_line(line: dict[str, Any]) -> str:
    """One finished epoch in words."""
    area = line["tune_auroc"]
    said = "none" if area is None else f"{area:.3f}"
    peak = line["peak_memory_mb"]
    memory = "" if peak is None else f", {peak / 1e3:.1f} GB at most"
    return (
        f"epoch {line['epoch']}, {line['phase']}: loss {line['train_loss']:.4f} on train, "
        f"{line['tune_loss']:.4f} on tune; macro AUROC {said} on tune; "
        f"{line['films_per_s']:,.0f} films/s{memory}"
    )


def _weights(request: Request) -> list[str]:
    """What each label of the train split weighs in the loss, as a table."""
    from hilum.domain.record import Split
    from hilum.training import weighting

    cohort = request.read()
    settled, splits = request.settled(cohort)
    films = splits.of(settled, Split.TRAIN)
    said = weighting.dataset_states(cohort, films)
    rows = weighting.effective(films.labels, said, films.states(), request.config)
    return weighting.lines(rows)


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
