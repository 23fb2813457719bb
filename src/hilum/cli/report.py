"""`hilum report`: a finished batch's pages again, or its films as files to send. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import INPUT, OUTPUT, Json, Quiet

__all__ = ["report"]


def report(
    out: Annotated[Path, typer.Argument(help="Folder of a finished `hilum predict`.")],
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="The bundle that scored the films (default: one that ships with hilum).",
            rich_help_panel=INPUT,
        ),
    ] = None,
    film: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a film for the file or the sheets; may be repeated (default: all).",
            rich_help_panel=INPUT,
        ),
    ] = None,
    single_file: Annotated[
        Path | None,
        typer.Option(
            help="File for the film report with its pictures inside (default: none).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a one-page PDF of each film (default: none).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write pages of a finished batch again, or as files to send.

    With --single-file or --pdf the folder itself stays as it is.
    """
    from hilum.batch.rebuild import rebuild, select, write_again, write_sheets, write_single
    from hilum.domain.errors import UsageError

    if film and single_file is None and pdf is None:
        raise UsageError("--film chooses films for --single-file or --pdf; neither is given")
    with terminal.stoppable("the same command"):
        batch = rebuild(out, bundle)
        written: list[Path] = []
        if single_file is None and pdf is None:
            write_again(batch, out)
            written.append(out / "report.html")
        chosen = select(batch, film or [])
        if single_file is not None:
            write_single(chosen, out, single_file, lambda line: terminal.say(line, quiet))
            written.append(single_file)
        if pdf is not None:
            written += write_sheets(chosen, out, pdf)
    if as_json:
        terminal.print_json({"files": [str(path) for path in written]})
    else:
        typer.echo("\n".join(map(str, written)))
