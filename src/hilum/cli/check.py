"""`hilum check`: what is here, what is missing, what would leak."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import (
    INPUT,
    OUTPUT,
    Blank,
    Exclude,
    Json,
    LabelSet,
    NoFinding,
    Quiet,
    ReaderName,
    Seed,
    StrayFilms,
    Uncertain,
    Views,
    Votes,
    label_policy,
)
from hilum.cli.terminal import progress

if TYPE_CHECKING:
    from hilum.domain.documents.inspection import DatasetInspection

__all__ = ["check"]

Reader = Annotated[
    ReaderName | None,
    typer.Option(help="Reader to use (default: recognized by files).", rich_help_panel=INPUT),
]
Films = Annotated[
    bool,
    typer.Option("--films/--no-films", help="Read the films here.", rich_help_panel=INPUT),
]
Sample = Annotated[
    int | None,
    typer.Option(min=1, help="Number of films to read (default: all).", rich_help_panel=INPUT),
]
AlsoOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder for JSON, tables and a picture (default: print only).",
        rich_help_panel=OUTPUT,
    ),
]


def check(
    place: Annotated[Path, typer.Argument(help="The dataset's top folder, or one of its tables.")],
    data_set: Reader = None,
    uncertain: Uncertain = None,
    blank: Blank = None,
    no_finding: NoFinding = None,
    views: Views = None,
    votes: Votes = None,
    label_set: LabelSet = None,
    films: Films = True,
    sample: Sample = None,
    exclude: Exclude = None,
    allow_unlabelled: StrayFilms = False,
    json: Json = False,
    out: AlsoOut = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Check a dataset: counts, labels, splits, missing and bad films.

    Exit code 3: checked to the end, and something would make training or measuring wrong.
    """
    from hilum import api
    from hilum.report.inspection import markdown
    from hilum.stages.films import film_names

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"votes": votes, "label_set": label_set}
    policy = label_policy(**words)
    excluded = () if exclude is None else film_names(exclude)
    with progress(quiet) as step:
        inspection = api.check(
            place,
            data_set=data_set,
            policy=policy,
            films=films,
            sample=sample,
            exclude=excluded,
            allow_unlabelled=allow_unlabelled,
            seed=seed,
            advance=step,
        )
    typer.echo(inspection.model_dump_json(indent=2) if json else markdown(inspection), nl=json)
    if out is not None:
        _write(inspection, out)
        typer.echo(out / "check.json", err=json)
    if not inspection.sound:
        raise typer.Exit(terminal.REFUSED)


def _write(inspection: DatasetInspection, out: Path) -> None:
    from hilum.files.sealed import write_sealed
    from hilum.report.inspection import co_occurrence_csv, markdown, write_figure

    out.mkdir(parents=True, exist_ok=True)
    write_sealed(inspection, out / "check.json")
    (out / "check.md").write_text(markdown(inspection), "utf-8")
    (out / "co_occurrence.csv").write_text(co_occurrence_csv(inspection.labels), "utf-8")
    write_figure(inspection, out / "check.png")
