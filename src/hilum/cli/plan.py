"""`hilum plan`: the films of an archive, listed once into a file."""

from __future__ import annotations

from typing import Annotated

import typer

from hilum.cli import terminal
from hilum.cli.options import INPUT, OTHER, Json, Out, Quiet
from hilum.cli.terminal import print_json, say
from hilum.domain.errors import counted

__all__ = ["plan"]


def plan(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs or lists.")],
    out: Out,
    chunk: Annotated[
        int,
        typer.Option(
            "--chunk", min=1, help="Films that are scored together.", rich_help_panel=OTHER
        ),
    ] = 256,
    follow_links: Annotated[
        bool,
        typer.Option(
            "--follow-links",
            help="Follow links in folders that lead out of them.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the films of an archive once, for many machines.

    Writes plan.parquet: each film once by path, in the order of the names. Memory does not depend
    on how many there are. `hilum predict BUNDLE plan.parquet` scores it.
    """
    import time

    from hilum.batch.archive.plan import PLAN, write_plan
    from hilum.batch.walk import PassedOver
    from hilum.report.parts.text import shown

    begun, passed = time.monotonic(), PassedOver()
    with terminal.stoppable("the same command"):
        facts = write_plan(inputs, out / PLAN, chunk, passed, follow_links=follow_links)
    for line in passed.lines():
        say(shown(line))
    if facts.absent:
        say(f"{counted(facts.absent, 'film')} of the plan cannot be opened now; each gets a row")
    seconds = time.monotonic() - begun
    say(
        f"{counted(facts.films, 'film')}, {facts.size / 1e6:,.1f} MB, in "
        f"{counted(facts.chunks, 'chunk')}; {seconds:.1f} s{_memory()}",
        quiet,
    )
    if as_json:
        print_json({"plan": str(out / PLAN), "chunks": facts.chunks, **facts.model_dump()})
    else:
        typer.echo(out / PLAN)


def _memory() -> str:
    """Return the most memory that this process had, where the system tells it."""
    try:
        import resource
    except ImportError:
        return ""
    from sys import platform

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f", {peak / (1 << 20 if platform == 'darwin' else 1 << 10):,.0f} MB of memory"
