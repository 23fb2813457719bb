"""The books of `hilum serve`: tokens, the audit trail, and readings as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import Out
from hilum.cli.terminal import REFUSED, say
from hilum.domain.errors import UsageError, counted

__all__ = ["STORE", "audit", "export", "token", "token_add", "token_list", "token_revoke"]

STORE = "hilum-store"
"""Folder for the store of `hilum serve BUNDLE` without `--store`."""

token = typer.Typer(name="token", no_args_is_help=True, help="Make, list and revoke tokens.")

TokenStore = Annotated[
    Path,
    typer.Option("--store", help="Folder of the service."),
]


@token.command("add")
def token_add(
    name: Annotated[str, typer.Argument(help="Name of the reader or program.")],
    scope: Annotated[
        list[str],
        typer.Option(help="Scope, repeatable: submit, read, review (includes read), admin."),
    ],
    store: TokenStore = Path(STORE),
) -> None:
    """Make a token; it is printed once, and kept as its hash alone."""
    from hilum.service.parts import open_store

    opened = open_store(store)
    try:
        typer.echo(opened.tokens.add(name, scope))
    finally:
        opened.close()


@token.command("list")
def token_list(store: TokenStore = Path(STORE)) -> None:
    """List tokens: pseudonym, name, scopes, and whether each is revoked."""
    from hilum.report.parts.text import shown
    from hilum.service.parts import open_store, utc

    opened = open_store(store, new=False)
    try:
        for one in opened.tokens.all():
            scopes = ",".join(sorted(one.scopes))
            state = "revoked" if one.revoked else "valid"
            typer.echo(f"{one.reader}\t{shown(one.name)}\t{scopes}\t{utc(one.created)}\t{state}")
    finally:
        opened.close()


@token.command("revoke")
def token_revoke(
    name: Annotated[str, typer.Argument(help="Name that the tokens were made for.")],
    store: TokenStore = Path(STORE),
) -> None:
    """Revoke all tokens of a name, and their sessions."""
    from hilum.service.parts import open_store

    opened = open_store(store, new=False)
    try:
        count = opened.tokens.revoke(name)
    finally:
        opened.close()
    if not count:
        raise UsageError(f"a token must be there to be revoked; '{name}' has none")
    say(f"{counted(count, 'token')} revoked")


def audit(
    store: Annotated[Path, typer.Argument(help="Folder of the service.")],
) -> None:
    """Check every event of the audit trail, and every reading and result against it.

    Prints the number of events and the hash of the last: whoever keeps it can see later that none
    was cut off. Exit code 3: an event is not as it was written; the first is named.
    """
    from hilum.service.parts import open_store
    from hilum.service.store.events import verify_chain

    opened = open_store(_store_in(store), new=False)
    try:
        found = verify_chain(opened.database)
    finally:
        opened.close()
    if found.fault:
        typer.echo(found.fault)
        raise typer.Exit(REFUSED)
    typer.echo(f"{counted(found.events, 'event')} {found.head}")


def export(
    store: Annotated[Path, typer.Argument(help="Folder of the service.")],
    out: Out,
) -> None:
    """Write readings as a dataset: labels.csv; beside it boxes, every version, and agreement.

    `hilum check`, `evaluate --labels` and `train --data` read the folder. Several readers of a film
    are merged by --votes.
    """
    from hilum.service.export import write_labels
    from hilum.service.parts import open_store

    opened = open_store(_store_in(store), new=False)
    try:
        write_labels(opened, out)
    finally:
        opened.close()
    typer.echo(out)


def _store_in(folder: Path) -> Path:
    """Return a store's folder: the one named, or that in a folder of results."""
    from hilum.service.parts import DATABASE

    inner = folder / "review"
    return inner if not (folder / DATABASE).exists() and (inner / DATABASE).exists() else folder
