"""`hilum export-table`: the parts of an archive as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli import terminal
from hilum.cli.options import INPUT, OUTPUT, Json, Quiet
from hilum.cli.terminal import print_json, say
from hilum.domain.errors import counted

__all__ = ["Partial", "export_table"]

Partial = Annotated[
    bool,
    typer.Option("--partial", help="Take an archive that is not finished.", rich_help_panel=INPUT),
]


def export_table(
    parts: Annotated[Path, typer.Argument(help="Folder of an archive, with its parts.")],
    kind: Annotated[
        Literal["csv", "jsonl"],
        typer.Option("--to", help="Form of the table.", rich_help_panel=OUTPUT),
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="File to write (default: that of the report, in the archive's folder).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    partial: Partial = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the rows of an archive as CSV or JSON lines."""
    from hilum.batch.archive.reports import TABLES
    from hilum.batch.archive.reports import export_table as write

    path = out or parts / TABLES[kind].filename
    with terminal.stoppable("the same command"):
        rows = write(parts, kind, path, partial)
    say(f"{counted(rows, 'row')}{' of an archive that may lack some' if partial else ''}", quiet)
    if as_json:
        print_json({"table": str(path), "rows": rows})
    else:
        typer.echo(path)
