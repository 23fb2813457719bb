"""A simulated reading list as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents import Interval
from hilum.domain.documents.worklist import ListPolicy, WorklistRun
from hilum.domain.findings import display_name
from hilum.report.parts.markdown import cell, cells_table, document
from hilum.report.parts.text import columned, wrapped

__all__ = ["markdown", "printed"]

_SHORT = ("Films", "a run", "first come", "policy", "change, min")
_LONG = (
    *("films", "a run", "first come, min", "policy, min", "change, min"),
    *("95 % within, first come", "95 % within, policy"),
)


def printed(run: WorklistRun, width: int) -> str:
    """Return the run for a terminal of `width` columns."""
    rows = [
        (
            display_name(one.group),
            f"{one.films:,.0f}",
            _minutes(one.mean_first_come),
            _minutes(one.mean),
            _change(one.change),
        )
        for one in run.groups
    ]
    lines = [*wrapped(_head(run), width), "", *columned([_SHORT, *rows], width), ""]
    for sentence in _sentences(run):
        lines += wrapped(f"- {sentence}", width)
    return "\n".join(lines)


def markdown(run: WorklistRun) -> str:
    """Return the same as a document, with every interval."""
    rows = [
        (
            display_name(one.group),
            f"{one.films:,.0f}",
            *(number.short(1) for number in (one.mean_first_come, one.mean, one.change)),
            *(number.short(1) for number in (one.p95_first_come, one.p95)),
        )
        for one in run.groups
    ]
    parts = ["# Reading list", cell(_head(run)), cells_table(_LONG, rows)]
    parts.append("\n".join(f"- {cell(line)}" for line in _sentences(run)))
    return document([*parts, run.notice])


def _head(run: WorklistRun) -> str:
    first = f" ({', '.join(run.first)})" if run.first else ""
    synthetic = "SYNTHETIC EXAMPLE. " if run.synthetic else ""
    return (
        f"{synthetic}Turnaround in minutes under {run.policy.value}{first}, beside first come, "
        f"first served: {run.readers} readers, {run.reading_minutes:g} min a film (spread "
        f"{run.reading_spread:g}), busy {run.busy:.0%} of the time; {run.runs} runs of "
        f"{run.days:.1f} days, seed {run.seed}."
    )


def _sentences(run: WorklistRun) -> Iterator[str]:
    yield f"films: {run.source}"
    yield f"arrivals: {run.arrivals}; {run.interval}"
    yield (
        "turnaround is from arrival to the end of the reading; a reading is never interrupted, and "
        "readers work day and night"
    )
    if run.policy is not ListPolicy.FIRST_COME:
        yield (
            "what some films gain others lose: with one mean reading time for all, the mean over "
            "all films stays where it was"
        )
        yield "a film that the model misses waits longer than today: see the 95 % and the misses"
    yield from run.notes


def _minutes(number: Interval) -> str:
    return "–" if number.value is None else f"{number.value:.1f}"


def _change(number: Interval) -> str:
    if number.value is None or number.low is None or number.high is None:
        return "–"
    return f"{number.value:+.1f} [{number.low:+.1f}, {number.high:+.1f}]"
