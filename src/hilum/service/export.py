"""Readings as a dataset that hilum itself reads: a row for each film and reader."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from hilum.domain.notice import NOT_A_DEVICE
from hilum.files.atomic import write_atomic
from hilum.report.batch.clinical_csv import cell
from hilum.service.agreement import agreement_json
from hilum.service.parts import Store, utc
from hilum.service.read_films import ReadFilm, findings_of, read_films
from hilum.service.store.verdicts import StoredVerdict

__all__ = ["boxes_csv", "labels_csv", "verdicts_jsonl", "write_labels"]

_CELLS = {"present": "1", "absent": "0", "uncertain": "-1"}
_ABOUT = ("image_id", "patient_id", "view", "reader")
_PROVENANCE = (
    *("read_at", "blinded", "reading_version", "bundle", "thresholds"),
    *("agree_with_rest", "unreadable", "second_look", "notice"),
)


def labels_csv(store: Store) -> str:
    """Return a row for each film and reader: 1 present, 0 absent, -1 uncertain, blank not judged.

    A reading that judges nothing has no row. What a reader merely agrees with is no label. Several
    readers of a film are several rows, which `hilum check` and `evaluate` merge by `--votes`. A
    finding that no reader judged on any film has no column.
    """
    films = list(read_films(store))
    judged = {
        finding
        for film in films
        for reading in film.newest
        for finding, word in reading.body.get("findings", {}).items()
        if word in _CELLS
    }
    findings = [finding for finding in findings_of(store) if finding in judged]
    rows = [
        [*_about(film, reading), *_judged(findings, reading), *_provenance(reading)]
        for film in films
        for reading in film.newest
        if any(_judged(findings, reading))
    ]
    return _csv([*_ABOUT, *findings, *_PROVENANCE], rows)


def boxes_csv(store: Store) -> str:
    """Return a row for each box of the newest readings, in shares of the film."""
    rows = [
        [
            *_about(film, reading),
            cell(box["finding"]),
            *(f"{box[side]:.6g}" for side in ("x", "y", "width", "height")),
            *_provenance(reading),
        ]
        for film in read_films(store)
        for reading in film.newest
        for box in reading.body.get("boxes", ())
    ]
    return _csv([*_ABOUT, "boxed", "x", "y", "width", "height", *_PROVENANCE], rows)


def verdicts_jsonl(store: Store) -> str:
    """Return every version of every reading, notes too, one JSON object a line."""
    lines = (
        {
            "image_id": film.image_id,
            "film": reading.film,
            "version": reading.version,
            "reader": reading.reader,
            "time": utc(reading.made),
            "blinded": reading.blinded,
            "bundle": reading.bundle,
            "thresholds": reading.thresholds,
            **reading.body,
            "notice": NOT_A_DEVICE,
        }
        for film in read_films(store)
        for reading in film.readings
    )
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def write_labels(store: Store, out: Path) -> list[Path]:
    """Write labels.csv, verdicts.jsonl, boxes.csv and agreement.json into a folder.

    `labels.csv` alone is a table of films and findings, so that the folder is a dataset.
    """
    made = {
        "labels.csv": labels_csv,
        "verdicts.jsonl": verdicts_jsonl,
        "boxes.csv": boxes_csv,
        "agreement.json": agreement_json,
    }
    for name, text in made.items():
        write_atomic(out / name, text(store).encode("utf-8"), durable=True)
    return [out / name for name in made]


def _about(film: ReadFilm, reading: StoredVerdict) -> list[str]:
    return [cell(film.image_id), cell(film.patient), film.view, reading.reader]


def _judged(findings: Sequence[str], reading: StoredVerdict) -> list[str]:
    judged = reading.body.get("findings", {})
    return [_CELLS.get(judged.get(name, ""), "") for name in findings]


def _provenance(reading: StoredVerdict) -> list[str]:
    body = reading.body
    flags = (body.get(name, False) for name in ("agree_with_rest", "unreadable", "second_look"))
    return [
        *(utc(reading.made), str(int(reading.blinded)), str(reading.version)),
        *(cell(reading.bundle), reading.thresholds, *(str(int(flag)) for flag in flags)),
        NOT_A_DEVICE,
    ]


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
