"""`hilum predict` over a plan: chunks into parts, on this machine, on one of many, or on Ray."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.merge import gathered
from hilum.cli.options import MACHINE, EngineName
from hilum.cli.terminal import progress, say
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.batch.archive.order import DrawingWords, Order
    from hilum.batch.archive.plan import PlanFacts

__all__ = [
    "Address",
    "ArchiveWords",
    "Engine",
    "Workers",
    "drawn",
    "is_archive",
    "order_of",
    "predict_archive",
]

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="A running Ray cluster, host:port or auto (default: one is started here).",
        rich_help_panel=MACHINE,
    ),
]
Engine = Annotated[
    EngineName | None,
    typer.Option(
        "--engine",
        help="Score in chunks of a plan, on lanes or on Ray (default: film by film, here).",
        rich_help_panel=MACHINE,
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        help="Workers on Ray, such as 4 or 1:8 (default: one for each thread's processor).",
        rich_help_panel=MACHINE,
    ),
]


@dataclass(frozen=True)
class ArchiveWords:
    """What the command line says of a run over a plan, beside its order.

    Attributes:
        inputs: a plan, or films.
        engine: its name; None for lanes.
        shard: part of the chunks; None for all.
        address, workers: of a cluster.
        follow_links: whether links lead out of folders.
        form: to print the films in.
        quiet: show no progress.
    """

    inputs: Sequence[str]
    engine: str | None = None
    shard: str | None = None
    address: str | None = None
    workers: str | None = None
    follow_links: bool = False
    form: str | None = None
    quiet: bool = False


def is_archive(inputs: Sequence[str], engine: str | None) -> bool:
    """Return whether films are scored as an archive: an engine is chosen, or an input is a plan."""
    if engine is not None:
        return True
    plans = [name for name in inputs if name.endswith(".parquet")]
    if not plans:
        return False
    from hilum.batch.archive.plan import is_plan

    return any(is_plan(Path(name)) for name in plans)


def drawn(
    heatmaps: str, overlays: bool, style: str | None, panel: bool, stored: str | None
) -> DrawingWords:
    """Return the pictures to write; whoever says how overlays are drawn wants them."""
    from hilum.batch.archive.order import DrawingWords

    wanted = overlays or panel or style is not None or stored is not None
    given = {"style": style, "stored": stored}
    chosen = {name: word for name, word in given.items() if word is not None}
    return DrawingWords(heatmaps=heatmaps, overlays=wanted, panel=panel, **chosen)


def order_of(
    bundle: Path, out: Path, precision: str | None, phi: str, phi_key: Path | None
) -> Order:
    """Return the order of an archive; paths are those that every node must have."""
    from hilum.batch.archive.order import Order
    from hilum.batch.archive.plan import PLAN
    from hilum.batch.patients import default_key
    from hilum.bundle.bundle import locate

    place = out.resolve()
    return Order(
        bundle=str(locate(bundle).resolve()),
        precision=precision,
        plan=str(place / PLAN),
        out=str(place),
        phi=phi,
        phi_key=str((phi_key or default_key()).absolute()),
    )


def predict_archive(order: Order, words: ArchiveWords) -> None:
    """Score an archive, and put its parts together when all are there."""
    from hilum.batch.archive.run import run_archive
    from hilum.batch.engines.base import ClusterWords, find_engine
    from hilum.batch.inputs import Shard

    shard = None if words.shard is None else Shard.parse(words.shard)
    engine = find_engine(words.engine or "lanes")
    cluster = ClusterWords.parse(words.address, words.workers)
    facts = _plan(words, order.place)
    request = order.request()
    order = order.model_copy(update={"expected": order.identity(order.load(), request)})
    begun = time.monotonic()
    with progress(words.quiet) as step:
        done = run_archive(
            order,
            engine,
            shard,
            cluster,
            lambda count, total: step("scoring films", count, total),
        )
    seconds = time.monotonic() - begun
    say(
        f"{counted(done.scored, 'chunk')} of {done.chunks:,} scored, {counted(done.films, 'film')} "
        f"in {seconds:.1f} s, {done.films / seconds:.1f} films/s",
        words.quiet,
    )
    if done.killers:
        say(f"{counted(done.killers, 'film')} ended every process that scored it; see its row")
    if shard is not None or done.missing:
        say(f"{counted(done.missing, 'chunk')} of {facts.chunks:,} missing", words.quiet)
        typer.echo(order.place)
        return
    gathered(order.place, Path(order.bundle), False, words.form, words.quiet)


def _plan(words: ArchiveWords, place: Path) -> PlanFacts:
    """Have the plan in the folder of the results; return what it says of itself."""
    from hilum.batch.archive.plan import PLAN, Plan, is_plan, write_plan
    from hilum.batch.walk import PassedOver
    from hilum.files.places import copy_once
    from hilum.report.parts.text import shown

    plans = [name for name in words.inputs if is_plan(Path(name))]
    if plans and len(words.inputs) > 1:
        raise UsageError("a plan must be the only input; it lists all films")
    if words.shard is not None and not plans:
        raise UsageError(
            "machines that share an archive need one plan; there is none. Run `hilum plan` first, "
            "and give each plan.parquet as its input"
        )
    there = place / PLAN
    if plans:
        copy_once(Path(plans[0]), there)
        found = Plan(Path(plans[0])).facts
    else:
        fresh, passed = there.with_name(f".new-{PLAN}"), PassedOver()
        try:
            found = write_plan(words.inputs, fresh, passed=passed, follow_links=words.follow_links)
            copy_once(fresh, there)
        finally:
            fresh.unlink(missing_ok=True)
        for line in passed.lines():
            say(shown(line))
    facts = Plan(there).facts
    if facts.sha256 != found.sha256:
        raise UsageError(
            f"an archive has one plan; {there} is another: films came, went or changed. Give it as "
            "the input to go on with it, or name another folder with -o"
        )
    return facts
