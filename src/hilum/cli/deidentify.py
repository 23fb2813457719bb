"""`hilum deidentify`: films without the patient's identity, for research."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import MACHINE, OUTPUT, Json, Out, Quiet
from hilum.cli.predict import FollowLinks
from hilum.cli.terminal import print_json, progress, say

__all__ = ["deidentify"]

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Key file of the pseudonyms, made if missing (default: in the user's settings).",
        rich_help_panel=OUTPUT,
    ),
]
KeepWords = Annotated[
    list[str] | None,
    typer.Option(
        help="Keep dates-shifted, dates, characteristics, device, institution, uids "
        "(default: none).",
        rich_help_panel=OUTPUT,
    ),
]
CleanPixels = Annotated[
    bool,
    typer.Option(
        "--clean-pixels",
        help="Black out text that is found in the pixels instead of blocking the film.",
        rich_help_panel=OUTPUT,
    ),
]
Mapping = Annotated[
    Path | None,
    typer.Option(
        help="File outside the output for the real names and UIDs (default: never written).",
        rich_help_panel=OUTPUT,
    ),
]
Timeout = Annotated[
    int, typer.Option(min=1, help="Seconds to read one file.", rich_help_panel=MACHINE)
]


def deidentify(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs or lists.")],
    out: Out,
    key: KeyFile = None,
    keep: KeepWords = None,
    clean_pixels: CleanPixels = False,
    mapping: Mapping = None,
    follow_links: FollowLinks = False,
    timeout: Timeout = 30,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write DICOM objects without the patient's identity.

    Films, presentation states, reports and key object selections, after DICOM PS3.15. A film with
    text in its pixels is blocked. deidentified.csv has a row for every input. Exit code 3: some
    were not exported.
    """
    from hilum import api
    from hilum.batch.deidentify import TABLE
    from hilum.files.rows import outcomes

    remarks: list[str] = []
    with terminal.stoppable("the same command"), progress(quiet) as step:
        rows = api.deidentify(
            inputs,
            out,
            key=key,
            keep=keep or (),
            clean_pixels=clean_pixels,
            mapping=mapping,
            follow_links=follow_links,
            timeout_s=timeout,
            advance=step,
            remark=None if quiet and not as_json else remarks.append,
        )
    found = outcomes(rows)
    for line in remarks:
        say(line, quiet)
    say(", ".join(f"{count:,} {words}" for words, count in sorted(found.items())), quiet)
    if as_json:
        outcomes = {"inputs": len(rows), "outcomes": dict(found), "remarks": remarks}
        print_json({"table": str(out / TABLE), **outcomes})
    else:
        typer.echo(out / TABLE)
    if any(row.status in ("reject", "error") for row in rows):
        raise typer.Exit(terminal.REFUSED)
