"""`hilum doctor`: what this installation and machine can do, and what is slow here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hilum.cli import terminal
from hilum.cli.options import Json, Quiet

if TYPE_CHECKING:
    from hilum.stages.doctor import Diagnosis, Machine, SelfTest

__all__ = ["doctor"]


def doctor(
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show machine, versions and extras, and time a self-test.

    The self-test scores drawn films with the starter. Exit code 3: something needed is missing.
    """
    from hilum.stages.doctor import diagnose

    diagnosis = diagnose()
    if json:
        typer.echo(diagnosis.model_dump_json(indent=2))
    elif not quiet:
        typer.echo("\n".join(_lines(diagnosis)))
    elif diagnosis.missing:
        typer.echo("\n".join(diagnosis.missing))
    if diagnosis.missing:
        raise typer.Exit(terminal.REFUSED)


def _lines(found: Diagnosis) -> Iterator[str]:
    yield "Versions"
    for name, version in found.versions.items():
        yield f"  {name:<12} {version or 'not installed'}"
    yield from ("", "Machine", *_machine(found.machine), "", "Extras")
    for extra in found.extras:
        state = "present" if extra.present else f"missing ({', '.join(extra.lacks)})"
        yield f"  {extra.name:<12} {state}: {extra.brings}"
    yield from ("", "Decoders")
    for one in found.decoders:
        yield f"  {one.films:<31} {one.package} {one.version or 'MISSING'}"
    yield from ("", "Self-test", f"  {_self_test(found.self_test)}", "", "Slow here")
    yield from (f"  {sentence}" for sentence in found.slow)
    if found.missing:
        yield from ("", "Missing", *(f"  {sentence}" for sentence in found.missing))
    yield from ("", found.notice)


def _machine(here: Machine) -> Iterator[str]:
    known = here.instructions
    yield f"  system       {here.system}"
    yield f"  processor    {here.processor}, {here.cores} cores"
    yield f"  instructions {'unknown' if known is None else ', '.join(known) or 'none that help'}"
    memory = "unknown" if here.memory_gb is None else f"{here.memory_gb:g} GB"
    free = "" if here.available_gb is None else f", {here.available_gb:g} GB available"
    yield f"  memory       {memory}{free}"
    if here.load is not None:
        yield f"  load         {here.load:g} in the last minute"


def _self_test(test: SelfTest) -> str:
    if test.error:
        return f"failed: {test.scored} of {test.films} drawn films scored. {test.error}"
    return (
        f"starter: {test.scored} of {test.films} drawn films scored, {test.films_per_second:g} "
        f"films/s in memory ({test.precision}, {test.runtime})"
    )
