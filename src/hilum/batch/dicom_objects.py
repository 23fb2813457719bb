"""DICOM objects of the films of a batch: made from what was scored, filed beside the results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum import __version__
from hilum.batch.patients import KEY_BYTES
from hilum.bundle import Bundle
from hilum.bundle.analysis import Analysis
from hilum.domain.errors import FilmError, UsageError
from hilum.domain.radiograph import DicomHeader
from hilum.explain.caption import Caption
from hilum.explain.outline import LEVEL, outline
from hilum.explain.request import Pictures
from hilum.files.atomic import UNFINISHED, write_atomic
from hilum.files.films import DICOM_FOLDER, is_object_folder
from hilum.interchange import (
    Algorithm,
    FilmResults,
    Outline,
    Sheet,
    object_kind,
)
from hilum.reading.film import FilmFacts, Refusal
from hilum.reading.picture import Picture
from hilum.reading.process import ReaderProcess
from hilum.reading.sheet import sheet_request
from hilum.report.parts.text import REASONS

__all__ = [
    "DicomRequest",
    "FiledObjects",
    "ScoredFilm",
    "file_objects",
    "object_files",
    "rejection_report",
    "remove_stale_objects",
]

UNDRAWN = "sc: the picture could not be drawn"
LONGEST_SIDE = 2048
"""Most pixels of a side of a secondary capture."""
MAP_SIDE = 512
"""Longer side of the grid that outlines are traced on: a tenth of a percent of a film."""


@dataclass(frozen=True)
class DicomRequest:
    """The DICOM objects of each film.

    Attributes:
        kinds: their kinds.
        key: of their UIDs; 32 bytes or more.
        pictures: style and file format of secondary captures.

    Raises:
        UsageError: for a shorter key.
    """

    kinds: tuple[str, ...]
    key: bytes = field(repr=False)
    pictures: Pictures = field(default_factory=Pictures)

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES:
            raise UsageError(
                f"UIDs need a key of {KEY_BYTES} bytes or more; got {len(self.key)}. "
                "Name its file with --phi-key"
            )

    @property
    def fingerprint(self) -> str:
        """The kinds, format and key, which must stay the same when a batch is resumed.

        It is a hash of a random key, from which the key cannot be found.
        """
        mark = hashlib.sha256(b"hilum uid key fingerprint\0" + self.key).hexdigest()[:16]
        return f"{','.join(self.kinds)} {self.pictures.stored.value} {mark}"


@dataclass(frozen=True)
class FiledObjects:
    """The objects of one film.

    Attributes:
        files: kind to file, relative to the output folder.
        missing: why one is missing; empty where none is.
    """

    files: dict[str, str] = field(default_factory=dict)
    missing: str = ""

    @property
    def undrawn(self) -> bool:
        """Whether the picture failed with the process that drew it: a later run tries again."""
        return self.missing == UNDRAWN


@dataclass(frozen=True, eq=False)
class ScoredFilm:
    """A film that was scored, and what scored it.

    Attributes:
        bundle: that scored it.
        analysis: of the film.
        facts: of the film, with its header where it is a DICOM object.
        image_id: its name in the results, which no other film of the batch has.
        revision: of its objects; 1, and one more for each change.
        predecessors: kind to the (series, object) UIDs of the report that a report replaces.
    """

    bundle: Bundle
    analysis: Analysis
    facts: FilmFacts
    image_id: str
    revision: int = 1
    predecessors: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of the folder of its objects, which says nothing of patient or file."""
        words = f"{self.facts.sha256} {self.image_id}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(words).hexdigest()[:32]

    @property
    def header(self) -> DicomHeader:
        """The film's DICOM identity; empty for a film that has none."""
        return self.facts.header or DicomHeader()

    def map_of(self, finding: str, longest: int | None = None) -> NDArray[np.float32]:
        """Return a heatmap over the stored picture, whose pixels may not be square."""
        import cv2

        shape, rows, columns = self.facts.shape, self.header.rows, self.header.columns
        if longest is not None:
            scale = min(1.0, longest / max(shape))
            rows = columns = 0
            shape = max(2, round(shape[0] * scale)), max(2, round(shape[1] * scale))
        cells = self.analysis.map_of(finding)
        heat = self.bundle.manifest.preprocessing.to_film(cells, shape)
        if rows and columns and (rows, columns) != heat.shape:
            resized = cv2.resize(heat, (columns, rows), interpolation=cv2.INTER_LINEAR)
            heat = np.asarray(resized, np.float32)
        return heat

    def outlines(self) -> dict[str, Outline]:
        """Return the outlines of positive findings whose map is not empty."""
        found: dict[str, Outline] = {}
        for name in self.analysis.positives:
            shares = outline(self.map_of(name, MAP_SIDE))
            if shares is not None:
                columns, rows = self.header.columns, self.header.rows
                points = tuple((round(x * columns, 2), round(y * rows, 2)) for x, y in shares)
                found[name] = Outline(points, LEVEL)
        return found


def file_objects(
    out: Path, request: DicomRequest, film: ScoredFilm, reader: ReaderProcess
) -> FiledObjects:
    """Make the objects of a film and write them into the output folder.

    Args:
        out: the output folder.
        request: the kinds.
        film: with its analysis.
        reader: which read the film last, and draws on it.
    """
    files, missing = object_files(request, film, reader)
    names: dict[str, str] = {}
    for kind, data in files.items():
        names[kind] = f"{DICOM_FOLDER}/{film.folder}/{kind}.dcm"
        path = out / names[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    return FiledObjects(names, missing)


def object_files(
    request: DicomRequest, film: ScoredFilm, reader: ReaderProcess
) -> tuple[dict[str, bytes], str]:
    """Return the files of a film's objects by kind, and why one is missing."""
    if film.facts.header is None:
        return {}, "the file is not a DICOM object"
    # pydicom, which a batch without DICOM objects never loads
    from hilum.interchange.parts.modules import file_bytes, lacking

    why = lacking(film.header)
    if why:
        return {}, why
    sheet = _sheet(film, request, reader) if "sc" in request.kinds else None
    results = FilmResults(
        header=film.header,
        sha256=film.facts.sha256,
        findings=film.analysis.findings,
        codes=film.analysis.codes,
        algorithm=_algorithm(film.bundle, film.analysis),
        kinds=request.kinds,
        key=request.key,
        outlines=film.outlines(),
        sheet=sheet,
        map_of=film.map_of,
        revision=film.revision,
    )
    made = {
        kind: object_kind(kind).build(_after(results, film.predecessors.get(kind)))
        for kind in request.kinds
    }
    files = {kind: file_bytes(one) for kind, one in made.items() if one is not None}
    undrawn = "sc" in request.kinds and sheet is None
    return files, UNDRAWN if undrawn else ""


def rejection_report(
    request: DicomRequest,
    bundle: Bundle,
    refusal: Refusal,
    revision: int = 1,
    before: tuple[str, str] | None = None,
) -> bytes | None:
    """Return the report of a film that was read and not scored: a code and a sentence, no number.

    Args:
        request: the key of its UIDs.
        bundle: that would have scored it.
        refusal: why it did not.
        revision: of the report.
        before: (series, object) UIDs of the report that it replaces.

    Returns:
        Its file; None for a film that no object can refer to.
    """
    from hilum.interchange.parts.modules import file_bytes, lacking

    if refusal.header is None or refusal.sha256 is None or lacking(refusal.header):
        return None
    algorithm = Algorithm(
        name=bundle.manifest.name,
        id=bundle.id,
        software=__version__,
        precision=bundle.precision.value,
        calibrator=bundle.manifest.calibration.calibrator.method,
        targets={},
    )
    results = FilmResults(
        header=refusal.header,
        sha256=refusal.sha256,
        findings={},
        codes=(refusal.code,),
        algorithm=algorithm,
        kinds=("sr",),
        key=request.key,
        revision=revision,
        refusal=REASONS[refusal.code],
    )
    made = object_kind("sr").build(_after(results, before))
    return None if made is None else file_bytes(made)


def remove_stale_objects(out: Path, shown: Set[str]) -> None:
    """Remove the objects that no result shows: a film that is no longer listed, or is rejected.

    Only files that have the place and name of an object of ours go.
    """
    folder = out / DICOM_FOLDER
    if not folder.is_dir():
        return
    for film in sorted(folder.iterdir()):
        if not is_object_folder(film) or not film.is_dir():
            continue
        for file in sorted(film.iterdir()):
            unfinished = file.name.startswith(".") and file.name.endswith(UNFINISHED)
            ours = unfinished or file.suffix == ".dcm"
            if ours and f"{DICOM_FOLDER}/{film.name}/{file.name}" not in shown:
                file.unlink(missing_ok=True)
        if not any(film.iterdir()):
            film.rmdir()


def _after(results: FilmResults, before: tuple[str, str] | None) -> FilmResults:
    """Return the results with the report that theirs replaces, if there is one."""
    if before is None:
        return results
    return replace(results, predecessor_series=before[0], predecessor=before[1])


def _algorithm(bundle: Bundle, analysis: Analysis) -> Algorithm:
    calibration = bundle.manifest.calibration
    served = calibration.thresholds()
    return Algorithm(
        name=bundle.manifest.name,
        id=bundle.id,
        software=__version__,
        precision=analysis.precision,
        calibrator=calibration.calibrator.method,
        targets={
            point.finding: point.name
            if analysis.findings[point.finding].threshold == served[point.finding]
            else "nothing: it was given by hand"
            for point in calibration.operating_points
            if point.finding in analysis.findings
        },
    )


def _sheet(film: ScoredFilm, request: DicomRequest, reader: ReaderProcess) -> Sheet | None:
    """Return the picture of the secondary capture, of the finding that matters most."""
    found = film.analysis.findings
    positives = film.analysis.positives
    name = next(iter(positives), None) or max(found, key=lambda one: found[one].probability)
    others = ", ".join(
        f"{one.replace('_', ' ')} {found[one].probability:.2f}" for one in positives[1:]
    )
    note = f"Bundle {film.bundle.manifest.name} {film.bundle.id}."
    picture = Picture(
        film.analysis.map_of(name),
        Caption.of(
            name,
            found[name],
            f"Also positive: {others}. {note}" if others else note,
            film.analysis.token_shares.get(name),
        ),
        request.pictures.style,
        True,
        request.pictures.stored,
    )
    try:
        return reader.ask(sheet_request(picture, LONGEST_SIDE))
    except FilmError:  # the film went with the process that had it
        return None
