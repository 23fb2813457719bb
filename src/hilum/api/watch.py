"""Verbs of drift: what films and scores were, and whether they still are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hilum.api.lab import path_of

if TYPE_CHECKING:
    from hilum.api.lab import Advance
    from hilum.domain.documents.watch import WatchCheck, WatchReference

__all__ = ["watch_check", "watch_fit"]


def watch_fit(
    bundle: Path | str,
    results: Path | str,
    out: Path | str,
    *,
    films: Path | str | None = None,
    readings: Path | str | None = None,
    false_alarms: str | float = "1/100d",
    every: int = 200,
    seed: int = 0,
    advance: Advance | None = None,
) -> WatchReference:
    """Fit a reference on finished results of a bundle, to hold later films against.

    Args:
        bundle: that scored the films.
        results: output folder of `hilum predict`.
        out: where watch_reference.json is written.
        films: table of the films' patients, dates, sites and devices; None for what rows hold.
        readings: labels.csv of `hilum serve export`; None to leave agreement with readers out.
        false_alarms: alarms a day on undisturbed films, such as "1/100d" or 0.01.
        every: films of a day where there are no dates.
        seed: of the drawn days.
        advance: progress callback.

    Raises:
        UsageError: for results of a different bundle, films without patients, or too few.

    Example:
        >>> watch_fit("starter", "out", "reference", false_alarms="often")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: a rate of false alarms is written as 1/100d or 0.01; got
        'often'
    """
    from hilum.domain.provenance import today
    from hilum.monitoring.reference import ReferenceRequest
    from hilum.stages.watch import fit_results, rate_of
    from hilum.stages.watch_table import FilmTables

    request = ReferenceRequest(
        date=today(), false_alarms=rate_of(false_alarms), every=every, seed=seed
    )
    tables = FilmTables(path_of(films), path_of(readings))
    return fit_results(bundle, Path(results), Path(out), tables, request, advance)


def watch_check(
    reference: Path | str,
    results: Path | str,
    out: Path | str,
    *,
    films: Path | str | None = None,
    readings: Path | str | None = None,
    every: int | None = None,
    after: Path | str | None = None,
) -> WatchCheck:
    """Hold later results of the same bundle against a reference, without labels.

    Args:
        reference: watch_reference.json, its folder, or a bundle that carries one.
        results: output folder of `hilum predict`.
        out: where watch.json and watch.html are written.
        films: table of the films' patients, dates, sites and devices; None for what rows hold.
        readings: labels.csv of `hilum serve export`; None to leave agreement with readers out.
        every: films of a day; None for dates, or one day without dates.
        after: folder of the check before, from which the slow test goes on; None to begin anew.

    Raises:
        UsageError: for results of a different bundle, too few patients, or days that cannot be.

    Example:
        >>> watch_check("reference", "out", "checked")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.BundleError: reference must be there; . has none
    """
    from hilum.domain.provenance import today
    from hilum.stages.watch import CheckRequest, check_results
    from hilum.stages.watch_table import FilmTables

    request = CheckRequest(
        FilmTables(path_of(films), path_of(readings)), every, today(), path_of(after)
    )
    return check_results(reference, Path(results), Path(out), request)
