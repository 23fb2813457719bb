"""`hilum localize`: where heatmaps point, and whether they mean anything. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import INPUT, OTHER, OUTPUT, Json, Quiet, Seed, Verbose, writable
from hilum.cli.terminal import progress, telling
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hilum.cli.terminal import Step
    from hilum.domain.record import Cohort

__all__ = ["localize"]


def localize(
    subject: Annotated[Path, typer.Argument(help="A run, a bundle, or starter.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Top folder of the dataset (default for a run: its own).",
            rich_help_panel=INPUT,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder to write to (default for a run: its own).",
            rich_help_panel=OUTPUT,
            callback=writable,
        ),
    ] = None,
    sanity: Annotated[
        bool,
        typer.Option(
            "--sanity",
            help="Check instead that maps depend on the weights.",
            rich_help_panel=OTHER,
        ),
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Measure heatmaps against reader boxes or drawn masks.

    A run is measured on its own test split, a bundle on the patients of the dataset that it has not
    seen. With --sanity the maps are compared with those of the network untrained layer by layer,
    and of two findings; exit code 3: the maps failed.
    """
    from hilum.bundle.bundle import locate

    subject = subject if (subject / "run.json").is_file() else locate(subject)
    is_bundle = (subject / "bundle.json").is_file()
    if is_bundle and (data is None or out is None):
        raise UsageError("a bundle's heatmaps are measured with --data DATASET and -o OUT")
    folder = out or subject
    with telling(verbose), progress(quiet) as step:
        name, text, failed = _measure(subject, data, folder, (sanity, seed), step)
    if not is_bundle and folder == subject:
        from hilum.runs.folder import RunFolder
        from hilum.stages.index import write_index

        write_index(RunFolder(subject))
    if as_json:
        typer.echo((folder / f"{name}.json").read_text("utf-8"), nl=False)
    else:
        typer.echo(text)
        typer.echo(folder / f"{name}.json")
    if failed:
        raise typer.Exit(terminal.REFUSED)


def _measure(
    root: Path, data: Path | None, folder: Path, how: tuple[bool, int], step: Step
) -> tuple[str, str, bool]:
    """Write the numbers; the files' name, the table, and whether the maps failed."""
    from hilum.report.evaluation.heatmaps import heatmap_table, sanity_table
    from hilum.stages import localize as stage

    cohort, place = _films(root, data)
    subject = stage.subject_of(root)
    films = stage.unseen(subject, cohort)
    if how[0]:
        checked = stage.sanity(
            subject, films, how[1], lambda done, total: step("untraining", done, total)
        )
        _write(folder, "sanity", checked, text := sanity_table(checked))
        return "sanity", text, not checked.passed
    found = stage.localize(
        subject, films, place, how[1], lambda done, total: step("reading films", done, total)
    )
    _write(folder, "heatmaps", found, text := heatmap_table(found))
    return "heatmaps", text, False


def _films(root: Path, data: Path | None) -> tuple[Cohort, Path]:
    """A run's test split, or the whole dataset for a bundle; and the dataset's folder."""
    from hilum.datasets import open_dataset
    from hilum.domain.record import Split
    from hilum.runs.folder import RunFolder
    from hilum.stages.films import split_of

    if data is not None and (root / "bundle.json").is_file():
        return open_dataset(data), data
    run = RunFolder(root)
    return split_of(run, Split.TEST, data), data or Path(run.films().data)


def _write(folder: Path, name: str, document: BaseModel, text: str) -> None:
    from hilum.files.sealed import write_sealed

    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(document, folder / f"{name}.json")
    (folder / f"{name}.md").write_text(text, "utf-8")
