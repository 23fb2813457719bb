"""A reading list simulated from a folder of results, or from an example, and written."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import ImageResult
from hilum.domain.documents.rule_out import TriageWay
from hilum.domain.documents.worklist import WORKLIST, WorklistRun
from hilum.domain.errors import DatasetError, UsageError, counted
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort
from hilum.files.lines import text_lines
from hilum.files.sealed import write_sealed
from hilum.queueing.simulate import ListFilms, Scenario, example_films, simulate
from hilum.report.batch.results_jsonl import RESULTS, result_lines
from hilum.report.worklist import markdown

__all__ = ["simulate_list"]

_TIME, _FILM = ("time", "arrival", "arrived", "datetime"), ("image_id", "image", "input", "film")
_EXAMPLE_SEED = 11


def simulate_list(
    results: Path | None,
    scenario: Scenario,
    labels: Cohort | None = None,
    arrivals: Path | None = None,
    out: Path | None = None,
) -> WorklistRun:
    """Simulate a list of films, and write worklist.json and worklist.md where a folder is named.

    Args:
        results: the folder of a finished `hilum predict`; None for the example.
        scenario: the reading room.
        labels: films with their labels, settled, to tell which film has a finding; None to take
            the calls for it.
        arrivals: a table with a column `time`, and where films are named, `image_id`.
        out: where to write; None to write nothing.

    Raises:
        UsageError: for a folder without results or scored films, or a policy that they cannot
            follow.
        DatasetError: for a table without times, or with times that are none.
    """
    if results is None and (labels is not None or arrivals is not None):
        raise UsageError("labels and arrivals are of films; name a folder of results first")
    if results is None:
        films = example_films(np.random.default_rng([scenario.seed, _EXAMPLE_SEED]))
    else:
        films = _films(results, labels, arrivals)
    found = simulate(films, scenario)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_sealed(found, out / WORKLIST)
        (out / "worklist.md").write_text(markdown(found), "utf-8")
    return found


def _films(results: Path, labels: Cohort | None, arrivals: Path | None) -> ListFilms:
    path = results / RESULTS
    if not path.is_file():
        raise UsageError(f"a list is of the results of `hilum predict`; {results} has none")
    rows: list[ImageResult] = []
    unscored = 0
    for _, result in result_lines(path):
        if result.findings is None:
            unscored += 1
        else:
            rows.append(result)
    if not rows:
        raise UsageError(f"a list needs scored films; {results} has none")
    findings = tuple(rows[0].findings or ())
    called = np.array([[bool(one.positive) for one in (r.findings or {}).values()] for r in rows])
    ways = [None if r.triage is None else r.triage.way for r in rows]
    ruled = None
    if all(way is not None for way in ways):
        ruled = np.array([way is TriageWay.RULE_OUT for way in ways])
    notes = [f"{unscored:,} inputs have no score and are not on the list"] if unscored else []
    films = ListFilms(
        source=f"{len(rows):,} films of {results.name}; a finding is present where it is called",
        present=called,
        called=called,
        ruled_out=ruled,
        findings=findings,
        notes=tuple(notes),
    )
    if labels is not None:
        films = _with_labels(films, rows, labels)
    return films if arrivals is None else _with_times(films, rows, arrivals)


def _with_labels(films: ListFilms, rows: list[ImageResult], labels: Cohort) -> ListFilms:
    """Keep the labeled films, and take their labels for what they have."""
    names = FilmNames(labels.image_ids())
    at = [names.find(row.input).row for row in rows]
    kept = np.array([row is not None for row in at])
    columns = [(n, labels.labels.index(n)) for n in films.findings if n in labels.labels]
    if not kept.any() or not columns:
        raise DatasetError(
            f"labels must be of the films; of {len(rows):,} scored films none has a row with a "
            f"finding that they were scored for, among {len(labels):,} rows of {labels.dataset}"
        )
    states = labels.states()[[row for row in at if row is not None]]
    present = states[:, [column for _, column in columns]] == LabelState.POSITIVE
    chosen = [films.findings.index(name) for name, _ in columns]
    left = int((~kept).sum())
    return replace(
        films,
        source=f"{len(present):,} films, with the labels of {labels.dataset}",
        present=present,
        called=films.called[kept][:, chosen],
        ruled_out=None if films.ruled_out is None else films.ruled_out[kept],
        findings=tuple(name for name, _ in columns),
        synthetic=labels.synthetic,
        notes=(*films.notes, *((_left(left),) if left else ())),
    )


def _left(films: int) -> str:
    return f"{counted(films, 'film')} {'has' if films == 1 else 'have'} no label: left out"


def _with_times(films: ListFilms, rows: list[ImageResult], arrivals: Path) -> ListFilms:
    """Return the films in the order of their arrival; drawn films where the table names none."""
    names, minutes = _read_times(arrivals)
    notes = list(films.notes)
    if (np.diff(minutes) < 0).any():
        notes.append(f"the rows of {arrivals.name} are not in order of time: sorted")
    if names is None:
        rng = np.random.default_rng(0)
        at = rng.integers(len(films.called), size=len(minutes))
        notes.append("the arrivals name no film: films were drawn for them")
    else:
        known = FilmNames([row.input for row in rows[: len(films.called)]])
        if len(rows) != len(films.called):
            raise UsageError("arrivals that name films cannot be used with --labels: leave one out")
        found = [known.find(name).row for name in names]
        kept = [index for index, row in enumerate(found) if row is not None]
        if not kept:
            raise DatasetError(f"arrivals must name scored films; {arrivals} names none of them")
        if len(kept) < len(names):
            notes.append(f"{len(names) - len(kept):,} arrivals name no scored film: left out")
        at, minutes = np.array([found[index] for index in kept]), minutes[kept]
    order = np.argsort(minutes, kind="stable")
    chosen = at[order]
    return replace(
        films,
        present=films.present[chosen],
        called=films.called[chosen],
        ruled_out=None if films.ruled_out is None else films.ruled_out[chosen],
        times=minutes[order] - minutes.min(),
        notes=tuple(notes),
    )


def _read_times(path: Path) -> tuple[list[str] | None, NDArray[np.float64]]:
    """Return the names of films, where there are any, and minutes, as the rows come."""
    if not path.is_file():
        raise UsageError(f"--arrivals must name a table; {path} is not there")
    with text_lines(path) as lines:
        reader = csv.DictReader(lines)
        header = {name.strip().lower(): name for name in reader.fieldnames or ()}
        time = next((header[word] for word in _TIME if word in header), None)
        film = next((header[word] for word in _FILM if word in header), None)
        if time is None:
            raise DatasetError(f"arrivals must have a column time; {path} has {', '.join(header)}")
        rows = list(reader)
    minutes = [_minutes(row[time] or "", path, line) for line, row in enumerate(rows, start=2)]
    if not minutes:
        raise DatasetError(f"arrivals must have rows; {path} has none")
    return None if film is None else [row[film] or "" for row in rows], np.array(minutes)


def _minutes(text: str, path: Path, line: int) -> float:
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DatasetError(
            f"a time must be as in 2026-01-31T08:15; {path}, line {line} has {text[:40]!r}"
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() / 60.0
