"""`hilum errors`: the surest calls of an evaluation, wrong and right, with film and heatmap."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import INPUT, MODEL, OUTPUT, Json, Quiet, Verbose, writable
from hilum.cli.terminal import print_json, progress, say, telling
from hilum.domain.errors import UsageError, counted

__all__ = ["errors"]


def errors(
    evaluated: Annotated[
        Path, typer.Argument(help="An evaluated run, or the folder of an evaluation.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Top folder of the dataset with the films (default for a run: its own).",
            rich_help_panel=INPUT,
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            "--maps",
            help="Run or bundle that draws the heatmaps (default: the run; else none).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder to write to (default: errors in the evaluated folder).",
            rich_help_panel=OUTPUT,
            callback=writable,
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Show the surest wrong and right calls of each finding.

    The calls are those of cases.csv, which `hilum evaluate` writes. Where the films cannot be had,
    the page holds the table alone.
    """
    from hilum.bundle.bundle import locate
    from hilum.runs.folder import RunFolder
    from hilum.stages.errors import PAGE, ErrorRequest, browse_errors
    from hilum.stages.index import write_index

    if not evaluated.is_dir():
        raise UsageError(f"errors are those of a run or an evaluation's folder; got {evaluated}")
    place = out or evaluated / "errors"
    network = None if maps is None else maps if (maps / "run.json").is_file() else locate(maps)
    with telling(verbose), progress(quiet) as step:
        browser = browse_errors(
            ErrorRequest(evaluated, data, network),
            place,
            lambda done, total: step("reading films", done, total),
        )
    write_index(RunFolder(evaluated))
    for note in browser.notes:
        say(note, quiet)
    wrong = sum(call.wrong for call in browser.calls)
    say(f"{counted(len(browser.calls), 'call')}, {wrong:,} of them wrong", quiet)
    if as_json:
        calls = {"calls": len(browser.calls), "wrong": wrong, "films": len(browser.pictures)}
        print_json({"page": str(place / PAGE), **calls, "notes": list(browser.notes)})
    else:
        typer.echo(place / PAGE)
