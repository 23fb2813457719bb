"""`hilum fetch`: chest films of listed studies from an archive into a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import terminal
from hilum.cli.node import Config, need_extra
from hilum.cli.options import INPUT, MACHINE, Json, Out, Quiet
from hilum.cli.terminal import print_json, progress, say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hilum.node.fetch.wanted import StudyKey, StudyQuery

__all__ = ["fetch"]

ListFile = Annotated[
    Path | None,
    typer.Option(
        "--list",
        help="CSV with study_instance_uid, accession_number, or patient_id and date "
        "(default: none, with --query).",
        rich_help_panel=INPUT,
    ),
]
QueryFile = Annotated[
    Path | None,
    typer.Option(
        "--query",
        help="YAML with first_day, last_day, modalities and at_most, instead of a list "
        "(default: none).",
        rich_help_panel=INPUT,
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        help="Films by time, such as 2/s or 30/min (default: as fast as they come).",
        rich_help_panel=MACHINE,
    ),
]
HoursOfDay = Annotated[
    str | None,
    typer.Option(
        help="Hours of the day to work in, such as 20-06 (default: all day).",
        rich_help_panel=MACHINE,
    ),
]


def fetch(
    source: Annotated[str, typer.Argument(help="Name of a source in the configuration.")],
    config: Config,
    out: Out,
    list_file: ListFile = None,
    query: QueryFile = None,
    rate: Rate = None,
    hours: HoursOfDay = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch chest films of listed studies from an archive.

    By DICOM or DICOMweb, as the configuration says. Files are kept as they came, and fetched.csv
    has a row for every line. The same command goes on where it stopped. Exit code 3: some lines
    were not fetched whole.
    """
    need_extra()
    from hilum.files.rows import outcomes
    from hilum.node.fetch.pace import Hours, rate_of
    from hilum.node.fetch.run import TABLE, FetchRequest, fetch_films
    from hilum.node.settings import load_settings

    settings = load_settings(config)
    request = FetchRequest(
        source,
        _wanted(list_file, query),
        None if rate is None else rate_of(rate),
        Hours(hours),
    )
    with terminal.stoppable("the same command"), progress(quiet) as step:
        rows = fetch_films(
            settings, request, out, partial(step, "studies"), lambda line: say(line, quiet)
        )
    found = outcomes(rows)
    say(", ".join(f"{count:,} {words}" for words, count in sorted(found.items())), quiet)
    if as_json:
        films = sum(row.films for row in rows)
        outcomes = {"lines": len(rows), "films": films, "outcomes": dict(found)}
        print_json({"table": str(out / TABLE), **outcomes})
    else:
        typer.echo(out / TABLE)
    if any(row.status not in ("ok", "skip") for row in rows):
        raise typer.Exit(terminal.REFUSED)


def _wanted(list_file: Path | None, query: Path | None) -> Sequence[StudyKey] | StudyQuery:
    from hilum.node.fetch.wanted import read_list, read_query

    if list_file is not None and query is None:
        return read_list(list_file)
    if query is not None and list_file is None:
        return read_query(query)
    raise UsageError("a fetch must have --list or --query, and not both")
