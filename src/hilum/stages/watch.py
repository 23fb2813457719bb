"""References and checks of `hilum watch`, from the results of `hilum predict`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hilum.bundle.bundle import locate, shipped
from hilum.bundle.manifest import Manifest
from hilum.bundle.reference import read_reference
from hilum.bundle.triage import read_rule
from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.documents.rule_out import RULE_OUT
from hilum.domain.documents.watch import (
    WATCH,
    WATCH_REFERENCE,
    WatchCheck,
    WatchReference,
    WatchState,
)
from hilum.domain.errors import BundleError, DatasetError, UsageError, counted
from hilum.files.sealed import read_seal, read_sealed, write_sealed
from hilum.monitoring.check import check_films, days_of
from hilum.monitoring.films import FilmNote, WatchedFilms, watched_films
from hilum.monitoring.reference import ReferenceRequest, fit_reference
from hilum.report.batch.results_jsonl import RESULTS, result_lines
from hilum.report.watch import PAGE, line_of_check, write_watch_page
from hilum.stages.watch_table import FilmTables, tables_notes

__all__ = ["CheckRequest", "WatchOutcome", "check_batch", "check_results", "fit_results", "rate_of"]

_RATE = re.compile(r"(\d*\.?\d+)(?:/(\d+))?d?")
_SHORT = 12
"""Characters of a bundle's id."""
_MANIFEST = "bundle.json"


@dataclass(frozen=True)
class CheckRequest:
    """What a check may know beside the results.

    Attributes:
        tables: of the films, and of readings.
        every: films of a day where no dates count; None for dates, or one day without them.
        today: no film may be later, YYYY-MM-DD; empty for no such limit.
        after: the check before (its file, or the folder it is in), from which the slow test goes
            on; None to begin anew.
    """

    tables: FilmTables = field(default_factory=FilmTables)
    every: int | None = None
    today: str = ""
    after: Path | None = None


def fit_results(
    bundle: Path | str,
    results: Path,
    out: Path,
    tables: FilmTables,
    request: ReferenceRequest,
    advance: Callable[[str, int, int], None] | None = None,
) -> WatchReference:
    """Fit a reference on finished results of a bundle and write it.

    Args:
        bundle: that scored the films.
        results: folder of `hilum predict`.
        out: folder of the reference.
        tables: of the films, and of readings.
        request: rate of false alarms, size of a day, seed and date.
        advance: progress callback.

    Raises:
        BundleError: for an edited bundle.
        UsageError: for results of a different bundle, or too few patients.
    """
    root = locate(bundle)
    manifest = read_sealed(Manifest, root / _MANIFEST)
    calibration = manifest.calibration
    rule = read_rule(root / RULE_OUT, calibration) if RULE_OUT in manifest.files else None
    request = replace(
        request,
        model=manifest.name,
        bundle=read_seal(root / _MANIFEST)[:_SHORT],
        bond=calibration.bond,
        precision=calibration.precision.value,
        rule_sha256="" if rule is None else rule.rule_sha256,
        gate_sha256=manifest.gate.sha256(),
    )
    read = _read(results, tables, request.bundle, request.precision)
    reference = fit_reference(read, request, advance)
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(reference, out / WATCH_REFERENCE)
    return reference


def check_results(
    reference: Path | str, results: Path, out: Path, request: CheckRequest | None = None
) -> WatchCheck:
    """Hold results against a reference; write watch.json and watch.html.

    Args:
        reference: its file, the folder it is in, or a bundle that carries one.
        results: folder of `hilum predict`.
        out: folder of the check.
        request: table, days, and the check before.

    Raises:
        BundleError: for an edited reference, or a bundle without one.
        UsageError: for results of a different bundle, too few films, or days that cannot be.
    """
    request = request or CheckRequest()
    path, frozen, bundle = _reference(reference)
    seal = read_seal(path)
    read = _read(results, request.tables, bundle, frozen.precision)
    _check_days(read, frozen, request.today)
    state = None if request.after is None else _state(request.after, seal)
    days = days_of(read, request.every)
    if state is not None and days[0].name[:1].isdigit() and days[0].name <= state.day:
        raise UsageError(
            f"films must be later than the check before, which ends on {state.day}; one is of "
            f"{days[0].name}. Clocks go forward only: correct the dates, or leave those films out"
        )
    check = check_films(read, days, frozen, seal, state)
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(check, out / WATCH)
    write_watch_page(check, frozen, out)
    return check


def _reference(place: Path | str) -> tuple[Path, WatchReference, str]:
    """Return a reference's file, the reference, and the id of the bundle whose results count."""
    root = Path(place)
    if not root.exists():
        root = shipped().get(str(place), root)
    if (root / _MANIFEST).is_file():
        manifest = read_sealed(Manifest, root / _MANIFEST)
        if WATCH_REFERENCE not in manifest.files:
            raise BundleError(
                f"a bundle must carry a reference to be watched; {root} has none. Fit one with "
                "`hilum watch fit` and ship it with `hilum bundle RUN --watch REFERENCE`"
            )
        rule = None
        if RULE_OUT in manifest.files:
            rule = read_rule(root / RULE_OUT, manifest.calibration)
        path = root / WATCH_REFERENCE
        return path, read_reference(path, manifest, rule), read_seal(root / _MANIFEST)[:_SHORT]
    path = root / WATCH_REFERENCE if root.is_dir() else root
    frozen = read_sealed(WatchReference, path)
    return path, frozen, frozen.bundle


def _state(place: Path, seal: str) -> WatchState:
    """Return where the check before left the slow test."""
    path = place / WATCH if place.is_dir() else place
    before = read_sealed(WatchCheck, path)
    if before.reference_sha256 != seal:
        raise UsageError(
            f"the check before must be against the same reference; {path} is against "
            f"{before.reference_sha256[:12]}, this is {seal[:12]}. Begin anew without it"
        )
    if before.state is None:
        raise UsageError(
            f"the check before must say where its slow test stands; {path} is of an older hilum. "
            "Begin anew without it"
        )
    return before.state


def rate_of(words: str | float) -> float:
    """Return a rate of false alarms a day.

    Raises:
        UsageError: for words that are none.

    >>> rate_of("1/100d"), rate_of("1/20"), rate_of("0.01")
    (0.01, 0.05, 0.01)
    """
    match = _RATE.fullmatch(str(words).strip())
    if match is None or float(match[2] or 1) == 0:
        raise UsageError(f"a rate of false alarms is written as 1/100d or 0.01; got '{words}'")
    return float(match[1]) / float(match[2] or 1)


def _read(results: Path, tables: FilmTables, bundle: str, precision: str) -> WatchedFilms:
    """Read results of one bundle; refuse what cannot be compared."""
    path = results / RESULTS if results.is_dir() else results
    if not path.is_file():
        raise UsageError(
            f"films are read from a finished `hilum predict`; {results} has no {RESULTS}"
        )
    rows = list(_checked(path, bundle, precision))
    if not rows:
        raise UsageError(f"there must be a film to watch; {path} has none")
    notes = tables_notes(tables, [row.image_id for row in rows])
    reported = notes or {}
    nobody = [
        row
        for row in rows
        if row.status.scored and not (row.patient or reported.get(row.image_id, FilmNote()).patient)
    ]
    if nobody:
        raise UsageError(
            f"a day is some patients with all their films; {counted(len(nobody), 'film')} of "
            f"{len(rows):,} have no patient, such as {nobody[0].image_id}. Give a table with "
            "--films, or predict with --phi pseudonym"
        )
    return watched_films(rows, notes)


def _checked(path: Path, bundle: str, precision: str) -> Iterator[ImageResult]:
    for number, (_, row) in enumerate(result_lines(path), start=1):
        if row.bundle != bundle:
            raise UsageError(
                f"reference and results must be of one bundle; the reference is of {bundle}, "
                f"{path} line {number} of {row.bundle}. Fit a reference of that bundle, or name "
                "the bundle that ships it"
            )
        if row.precision != precision:
            raise UsageError(
                f"results must be computed as the bundle was calibrated, in {precision}; {path} "
                f"line {number} is in {row.precision}. Predict without --precision"
            )
        if row.threshold_source is ThresholdSource.HAND:
            raise UsageError(
                f"results must be called at the bundle's own thresholds; {path} line {number} is "
                "not. Predict without --threshold"
            )
        yield row


def _check_days(films: WatchedFilms, reference: WatchReference, today: str) -> None:
    """Refuse days that some films lack, that are to come, or that the reference has seen."""
    days = [day for day in films.days.tolist() if day]
    if days and len(days) < len(films):
        raise UsageError(
            f"all films must have a date or none; {len(films) - len(days):,} of {len(films):,} "
            "have none. Complete the table of --films"
        )
    if days and today and max(days) > today:
        raise UsageError(f"a film cannot be of a day to come; one is of {max(days)}. Set the clock")
    if days and reference.last_day and min(days) <= reference.last_day:
        raise UsageError(
            f"films must be later than the reference, which ends on {reference.last_day}; one is "
            f"of {min(days)}. Clocks go forward only: correct the dates, or leave those films out"
        )


@dataclass(frozen=True)
class WatchOutcome:
    """What became of the check of a batch.

    Attributes:
        words: one sentence.
        checked: watch.json and watch.html were written.
        loud: it alarmed, or could not be checked.
    """

    words: str
    checked: bool
    loud: bool


def check_batch(bundle: Path, out: Path, request: CheckRequest) -> WatchOutcome:
    """Hold a finished batch against its bundle's reference, beside its results.

    Args:
        bundle: that scored the batch, with a reference.
        out: folder of the batch, where watch.json and watch.html are written. Those of an earlier
            batch go where this one cannot be checked.
        request: table, days, and the check before.
    """
    try:
        check = check_results(bundle, out, out, request)
    except (BundleError, DatasetError, UsageError) as error:
        for name in (WATCH, PAGE):
            (out / name).unlink(missing_ok=True)
        return WatchOutcome(f"not checked: {error}", checked=False, loud=True)
    return WatchOutcome(line_of_check(check), checked=True, loud=bool(check.alarms))
