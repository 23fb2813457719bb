"""`hilum train`: train a network on a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli import terminal
from hilum.cli.options import (
    MACHINE,
    MODEL,
    OTHER,
    OUTPUT,
    Data,
    Exclude,
    Json,
    Quiet,
    StrayFilms,
    Verbose,
    writable,
)
from hilum.cli.terminal import Step, progress, say
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.runs.folder import Places
    from hilum.stages.films import TrainingRequest
    from hilum.training.ranks import Ranks
    from hilum.training.sinks import Sinks

__all__ = ["Changes", "Config", "Watching", "train"]

Config = Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Field of the recipe to change: model.backbone=timm/resnet50 (default: none).",
        rich_help_panel=MODEL,
    ),
]
RunOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder of the run (default: none, for --explain-weights only).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue a run that was stopped.", rich_help_panel=OUTPUT),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Train this many runs, which differ in their seed alone (default: one run).",
        rich_help_panel=MODEL,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder that keeps reduced films for later runs (default: none).",
        rich_help_panel=MACHINE,
    ),
]
SinkWords = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        help="Also log epochs to tensorboard, mlflow or mlflow=URI (default: none).",
        rich_help_panel=OUTPUT,
    ),
]
ExplainWeights = Annotated[
    bool,
    typer.Option(
        "--explain-weights",
        help="Print the weight of each label in the loss, and stop.",
        rich_help_panel=OTHER,
    ),
]


def train(
    config: Config,
    data: Data,
    out: RunOut = None,
    changes: Changes = None,
    exclude: Exclude = None,
    allow_unlabelled: StrayFilms = False,
    resume: Resume = False,
    seeds: Seeds = None,
    cache: Cache = None,
    sinks: SinkWords = None,
    explain_weights: ExplainWeights = False,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a dataset's train split.

    Patients are split by the dataset's official test list, where it has one, and by a hash. Several
    processes, on one machine or more, are started by torchrun with the same command. With --seeds
    the folder holds a run for each seed (seed-0, seed-1), all of one split; finished ones stay.
    """
    from hilum.runs.recipe import load_config
    from hilum.stages.films import TrainingRequest

    resolved = load_config(config, tuple(changes or ()))
    request = TrainingRequest(resolved, data, exclude, allow_unlabelled)
    if explain_weights:
        lines = _weights(request)
        terminal.print_json({"weights": lines}) if as_json else typer.echo("\n".join(lines))
        return
    if out is None:
        raise UsageError("a run must have a folder; name it with -o")
    from hilum.training.sinks import check

    check(sinks or ())
    from hilum.runs.folder import Places, RunFolder
    from hilum.stages.seeds import plan_runs
    from hilum.training.ranks import joined

    stoppable = terminal.stoppable("the same command with --resume")
    with stoppable, terminal.telling(verbose), joined() as ranks:
        runs = plan_runs(request, Places(RunFolder(out), data, cache), seeds, resume, ranks.main)
        silent = quiet or not ranks.main
        for number, planned in enumerate(runs, start=1):
            if planned.finished:
                say(f"already finished: {planned.places.run.root}", silent)
                continue
            if seeds is not None:
                say(f"run {number} of {seeds}, seed {planned.request.config.seed}", silent)
            _train(planned.request, planned.places, tuple(sinks or ()), ranks, silent)
        if ranks.main:
            _print([planned.places.run.root for planned in runs], out, as_json)


def _print(runs: Sequence[Path], out: Path, as_json: bool) -> None:
    """Print the folder, or the facts of the run or runs in it."""
    if not as_json:
        typer.echo(out)
    elif runs == [out]:
        typer.echo((out / "run.json").read_text("utf-8").rstrip())
    else:
        import json

        facts = {run.name: json.loads((run / "run.json").read_text("utf-8")) for run in runs}
        terminal.print_json({"runs": facts})


@dataclass(frozen=True)
class Watching:
    """Progress shown in the terminal; finished epochs also go to the sinks."""

    step: Step
    quiet: bool = False
    sinks: Sinks | None = None

    def advance(self, what: str, done: int, total: int) -> None:
        """Move the progress bar."""
        self.step(what, done, total)

    def log(self, line: dict[str, Any]) -> None:
        """Print a finished epoch and send it to the sinks."""
        if self.sinks is not None:
            self.sinks.line(line)
        say(_epoch_line(line), self.quiet)


def _train(
    request: TrainingRequest, places: Places, sinks: tuple[str, ...], ranks: Ranks, quiet: bool
) -> None:
    from hilum.stages.index import write_index
    from hilum.training.sinks import opened
    from hilum.training.train import train as train_run

    config, run = request.config, places.run
    cohort, splits = request.settled(request.read())
    if ranks.main:
        request.keep_excluded(run)
    say(f"{cohort.dataset}: {counted(len(cohort), 'film')}; split {splits.name}", quiet)
    words = sinks if ranks.main else ()
    with progress(quiet) as step, opened(words, run.root, config) as channels:
        train_run(config, cohort, splits, places, Watching(step, quiet, channels), ranks)
    if ranks.main:
        write_index(run)
        trained = run.trained()
        best = "none" if trained.best_tune_auroc is None else f"{trained.best_tune_auroc:.3f}"
        say(f"kept epoch {trained.best_epoch}: macro AUROC {best} on tune (chosen by it)", quiet)


def _epoch_line(line: dict[str, Any]) -> str:
    """One finished epoch in words."""
    area = line["tune_auroc"]
    shown = "none" if area is None else f"{area:.3f}"
    peak = line["peak_memory_mb"]
    memory = "" if peak is None else f", {peak / 1e3:.1f} GB at most"
    return (
        f"epoch {line['epoch']}, {line['phase']}: loss {line['train_loss']:.4f} on train, "
        f"{line['tune_loss']:.4f} on tune; macro AUROC {shown} on tune; "
        f"{line['films_per_s']:,.0f} films/s{memory}"
    )


def _weights(request: TrainingRequest) -> list[str]:
    """What each label of the train split weighs in the loss, as a table."""
    from hilum.domain.record import Split
    from hilum.training import weighting

    cohort = request.read()
    settled, splits = request.settled(cohort)
    films = splits.of(settled, Split.TRAIN)
    states = weighting.dataset_states(cohort, films)
    rows = weighting.effective(films.labels, states, films.states(), request.config)
    return weighting.lines(rows)
