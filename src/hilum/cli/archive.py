"""`hilum predict` over a plan: chunks into parts, on this machine, on one of many, or on Ray."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli import terminal
from hilum.cli.merge import gathered
from hilum.cli.options import MACHINE, EngineName
from hilum.cli.terminal import progress, say
from hilum.domain.errors import UsageError, counted

if TYPE_CHECKING:
    from hilum.batch.archive.order import DrawingWords, Order
    from hilum.batch.archive.run import ArchiveRun
    from hilum.explain.request import Pictures

__all__ = [
    "REPORT",
    "Address",
    "Engine",
    "Workers",
    "form_word",
    "is_archive",
    "pictures_of",
    "predict_archive",
    "processors",
]

REPORT = "hilum-report"
"""Folder for the results of `hilum predict` without `-o`."""

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


Given = Mapping[str, Any]
"""The options of `hilum predict` by their names."""


def is_archive(given: Given) -> bool:
    """Return whether films are scored as an archive: an engine is chosen, or an input is a plan.

    Raises:
        UsageError: for options of a cluster without one, and options that an archive does not have.
    """
    archive = given["engine"] is not None or bool(_plans(given["inputs"]))
    if archive and (given["dicom"] is not None or given["strict"]):
        raise UsageError("--dicom and --strict do not go with --engine or a plan; leave them out")
    if archive and any(given[f"watch_{word}"] is not None for word in ("films", "every", "after")):
        raise UsageError(
            "--watch-films, --watch-every and --watch-after do not go with --engine or a plan; "
            "hilum watch check reads what hilum merge writes"
        )
    if given["engine"] != "ray" and (given["address"] or given["workers"]):
        raise UsageError("--address and --workers are options of --engine ray")
    return archive


def _plans(inputs: Sequence[str]) -> list[Path]:
    """Return the inputs that are plans; the library that reads them is loaded for no other."""
    named = [Path(name) for name in inputs if name.endswith(".parquet")]
    if not named:
        return []
    from hilum.batch.archive.plan import is_plan

    return [path for path in named if is_plan(path)]


def form_word(as_json: bool, form: str | None) -> str | None:
    """Return the form to print films in.

    Raises:
        UsageError: for two of them.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json prints JSON; got --format {form}. Give one of the two")
    return "json" if as_json else form


def pictures_of(given: Given) -> Pictures | None:
    """Return the pictures to write; None for tables alone."""
    words = _drawings(given)
    return None if words is None else words.pictures()


def _drawings(given: Given) -> DrawingWords | None:
    """Return the words of the pictures; whoever says how overlays are drawn wants them."""
    from hilum.batch.archive.order import DrawingWords

    if given["tables_only"]:
        return None
    chosen = {"style": given["style"], "stored": given["pictures_as"]}
    chosen = {name: word for name, word in chosen.items() if word is not None}
    return DrawingWords(
        heatmaps=given["heatmaps"],
        overlays=given["overlays"] or given["panel"] or bool(chosen),
        panel=given["panel"],
        **chosen,
    )


def _order(given: Given, place: Path) -> Order:
    """Return the order of an archive; its paths are those that every node must have."""
    from hilum.batch.archive.order import Order
    from hilum.batch.archive.plan import PLAN
    from hilum.batch.patients import default_key
    from hilum.bundle.bundle import locate

    return Order(
        bundle=str(locate(given["bundle"]).resolve()),
        precision=given["precision"],
        plan=str(place / PLAN),
        out=str(place),
        drawings=_drawings(given),
        threshold=given["threshold"],
        phi=given["phi"],
        phi_key=str((given["phi_key"] or default_key()).absolute()),
        timeout_s=given["timeout"],
        threads=given["threads"] or (1 if given["engine"] == "ray" else processors()),
    )


def predict_archive(given: Given) -> None:
    """Score an archive, and put its parts together when all are there."""
    from hilum.batch.archive.run import refuse_journal, run_archive
    from hilum.batch.engines.base import ClusterWords, find_engine
    from hilum.batch.inputs import Shard

    out, quiet = Path(given["out"] or REPORT), given["quiet"]
    place = out.resolve()
    form = form_word(given["as_json"], given["form"])
    shard = None if given["shard"] is None else Shard.parse(given["shard"])
    engine = find_engine(given["engine"] or "lanes")
    cluster = ClusterWords.parse(given["address"], given["workers"])
    with terminal.stoppable("the same command"), terminal.telling(given["verbose"]):
        refuse_journal(place)
        order = _order(given, place)
        _plan(given, place, shard is not None)
        order = order.model_copy(update={"expected": order.identity(order.load(), order.request())})
        begun = time.monotonic()
        with progress(quiet) as step:

            def advance(done: int, total: int) -> None:
                step("scoring films", done, total)

            done = run_archive(order, engine, shard, cluster, advance)
        _tell(done, time.monotonic() - begun, quiet)
        if shard is not None or done.missing:
            say(f"{counted(done.missing, 'chunk')} of {done.chunks:,} missing", quiet)
            typer.echo(out)
            return
        gathered(out, Path(order.bundle), False, form, quiet)


def _tell(done: ArchiveRun, seconds: float, quiet: bool) -> None:
    say(
        f"{counted(done.scored, 'chunk')} of {done.chunks:,} scored, {counted(done.films, 'film')} "
        f"in {seconds:.1f} s, {done.films / seconds:.1f} films/s",
        quiet,
    )
    if done.killers:
        say(f"{counted(done.killers, 'film')} ended every process that scored it; see its row")


def _plan(given: Given, place: Path, shared: bool) -> None:
    """Have the plan in the folder of the results."""
    from hilum.batch.archive.plan import PLAN, Plan, write_plan
    from hilum.batch.walk import PassedOver
    from hilum.files.places import copy_once
    from hilum.report.parts.text import shown

    plans = _plans(given["inputs"])
    if plans and len(given["inputs"]) > 1:
        raise UsageError("a plan must be the only input; it lists all films")
    if shared and not plans:
        raise UsageError(
            "machines that share an archive need one plan; there is none. Run `hilum plan` first, "
            "and give each plan.parquet as its input"
        )
    there = place / PLAN
    if plans:
        copy_once(plans[0], there)
        found = Plan(plans[0]).facts
    else:
        fresh, passed = there.with_name(f".new-{PLAN}"), PassedOver()
        try:
            found = write_plan(
                given["inputs"], fresh, passed=passed, follow_links=given["follow_links"]
            )
            copy_once(fresh, there)
        finally:
            fresh.unlink(missing_ok=True)
        for line in passed.lines():
            say(shown(line))
    if Plan(there).facts.sha256 != found.sha256:
        raise UsageError(
            f"an archive has one plan; {there} is another: films came, went or changed. Give it as "
            "the input to go on with it, or name another folder with -o"
        )


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
