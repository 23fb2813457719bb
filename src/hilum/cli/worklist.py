"""`hilum worklist`: what would a policy do to the list?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.options import INPUT, MODEL, OTHER, OUTPUT, Json, Quiet, Seed, writable
from hilum.cli.terminal import columns, say

__all__ = ["worklist"]

Results = Annotated[
    Path | None,
    typer.Argument(help="Folder of a finished `hilum predict` (default: an invented example)."),
]
PolicyName = Annotated[
    Literal["first-come", "priority", "rule-out-last"],
    typer.Option("--policy", help="Order in which films are read.", rich_help_panel=MODEL),
]
First = Annotated[
    list[str] | None,
    typer.Option(
        help="Findings that come first, with the priority policy (default: all).",
        rich_help_panel=MODEL,
    ),
]
MaybeLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Labels that tell which film has a finding (default: the model's calls).",
        rich_help_panel=INPUT,
    ),
]
Arrivals = Annotated[
    Path | None,
    typer.Option(
        help="Table with columns time and image_id (default: at random, by hour).",
        rich_help_panel=INPUT,
    ),
]
Daily = Annotated[
    float | None,
    typer.Option(
        "--films-a-day",
        help="Films that arrive in a day, spread as in the example (default: 430).",
        rich_help_panel=INPUT,
    ),
]
MaybeOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder to write to (default: print only).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]
Room = Annotated[int, typer.Option(min=1, help="Readers at work.", rich_help_panel=MODEL)]
Minutes = Annotated[float, typer.Option(help="Mean minutes a film.", rich_help_panel=MODEL)]
Spread = Annotated[
    float,
    typer.Option(
        help="Standard deviation of reading times over their mean.", rich_help_panel=MODEL
    ),
]
Days = Annotated[float, typer.Option(help="Days in each run.", rich_help_panel=OTHER)]
Runs = Annotated[int, typer.Option(min=2, help="Simulated runs.", rich_help_panel=OTHER)]


def worklist(
    results: Results = None,
    policy: PolicyName = "rule-out-last",
    first: First = None,
    readers: Room = 2,
    reading_minutes: Minutes = 4.0,
    reading_spread: Spread = 0.8,
    films_a_day: Daily = None,
    arrivals: Arrivals = None,
    labels: MaybeLabels = None,
    days: Days = 5.0,
    runs: Runs = 20,
    out: MaybeOut = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a reading list: who waits how long, and who would.

    Films arrive, wait and are read without interruption. The same films, arrivals and reading
    times are read first come, first served, and under the policy; the change has an interval over
    runs. Without a folder of results the films are invented, and the result says so.
    """
    from hilum import api
    from hilum.report.worklist import printed

    run = api.worklist(
        results,
        policy=policy,
        first=[name.strip() for word in first or () for name in word.split(",") if name.strip()],
        readers=readers,
        reading_minutes=reading_minutes,
        reading_spread=reading_spread,
        films_a_day=films_a_day,
        arrivals=arrivals,
        labels=labels,
        days=days,
        runs=runs,
        out=out,
        seed=seed,
    )
    typer.echo(run.model_dump_json(indent=2) if as_json else printed(run, columns()))
    if out is not None:
        say(str(out / "worklist.json"), quiet)
