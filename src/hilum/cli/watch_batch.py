"""The watch inside `hilum predict`: what was scored, held against the bundle's own reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from hilum.cli.terminal import say
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.bundle import Bundle

__all__ = ["WatchAfter", "WatchEvery", "WatchFilms", "WatchOptions", "watch_batch"]

WATCH_PANEL = "Watch (bundles with a reference)"

WatchFilms = Annotated[
    Path | None,
    typer.Option(
        help="Table of patients, dates, sites and devices (default: what rows hold).",
        rich_help_panel=WATCH_PANEL,
    ),
]
WatchEvery = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Films of a day (default: days by date, or one day without dates).",
        rich_help_panel=WATCH_PANEL,
    ),
]
WatchAfter = Annotated[
    Path | None,
    typer.Option(
        help="Output folder of the day before; the slow test goes on (default: begin anew).",
        rich_help_panel=WATCH_PANEL,
    ),
]


@dataclass(frozen=True)
class WatchOptions:
    """What was given for the watch.

    Attributes:
        films, every, after: as `hilum.stages.watch.CheckRequest` has them.
    """

    films: Path | None
    every: int | None
    after: Path | None

    def for_bundle(self, bundle: Callable[[], Bundle]) -> Self:
        """Return these options; refuse any for a bundle that carries no reference.

        Args:
            bundle: loads it; not called where nothing was given.

        Raises:
            UsageError: naming the option.
        """
        given = [f"--watch-{name}" for name, value in vars(self).items() if value is not None]
        if given and not _watched(bundle()):
            raise UsageError(
                f"a bundle without a reference is not watched; got {given[0]}. Ship one with "
                "`hilum bundle RUN --watch REFERENCE`"
            )
        return self


def watch_batch(
    bundle: Bundle, out: Path, options: WatchOptions, in_parts: bool, quiet: bool
) -> None:
    """Hold a batch against the bundle's reference, and print one line; none without a reference.

    What cannot be checked is printed and stops nothing: the films are scored. An alarm, and a
    check that was not possible, are printed with --quiet too.
    """
    if not _watched(bundle):
        return
    if in_parts:
        say("watch: a part is not checked; after `hilum merge` run `hilum watch check`", quiet)
        return
    from hilum.domain.provenance import today
    from hilum.report.parts.text import shown
    from hilum.report.watch import PAGE
    from hilum.stages.watch import CheckRequest, check_batch
    from hilum.stages.watch_table import FilmTables

    request = CheckRequest(FilmTables(options.films), options.every, today(), options.after)
    outcome = check_batch(bundle.root, out, request)
    where = f" ({out / PAGE})" if outcome.checked else ""
    say(shown(f"watch: {outcome.words}{where}"), quiet and not outcome.loud)


def _watched(bundle: Bundle) -> bool:
    from hilum.domain.documents.watch import WATCH_REFERENCE

    return WATCH_REFERENCE in bundle.manifest.files
