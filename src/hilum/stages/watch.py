"""References and checks of `hilum watch`, from the results of `hilum predict`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum.bundle.bundle import locate
from hilum.bundle.manifest import Manifest
from hilum.datasets.parts.disk import read_header, read_rows, tables_in
from hilum.datasets.parts.records import age_years, sex_of
from hilum.domain.documents.results import ImageResult, ThresholdSource
from hilum.domain.documents.rule_out import RULE_OUT, RuleOut
from hilum.domain.documents.watch import WATCH, WATCH_REFERENCE, WatchCheck, WatchReference
from hilum.domain.errors import BundleError, DatasetError, UsageError, counted
from hilum.domain.film_names import FilmNames
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.files.lines import fold
from hilum.files.sealed import read_seal, read_sealed, write_sealed
from hilum.monitoring.check import check_films, days_of
from hilum.monitoring.films import FilmNote, WatchedFilms, watched_films
from hilum.monitoring.reference import ReferenceRequest, fit_reference
from hilum.report.batch.results_jsonl import RESULTS, result_lines
from hilum.report.watch import write_watch_page

__all__ = ["check_results", "film_notes", "fit_results", "rate_of"]

_ROLES = {
    "film": ("imageid", "imageindex", "image", "film", "filename", "file", "path"),
    "patient": ("patientid", "patient", "subjectid", "subject"),
    "day": ("studydate", "acquisitiondate", "date", "day", "studydatetime", "datetime", "time"),
    "view": ("viewposition", "view"),
    "age": ("patientage", "age"),
    "sex": ("patientsex", "patientgender", "sex", "gender"),
    "site": ("site", "hospital", "institution", "institutionname"),
    "manufacturer": ("manufacturer",),
    "model": ("manufacturermodelname", "modelname", "model"),
    "photometric": ("photometricinterpretation", "photometric"),
}
"""Role to the folded names of the columns that may have it, in order of preference."""
_DAY = re.compile(r"(\d{4})[-./]?(\d{2})[-./]?(\d{2})(?:\D.*)?")
_RATE = re.compile(r"(\d*\.?\d+)(?:/(\d+))?d?")
_SHORT = 12
"""Characters of a bundle's id."""


def fit_results(
    bundle: Path | str,
    results: Path,
    out: Path,
    films: Path | None,
    request: ReferenceRequest,
    advance: Callable[[str, int, int], None] | None = None,
) -> WatchReference:
    """Fit a reference on finished results of a bundle and write it.

    Args:
        bundle: that scored the films.
        results: folder of `hilum predict`.
        out: folder of the reference.
        films: table with patients and, where it has them, dates, sites and devices.
        request: rate of false alarms, size of a day, seed and date.
        advance: progress callback.

    Raises:
        BundleError: for an edited bundle.
        UsageError: for results of a different bundle, or too few patients.
    """
    root = locate(bundle)
    manifest = read_sealed(Manifest, root / "bundle.json")
    request = replace(
        request,
        model=manifest.name,
        bundle=read_seal(root / "bundle.json")[:_SHORT],
        bond=manifest.calibration.bond,
        precision=manifest.calibration.precision.value,
        rule_sha256=_rule_of(root, manifest),
    )
    read = _read(results, films, request.bundle, request.precision)
    reference = fit_reference(read, request, advance)
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(reference, out / WATCH_REFERENCE)
    return reference


def check_results(
    reference: Path,
    results: Path,
    out: Path,
    films: Path | None = None,
    every: int | None = None,
    today: str = "",
) -> WatchCheck:
    """Hold results against a reference; write watch.json and watch.html.

    Args:
        reference: its file, or the folder it is in.
        results: folder of `hilum predict`.
        out: folder of the check.
        films: table with patients and, where it has them, dates, sites and devices.
        every: films of a day where no dates count; None for dates, or one day without them.
        today: no film may be later, YYYY-MM-DD; empty for no such limit.

    Raises:
        BundleError: for an edited reference.
        UsageError: for results of a different bundle, too few films, or days that cannot be.
    """
    path = reference / WATCH_REFERENCE if reference.is_dir() else reference
    frozen = read_sealed(WatchReference, path)
    read = _read(results, films, frozen.bundle, frozen.precision)
    _check_days(read, frozen, today)
    check = check_films(read, days_of(read, every), frozen, read_seal(path))
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(check, out / WATCH)
    write_watch_page(check, frozen, out)
    return check


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


def film_notes(table: Path, names: Sequence[str]) -> dict[str, FilmNote]:
    """Return what a table tells of some films, by their name in the results.

    Args:
        table: CSV or TSV with a column of films, or a dataset's folder with one such table.
        names: of the films.

    Raises:
        DatasetError: when there is no such table, or a day in it is none.
    """
    place = _table(table)
    roles = _roles(read_header(place))
    known = FilmNames(names)
    notes: dict[str, FilmNote] = {}
    for number, cells in read_rows(place, list(roles.values())):
        row = dict(zip(roles, cells, strict=True))
        found = known.find(row["film"]).row
        if found is not None:
            notes[names[found]] = _note(row, f"{place.name} row {number}")
    if not notes:
        raise DatasetError(
            f"--films must be a table of these films; {place} names none of them, such as "
            f"{names[0] if names else 'none'}"
        )
    return notes


def _read(results: Path, table: Path | None, bundle: str, precision: str) -> WatchedFilms:
    """Read results of one bundle; refuse what cannot be compared."""
    path = results / RESULTS if results.is_dir() else results
    if not path.is_file():
        raise UsageError(
            f"films are read from a finished `hilum predict`; {results} has no {RESULTS}"
        )
    rows = list(_checked(path, bundle, precision))
    if not rows:
        raise UsageError(f"there must be a film to watch; {path} has none")
    notes = None if table is None else film_notes(table, [row.image_id for row in rows])
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
                f"{path} line {number} of {row.bundle}. Fit a reference of that bundle"
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


def _rule_of(root: Path, manifest: Manifest) -> str:
    if RULE_OUT not in manifest.files:
        return ""
    rule = read_sealed(RuleOut, root / RULE_OUT)
    if rule.bond != manifest.calibration.bond:
        raise BundleError(f"a rule must be of its bundle; {root / RULE_OUT} is of a different one")
    return rule.rule_sha256


def _table(place: Path) -> Path:
    tables = [place] if place.is_file() else tables_in(place) if place.is_dir() else []
    fitting = [one for one in tables if {"film", "patient"} <= _roles(read_header(one)).keys()]
    if len(fitting) != 1:
        raise DatasetError(
            f"--films must be one table with columns of films and patients, such as image_id and "
            f"patient_id; {place} has {len(fitting)}"
        )
    return fitting[0]


def _roles(header: Sequence[str]) -> dict[str, str]:
    folded = {fold(name): name for name in reversed(header) if name}
    return {
        role: folded[next(name for name in names if name in folded)]
        for role, names in _ROLES.items()
        if not folded.keys().isdisjoint(names)
    }


def _note(row: dict[str, str], where: str) -> FilmNote:
    words = {name: row.get(name, "") for name in ("site", "manufacturer", "model", "photometric")}
    view, sex = ViewPosition.from_words(row.get("view", "")), sex_of(row.get("sex", ""))
    if view is not ViewPosition.UNKNOWN:
        words["view"] = view.value
    if sex is not Sex.UNKNOWN:
        words["sex"] = sex.value
    return FilmNote(
        patient=row.get("patient", ""),
        day=_day(row.get("day", ""), where),
        words={name: word for name, word in words.items() if word},
        age_years=age_years(row.get("age", "")),
    )


def _day(text: str, where: str) -> str:
    if not text:
        return ""
    match = _DAY.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return str(np.datetime64("-".join(match.groups()), "D"))
    except ValueError:
        raise DatasetError(f"{where}: a day is written as YYYY-MM-DD; got '{text[:40]}'") from None
