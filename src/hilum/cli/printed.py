"""`--format`: films on the screen, beside the files that are always written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.progress import say

if TYPE_CHECKING:
    from hilum.report.parts.results import BatchResults
    from hilum.report.printed import Printed

__all__ = ["Format", "form_of", "print_batch"]

Format = Annotated[
    str | None,
    typer.Option("--format", help="Print the films: console, markdown or json; else the path."),
]


def form_of(word: str | None) -> Printed | None:
    """The form that `--format` names, before anything is scored; None where it was not given.

    Raises:
        UsageError: when there is no such form.
    """
    if word is None:
        return None
    from hilum.report.printed import printed

    return printed(word)


def print_batch(batch: BatchResults, form: Printed | None, page: Path, quiet: bool) -> None:
    """Print the films in their form, and nothing else on stdout; without one, the path of the page.

    Args:
        batch: what was found.
        form: how, or None.
        page: the report, which is named on stderr where the films are printed.
        quiet: whether it is not.
    """
    if form is None:
        typer.echo(page)
        return
    # a terminal that has not all characters shows a question mark, and the films go on
    encoding = sys.stdout.encoding or "utf-8"
    typer.echo(form.render(batch).encode(encoding, "replace").decode(encoding), nl=False)
    say(str(page), quiet)
