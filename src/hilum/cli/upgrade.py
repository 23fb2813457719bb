"""`hilum upgrade`: may the new bundle replace the old one?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli import terminal
from hilum.cli.archive import processors
from hilum.cli.options import (
    INPUT,
    MACHINE,
    MODEL,
    OUTPUT,
    Blank,
    Json,
    LabelSet,
    NoFinding,
    Out,
    Quiet,
    Uncertain,
    Views,
    label_policy,
)
from hilum.cli.terminal import columns, progress, say

__all__ = ["upgrade"]

OldBundle = Annotated[Path, typer.Argument(help="The bundle that serves, or starter.")]
NewBundle = Annotated[Path, typer.Argument(help="The bundle that may replace it, or starter.")]
Films = Annotated[
    list[str],
    typer.Argument(help="Files, folders, globs or lists; or OLD's and NEW's finished results."),
]
MaybeLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Labels: a dataset folder or one table (default: compare calls alone).",
        rich_help_panel=INPUT,
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help="YAML file of limits that decide (default: nothing is decided).",
        rich_help_panel=MODEL,
    ),
]
TablesOnly = Annotated[
    bool,
    typer.Option(
        "--tables-only", help="Draw no heatmaps and no previews: fastest.", rich_help_panel=OUTPUT
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads (default: all cores).", rich_help_panel=MACHINE),
]


def upgrade(
    old: OldBundle,
    new: NewBundle,
    films: Films,
    out: Out,
    labels: MaybeLabels = None,
    policy: Policy = None,
    tables_only: TablesOnly = False,
    uncertain: Uncertain = None,
    blank: Blank = None,
    no_finding: NoFinding = None,
    views: Views = None,
    label_set: LabelSet = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare a new bundle with the old one on the same films.

    Calls that flip, changes against labels by finding and subgroup, films ruled out, rejects,
    speed and heatmaps. Thresholds, rules and references of the old bundle never carry over. A
    policy decides: exit code 0 where every limit is shown to hold, 3 where one is broken or the
    films are not enough to decide.
    """
    from hilum import api
    from hilum.domain.documents.upgrade import UPGRADE, GateVerdict
    from hilum.report.upgrade import printed

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"label_set": label_set}
    with terminal.stoppable("the same command"), progress(quiet) as step:
        found = api.upgrade(
            old,
            new,
            films,
            out,
            labels=labels,
            policy=policy,
            label_policy=label_policy(**words) if any(words.values()) else None,
            tables_only=tables_only,
            threads=threads or processors(),
            advance=step,
        )
    if as_json:
        typer.echo((out / UPGRADE).read_text("utf-8"), nl=False)
    else:
        typer.echo(printed(found, columns()))
        typer.echo(out / UPGRADE)
    say(str(out / "upgrade.html"), quiet)
    if found.verdict in (GateVerdict.STOPPED, GateVerdict.UNDECIDED):
        raise typer.Exit(terminal.REFUSED)
