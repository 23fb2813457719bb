"""`hilum check`: what is here, what is missing, what would leak."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import (
    INPUT,
    OUTPUT,
    Blank,
    Exclude,
    Full,
    Json,
    LabelSet,
    NoFinding,
    Quiet,
    ReaderName,
    Seed,
    StrayFilms,
    Uncertain,
    Verbose,
    Views,
    Votes,
    label_policy,
    writable,
)
from hilum.cli.terminal import columns, progress, telling
from hilum.domain.errors import counted

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
        help="Folder for JSON, tables, a page and a picture (default: print only).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]
AsPage = Annotated[
    Path | None,
    typer.Option(
        "--html",
        help="File for the page of all tables (default: none; -o writes check.html).",
        rich_help_panel=OUTPUT,
        callback=writable,
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
    html: AsPage = None,
    seed: Seed = 0,
    full: Full = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Check a dataset: counts, labels, splits, missing, bad films.

    Exit code 3: checked to the end, and something would make training or measuring wrong.
    """
    from hilum import api
    from hilum.report.inspection.tables import markdown, terminal_summary
    from hilum.stages.films import film_names

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"votes": votes, "label_set": label_set}
    policy = label_policy(**words)
    excluded = () if exclude is None else film_names(exclude)
    if data_set is None and (films_alone := _films_without_table(place)):
        typer.echo("\n".join(films_alone))
        raise typer.Exit(terminal.USAGE)
    with telling(verbose), progress(quiet) as step:
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
    written = _write_all(inspection, out, html)
    if json:
        typer.echo(inspection.model_dump_json(indent=2))
    elif full:
        typer.echo(markdown(inspection), nl=False)
    else:
        typer.echo(terminal_summary(inspection, columns()))
        place_of_all = "-o FOLDER" if out is None else "check.md in the same folder"
        typer.echo(f"All tables: {place_of_all}, or --full")
    for path in written:
        typer.echo(path, err=json)
    if not inspection.sound:
        raise typer.Exit(terminal.REFUSED)


def _write_all(inspection: DatasetInspection, out: Path | None, html: Path | None) -> list[Path]:
    """Write the requested files, and return the paths to print."""
    written: list[Path] = []
    if out is not None:
        _write(inspection, out)
        written.append(out / "check.json")
    if html is not None:
        _write_page(inspection, html)
        written.append(html)
    return written


def _films_without_table(place: Path) -> list[str]:
    """Return three lines on a folder that holds films and no table; none for any other place."""
    from hilum.batch.walk import walk

    if not place.is_dir():
        return []
    for _, _, names in os.walk(place):
        if any(Path(name).suffix.lower() in TABLES for name in names):
            return []
    found = sum(one.refusal is None for one in walk(place))
    if not found:
        return []
    return [
        f"{counted(found, 'film')} in {place}.",
        "No table of labels (CSV or TSV): nothing to check splits, labels or leaks with.",
        f"Score the films: hilum predict starter {place} -o REPORT",
    ]


TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".json", ".gz", ".zip", ".parquet")
"""Suffixes of files that may hold labels: such a folder is no folder of films alone."""


def _write(inspection: DatasetInspection, out: Path) -> None:
    from hilum.files.sealed import write_sealed
    from hilum.report.inspection.figure import write_figure
    from hilum.report.inspection.page import inspection_page
    from hilum.report.inspection.tables import co_occurrence_csv, markdown

    out.mkdir(parents=True, exist_ok=True)
    write_sealed(inspection, out / "check.json")
    (out / "check.md").write_text(markdown(inspection), "utf-8")
    (out / "co_occurrence.csv").write_text(co_occurrence_csv(inspection.labels), "utf-8")
    (out / "check.html").write_bytes(inspection_page(inspection).encode())
    write_figure(inspection, out / "check.png")


def _write_page(inspection: DatasetInspection, file: Path) -> None:
    from hilum.report.inspection.page import inspection_page

    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(inspection_page(inspection).encode())
