"""Localization and sanity checks of a run's or bundle's heatmaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.bundle import Bundle
from hilum.bundle.manifest import network_sha256, read_calibration
from hilum.domain.documents import SplitFacts
from hilum.domain.documents.audit import LeakVerdict
from hilum.domain.documents.heatmaps import HeatmapEvaluation, Sanity
from hilum.domain.errors import BundleError, DatasetError, counted
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.evaluation.localize import Mapped, measure_localization
from hilum.explain.sanity import CheckedMap, SanityRun, check_sanity
from hilum.inference.engine import Engine, Precision
from hilum.reading.stack import Stack, read_stack
from hilum.runs.folder import RunFolder
from hilum.splits import SeenPatients, TrainingFilms, certify, refuse_leak
from hilum.stages.calibrate import engine_of
from hilum.stages.evaluate import count_look
from hilum.stages.localize_reference import FilmRead, Reference, reference_of

__all__ = ["SANITY_FILMS", "Subject", "localize", "sanity", "subject_of", "unseen"]

SANITY_FILMS = 48
"""Films behind the sanity checks, those with two findings first."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Subject:
    """A network whose heatmaps are examined.

    Attributes:
        name: what its makers call it.
        network: the file, whose weights can be drawn anew; None for a bundle in 8 bits.
        engine: the network, checked and loaded.
        provenance: hashes of what it is.
        seen: the list of patients that it has seen; the file need not be there.
        ledger: where looks at test films are counted; None for a bundle, which nobody writes to.
    """

    name: str
    network: Path | None
    engine: Engine
    provenance: dict[str, str]
    seen: Path
    ledger: Path | None


def subject_of(root: Path) -> Subject:
    """Return the network of a run or of a bundle.

    Raises:
        BundleError: when the folder is neither, or not as it was written.
    """
    run = RunFolder(root)  # a bundle calls its network, and whom it has seen, as a run does
    if (root / "bundle.json").is_file():
        bundle = Bundle.load(root)
        manifest = bundle.manifest
        facts = {"bundle": bundle.id, "model_sha256": manifest.calibration.model_sha256}
        network = None if bundle.precision.quantized else run.model
        return Subject(manifest.name, network, bundle.engine, facts, run.seen, None)
    if not (root / "run.json").is_file():
        raise BundleError(f"heatmaps are those of a run or bundle; {root} is neither")
    precision = read_calibration(run).precision if run.calibration.is_file() else Precision.F32
    facts = {"model_sha256": network_sha256(run, precision)}
    engine = engine_of(run, precision)
    return Subject(run.facts().network.name, run.model, engine, facts, run.seen, run.ledger)


def unseen(subject: Subject, cohort: Cohort) -> Cohort:
    """Return the films of patients that the network has not seen, with a note of what was left out.

    692 of the 880 films with NIH's boxes are among the train and tune films of the best known
    random split: where a network has seen the film, its map is no evidence.

    Raises:
        DatasetError: when the network has seen every patient.
        LeakError: when films of a table are, by their names, of patients it has seen.
    """
    if not subject.seen.is_file():
        note = "the patients that the network has seen are not known: a leak cannot be excluded"
        return _noted(cohort, note)
    known = SeenPatients.read(subject.seen)
    seen = known.among(cohort.population, cohort.patients().tolist())
    kept = cohort.select(lambda record: record.patient_id not in seen)
    if not len(kept):
        raise DatasetError(
            f"heatmaps must be of patients that the network has not seen; it has seen all "
            f"{len(seen):,} of {cohort.dataset}. Name another dataset with --data"
        )
    note = f"films left out, of patients that the network has seen: {len(cohort) - len(kept):,}"
    left = _noted(kept, note) if len(kept) < len(cohort) else kept
    source = f"{len(known):,} patients that {subject.name} has seen"
    leak = certify(TrainingFilms(source, frozenset(), frozenset(), 0, seen=known), kept)
    refuse_leak(leak)
    unchecked = leak.verdict is LeakVerdict.NOT_CHECKED
    return _noted(left, f"leak certificate: {leak.certificate}") if unchecked else left


def localize(
    subject: Subject, cohort: Cohort, place: Path, seed: int, advance: Advance | None = None
) -> HeatmapEvaluation:
    """Measure the heatmaps of the films whose findings have a known place.

    Of films that hilum drew these are the masks they were drawn with, else the readers' boxes.

    Args:
        subject: whose heatmaps.
        cohort: the films; of unseen patients.
        place: the dataset's folder.
        seed: of resamples and noise.
        advance: called with (done, total) films read.

    Raises:
        DatasetError: when no film has a finding with a known place, or none can be read.
    """
    labels, preprocessing = subject.engine.labels, subject.engine.preprocessing
    reference = reference_of(place, cohort, preprocessing)
    known = cohort.select(lambda record: bool(_requested(reference, record, labels)))
    if not len(known):
        raise DatasetError(
            f"heatmaps are compared with boxes or drawn masks of {', '.join(labels)}; no film of "
            f"{cohort.dataset} here has one. Name a dataset that has with --data"
        )
    films, stack = _read(subject, known, advance)
    heatmaps = subject.engine.run(stack.rasters).heatmaps

    def entries() -> Iterator[Mapped]:
        for row, record in enumerate(films.records):
            shape = stack.shapes[row]
            masks = reference.masks(FilmRead(record, shape, stack.rasters[row]))
            for finding in _requested(reference, record, labels):
                heatmap = preprocessing.to_film(heatmaps[row, labels.index(finding)], shape)
                yield Mapped(record.patient_id, finding, heatmap, masks[finding], record.image_id)

    split = _facts(films, "films with a known place")
    return HeatmapEvaluation(
        model=subject.name,
        split=split,
        look=_look(subject, split),
        precision=subject.engine.precision.value,
        provenance=subject.provenance,
        notes=films.notes,
        localisation=measure_localization(entries(), reference.words, seed),
    )


def sanity(subject: Subject, cohort: Cohort, seed: int, advance: Advance | None = None) -> Sanity:
    """Check on some films that the maps depend on weights and finding.

    Args:
        subject: whose heatmaps.
        cohort: the films; of unseen patients.
        seed: of the films, weights, pairs and resamples.
        advance: called with (done, total) networks.

    Raises:
        BundleError: for a bundle in 8 bits.
        DatasetError: when no two patients have a finding that the network knows, and its map.
    """
    if subject.network is None:
        raise BundleError(
            "weights are drawn anew in the network before it is in 8 bits, which the bundle "
            f"{subject.name} does not hold. Ask the run that it was made of"
        )
    labels = subject.engine.labels
    positives = {record.image_id: _positives(cohort, record, labels) for record in cohort.records}
    chosen = _chosen(cohort, positives, seed)
    films, stack = _read(subject, chosen, None)
    preprocessing, precision = subject.engine.preprocessing, subject.engine.precision.floats

    def maps(network: Path) -> NDArray[np.float32]:
        engine = Engine(network, preprocessing, labels, precision)
        return engine.run(stack.rasters).heatmaps

    checked = [
        CheckedMap(row, labels.index(name), record.patient_id)
        for row, record in enumerate(films.records)
        for name in positives[record.image_id]
    ]
    run = SanityRun(
        network=subject.network,
        model=subject.name,
        findings=len(labels),
        precision=precision.value,
        provenance=subject.provenance,
        split=_facts(films, "films with findings"),
        notes=films.notes,
        seed=seed,
    )
    try:
        return check_sanity(run, maps, checked, advance)
    except ValueError as error:
        raise DatasetError(f"the sanity of heatmaps cannot be checked here: {error}") from None


def _requested(reference: Reference, record: Record, labels: LabelSet) -> list[str]:
    return [name for name in labels if record.path and name in reference.findings(record)]


def _positives(cohort: Cohort, record: Record, labels: LabelSet) -> list[str]:
    pairs = zip(cohort.labels, record.states, strict=True)
    return [name for name, state in pairs if state is LabelState.POSITIVE and name in labels]


def _chosen(cohort: Cohort, positives: dict[str, list[str]], seed: int) -> Cohort:
    """Some films with findings: those with two or more first, which of them by chance."""
    films = [r.image_id for r in cohort.records if r.path and positives[r.image_id]]
    if not films:
        raise DatasetError(
            f"the sanity of heatmaps needs films with findings; {cohort.dataset} has none here "
            "that the network knows. Name another dataset with --data"
        )
    order = np.random.default_rng(np.random.SeedSequence((seed, 0xF11))).permutation(len(films))
    dealt = [films[number] for number in order.tolist()]
    several = [name for name in dealt if len(positives[name]) > 1]
    single = [name for name in dealt if len(positives[name]) == 1]
    wanted = frozenset((several + single)[:SANITY_FILMS])
    return cohort.select(lambda record: record.image_id in wanted)


def _read(subject: Subject, cohort: Cohort, advance: Advance | None) -> tuple[Cohort, Stack]:
    """Return the films that can be read, row by row, with a note of the others."""
    paths = [record.path for record in cohort.records if record.path is not None]
    stack = read_stack(paths, subject.engine.preprocessing, advance=advance)
    if not stack.kept:
        raise DatasetError(f"heatmaps need readable films; none of {len(paths)} could be read")
    kept = frozenset(cohort.records[position].image_id for position in stack.kept)
    films = cohort.select(lambda record: record.image_id in kept)
    refused = len(stack.refused)
    return _noted(
        films, f"{counted(refused, 'film')} could not be used; left out"
    ) if refused else films, stack


def _facts(films: Cohort, name: str) -> SplitFacts:
    drawn = ", synthetic films" if films.synthetic else ""
    return SplitFacts.of(f"{name}, {films.dataset}{drawn}", films)


def _look(subject: Subject, split: SplitFacts) -> int | None:
    if subject.ledger is None:
        return None
    return count_look(subject.ledger, split.sha256, {"heatmaps_of": subject.name})


def _noted(cohort: Cohort, note: str) -> Cohort:
    return replace(cohort, notes=(*cohort.notes, note))
