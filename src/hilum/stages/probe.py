"""A bundle's scores of films that were altered on purpose: read, altered, scored and written."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.bundle import Bundle
from hilum.domain.documents import SplitFacts
from hilum.domain.documents.probe import PROBE, ProbeRun
from hilum.domain.errors import FilmError, ReasonCode, UsageError, counted
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelState
from hilum.domain.radiograph import Radiograph
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Logits
from hilum.evaluation.probe.alter import ALTERATIONS, reduced
from hilum.evaluation.probe.measure import (
    INTERVALS,
    LIMIT,
    AlteredScores,
    ProbedFilms,
    measure,
)
from hilum.files.sealed import write_sealed
from hilum.imaging.gate import GateRules
from hilum.reading.film import Reading
from hilum.reading.process import ReaderProcess
from hilum.reading.requests import FilmPixels, pixels_request
from hilum.report.probe import probe_page
from hilum.splits import SeenPatients

__all__ = ["ProbeRequest", "probe_bundle"]

OWN_CALLS = "the bundle's own calls"
_SEEN = "seen_patients.txt"

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class ProbeRequest:
    """Films and labels of a probe.

    Attributes:
        films: files.
        sample: how many of them are read; drawn by the seed.
        labels: films with their labels, settled; None to take the bundle's own calls.
        labels_name: source of the labels, in words.
        resamples: of patients.
        seed: of the sample, the alterations and the resamples.
        notes: what the reader must know, a line each.
    """

    films: Sequence[Path]
    sample: int = 200
    labels: Cohort | None = None
    labels_name: str = ""
    resamples: int = 2000
    seed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Film:
    """One film's scores: as it is, then each alteration and its control; NaN where not done."""

    path: Path
    patient: str
    logits: NDArray[np.float64]


def probe_bundle(
    bundle: Bundle, request: ProbeRequest, out: Path, advance: Advance | None = None
) -> ProbeRun:
    """Score films as they are and altered, and write probe.json and probe.html.

    Films are read in a confined process and screened by the bundle's gate; those that it refuses
    are left out and counted. Alterations are done on the film, before it is reduced for the
    network.

    Args:
        bundle: whose scores.
        request: films and labels.
        out: folder of the result.
        advance: called with (done, total) films.

    Raises:
        UsageError: when no film can be scored, or none has a row among the labels.
    """
    films, notes = _scored(bundle, request, advance)
    cohort, unit, more = _cohort(bundle, films, request)
    labels = bundle.labels
    logits = np.stack([film.logits for film in films])
    scores = [_called(bundle, logits[:, number]) for number in range(logits.shape[1])]
    probed = ProbedFilms(
        labels=labels,
        patients=cohort.patients(),
        whole=scores[0],
        altered={
            one.name: (scores[1 + 2 * number], scores[2 + 2 * number])
            for number, one in enumerate(ALTERATIONS)
        },
        states=None if request.labels is None else cohort.states(),
        resamples=request.resamples,
        seed=request.seed,
    )
    numbers = measure(probed)
    found = ProbeRun(
        model=bundle.manifest.name,
        bundle=bundle.id,
        precision=bundle.precision.value,
        films=SplitFacts.of("films that were altered", cohort),
        unit=unit,
        synthetic=cohort.synthetic,
        labels=request.labels_name or OWN_CALLS,
        limit=LIMIT,
        spread=numbers.spread,
        alterations=numbers.alterations,
        ranking=numbers.ranking,
        named=numbers.named,
        sensitive=numbers.sensitive,
        interval=INTERVALS,
        seed=request.seed,
        resamples=request.resamples,
        notes=(*request.notes, *notes, *more),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_sealed(found, out / PROBE)
    (out / "probe.html").write_text(probe_page(found), "utf-8")
    return found


def _scored(
    bundle: Bundle, request: ProbeRequest, advance: Advance | None
) -> tuple[list[_Film], list[str]]:
    """Read, alter and score the films of the sample."""
    paths, notes = _sample(bundle, request)
    gate = bundle.manifest.gate if request.labels is None else GateRules.labeled()
    refused: Counter[ReasonCode] = Counter()
    films: list[_Film] = []
    with ReaderProcess(bundle.manifest.preprocessing, gate) as reader:
        for number, path in enumerate(paths):
            try:
                films.append(_film(bundle, reader, path, (request.seed, number)))
            except FilmError as error:
                refused[error.code] += 1
            if advance is not None:
                advance(number + 1, len(paths))
    codes = ", ".join(f"{code.value} {count}" for code, count in sorted(refused.items()))
    if refused:
        notes.append(f"{counted(refused.total(), 'film')} could not be scored; left out ({codes})")
    if len(films) < 2:
        raise UsageError(
            f"a probe needs two films or more that can be scored; got {len(films)} of "
            f"{len(paths)}{f' ({codes})' if codes else ''}. Name frontal chest films"
        )
    return films, notes


def _sample(bundle: Bundle, request: ProbeRequest) -> tuple[list[Path], list[str]]:
    """Draw the films; with labels those of patients that the bundle has not seen come first."""
    paths, late = list(request.films), frozenset[Path]()
    if request.labels is not None:
        paths, late = _labeled(bundle, request, request.labels)
    rng = np.random.default_rng(np.random.SeedSequence((request.seed, 0x9B0BE)))
    dealt = [paths[number] for number in rng.permutation(len(paths)).tolist()]
    kept = frozenset(sorted(dealt, key=late.__contains__)[: request.sample])
    notes: list[str] = []
    if len(kept) < len(request.films):
        notes.append(f"{len(kept):,} of {len(request.films):,} films were drawn")
    return [path for path in paths if path in kept], notes


def _labeled(
    bundle: Bundle, request: ProbeRequest, truth: Cohort
) -> tuple[list[Path], frozenset[Path]]:
    """Return the films with a row among the labels, and those of patients already seen."""
    names = FilmNames(truth.image_ids())
    rows = {path: names.find(str(path)).row for path in request.films}
    owner = {path: truth.records[row] for path, row in rows.items() if row is not None}
    if not owner:
        raise UsageError(
            f"films must have a row among the labels; {counted(len(rows), 'film')} and "
            f"{request.labels_name} have none in common"
        )
    seen, _ = _seen(bundle, truth, tuple(owner.values()))
    late = frozenset(path for path, record in owner.items() if record.patient_id in seen)
    return list(owner), late


def _film(bundle: Bundle, reader: ReaderProcess, path: Path, key: tuple[int, int]) -> _Film:
    reading = reader.read(path, with_preview=False)
    if not isinstance(reading, Reading):
        raise reading.error()
    pixels = reduced(_pixels(reader.ask(pixels_request())))
    preprocessing = bundle.manifest.preprocessing
    rng = np.random.default_rng(np.random.SeedSequence(key))
    pictures = [pixels]
    places = [0]
    for number, one in enumerate(ALTERATIONS):
        made = one.make(pixels, rng)
        if made is not None:
            pictures += made
            places += [1 + 2 * number, 2 + 2 * number]
    rasters = np.stack(
        [preprocessing.raster(Radiograph(one, source="altered")) for one in pictures]
    )
    logits = np.full((1 + 2 * len(ALTERATIONS), len(bundle.labels)), np.nan)
    logits[places] = bundle.engine.run(rasters).logits.values
    return _Film(path, reading.facts.patient_id, logits)


def _pixels(answer: FilmPixels) -> NDArray[np.float32]:
    """Return a film's grays in [0, 1].

    Raises:
        FilmError: when the reader gives fewer or more than it says.
    """
    facts = answer.facts
    bytes_each = facts.bits // 8
    size = facts.rows * facts.columns * bytes_each
    values = zlib.decompressobj().decompress(answer.deflated, size)
    grays = np.frombuffer(values, "<u2" if bytes_each == 2 else np.uint8)
    levels = np.float32((1 << facts.bits) - 1)
    return grays.reshape(facts.rows, facts.columns).astype(np.float32) / levels


def _called(bundle: Bundle, logits: NDArray[np.float64]) -> AlteredScores:
    """Return scores with the calls at the bundle's own operating points."""
    calibration, labels = bundle.manifest.calibration, bundle.labels
    calls = np.full(logits.shape, -1, np.int8)
    done = ~np.isnan(logits).any(axis=1)
    if done.any():
        probabilities = calibration.calibrator.apply(Logits(logits[done], labels)).values
        for column, name in enumerate(labels):
            threshold = calibration.thresholds().get(name)
            if threshold is not None:
                calls[done, column] = probabilities[:, column] >= threshold
    return AlteredScores(logits, calls)


def _cohort(
    bundle: Bundle, films: Sequence[_Film], request: ProbeRequest
) -> tuple[Cohort, str, list[str]]:
    """Return a record of each film with patient and labels, the unit resampled, and notes."""
    truth, labels = request.labels, bundle.labels
    if truth is None:
        known = all(film.patient for film in films)
        records = tuple(
            Record(
                image_id=f"{number:06d}",
                patient_id=film.patient if known else f"film {number}",
                states=(LabelState.UNLABELLED,) * len(labels),
            )
            for number, film in enumerate(films)
        )
        notes = [] if known else ["patients are not known: each film counts as a patient"]
        return Cohort("films", labels, records), "patient" if known else "film", notes
    names = FilmNames(truth.image_ids())
    rows = [names.find(str(film.path)).row for film in films]
    own = [truth.records[row] for row in rows if row is not None]
    seen, notes = _seen(bundle, truth, own)
    hidden = (LabelState.UNLABELLED,) * len(labels)
    records = tuple(
        Record(
            image_id=record.image_id,
            patient_id=record.patient_id,
            states=hidden if record.patient_id in seen else _states(truth, record, labels.findings),
        )
        for record in own
    )
    cohort = Cohort(truth.dataset, labels, records, synthetic=truth.synthetic)
    return cohort, "patient", [*notes, *truth.notes]


def _states(truth: Cohort, record: Record, findings: Sequence[str]) -> tuple[LabelState, ...]:
    return tuple(
        record.states[truth.labels.index(name)] if name in truth.labels else LabelState.UNLABELLED
        for name in findings
    )


def _seen(
    bundle: Bundle, truth: Cohort, records: Sequence[Record]
) -> tuple[frozenset[str], list[str]]:
    """Return the patients that the bundle has seen: their labels are not used for rankings."""
    path = bundle.root / _SEEN
    if not path.is_file():
        return frozenset(), ["the bundle does not say which patients it has seen"]
    patients = {record.patient_id for record in records}
    seen = SeenPatients.read(path).among(truth.population, patients)
    films = sum(record.patient_id in seen for record in records)
    if not films:
        return frozenset(), []
    note = (
        f"the labels of {counted(films, 'film')} of {counted(len(seen), 'patient')} are not used "
        "for rankings: the bundle has seen them"
    )
    return seen, [note]
