"""Evaluate a calibrated run on its test split, and count every look at test films."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.manifest import Calibration, read_calibration
from hilum.calibration import fit
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.heatmaps import Localization
from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.domain.provenance import code_sha256
from hilum.domain.record import Box, Cohort, Split, digest
from hilum.domain.scores import Logits, Probabilities
from hilum.evaluation.effect import effect_of_calibration
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.localize import Mapped, measure_localization
from hilum.evaluation.request import EvaluationRequest, Unit
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.cohort import Scored, score_cohort
from hilum.predictions.label_errors import LabelErrors
from hilum.report.evaluation.write import write_effect, write_evaluation
from hilum.runs.facts import Imported
from hilum.runs.folder import RunFolder
from hilum.splits import SeenPatients, SplitTable, check_disjoint
from hilum.stages.calibrate import engine_of
from hilum.stages.films import in_order

__all__ = [
    "GRID",
    "LEDGER",
    "Evaluated",
    "RunEvaluation",
    "count_look",
    "evaluate_run",
    "localize_boxes",
    "map_on_grid",
    "mark_choice",
    "pointing_line",
    "was_chosen_by",
]

GRID = (256, 256)
"""Rows and columns of the grid on which heatmaps and masks are compared."""
LEDGER = "test_ledger.jsonl"
"""File name of the ledger of looks at test films, in a run or beside an evaluation."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An evaluation and the scores behind it."""

    evaluation: Evaluation
    scored: Scored


@dataclass(frozen=True)
class RunEvaluation:
    """Options for evaluating a run.

    Attributes:
        resamples, seed: of the intervals.
        out: the folder to write to; None for the run's own folder.
        label_errors: how often labels are right, of some findings.
    """

    resamples: int
    seed: int
    out: Path | None = None
    label_errors: tuple[LabelErrors, ...] = ()


def evaluate_run(
    run: RunFolder,
    cohort: Cohort,
    request: RunEvaluation,
    advance: Callable[[int, int], None] | None = None,
) -> Evaluated:
    """Score the test films, count the look, and write the evaluation's files.

    Args:
        run: trained and calibrated.
        cohort: its test split.
        request: intervals, and where to write.
        advance: called with (done, total) films read.

    Raises:
        BundleError: when the run is not calibrated, or its calibration is of a different network.
        LeakError: when a test patient trained, tuned or calibrated the network.
    """
    calibration = read_calibration(run)
    _refuse_seen(run, cohort)
    scored = score_cohort(engine_of(run, calibration.precision), cohort, advance)
    scored = _measurable(scored, calibration)
    probabilities = calibration.calibrator.apply(scored.logits)
    evaluation = evaluate(probabilities, scored.cohort, _request(run, calibration, scored, request))
    folder = request.out or run.root
    write_evaluation(evaluation, probabilities, scored.cohort, folder)
    _write_effect(calibration, probabilities, scored, evaluation, folder)
    return Evaluated(evaluation, scored)


def _measurable(scored: Scored, calibration: Calibration) -> Scored:
    """Return the findings that the calibrate films had labels of; an imported network has more."""
    labels = scored.cohort.labels
    kept = tuple(name for name in labels if name in calibration.prevalence)
    if kept == labels.findings:
        return scored
    absent = [name for name in labels if name not in kept]
    columns = labels.columns(kept)
    fewer = LabelSet(labels.name, kept)
    note = f"not measured, since the calibrate films have no labels of them: {', '.join(absent)}"
    return replace(
        scored,
        cohort=in_order(scored.cohort, fewer),
        logits=Logits(scored.logits.values[:, columns], fewer),
        heatmaps=scored.heatmaps[:, columns],
        notes=(*scored.notes, note),
    )


def _request(
    run: RunFolder, calibration: Calibration, scored: Scored, request: RunEvaluation
) -> EvaluationRequest:
    """Return the choices fixed before the look; counts the look."""
    facts, films = run.facts(), run.films()
    network = facts.network
    split_sha256 = digest(scored.cohort.image_ids())
    hashes = {"model_sha256": network.model_sha256, "bond": calibration.bond}
    return EvaluationRequest(
        model=network.name,
        split=f"{Split.TEST.value} of {films.split_name}"
        + (", synthetic films" if films.synthetic else ""),
        operating_points=tuple(
            point
            for point in (*calibration.operating_points, *calibration.other_points)
            if point.finding in scored.cohort.labels
        ),
        chosen_on="the calibrate split",
        shared_threshold=calibration.shared_threshold or 0.5,
        resamples=request.resamples,
        seed=request.seed,
        label_errors=request.label_errors,
        prevalences=calibration.prevalence,
        prevalence_from="the calibrate split",
        provenance={
            **hashes,
            **facts.origin.hashes(),
            "records_sha256": films.records_sha256,
            **network.provenance,
        },
        precision=calibration.precision.value,
        notes=(*_seen(run), *network.notes, *scored.notes, *_flags(run, split_sha256)),
        policy={} if films.policy is None else films.policy.in_words(),
        look=count_look(run.ledger, split_sha256, hashes),
        intervals_by=Unit.FILMS if NO_PATIENTS in scored.cohort.notes else Unit.PATIENTS,
    )


def _seen(run: RunFolder) -> tuple[str, ...]:
    """Warn where the authors of an imported network trained it on the evaluated dataset."""
    origin = run.facts().origin
    films = run.films()
    if not isinstance(origin, Imported) or films.synthetic:  # drawn patients are nobody's
        return ()
    warning = origin.contamination(films.dataset)
    return (warning,) if warning else ()


def _write_effect(
    calibration: Calibration,
    probabilities: Probabilities,
    scored: Scored,
    evaluation: Evaluation,
    folder: Path,
) -> None:
    """Write the calibrated probabilities compared with the plain sigmoid, on the test films."""
    cohort = scored.cohort
    plain = fit("sigmoid", scored.logits, cohort.states()).apply(scored.logits)
    effect = effect_of_calibration(
        ("the network's sigmoid", plain),
        (f"{calibration.calibrator.method}, fitted on calibrate", probabilities),
        cohort,
        evaluation,
    )
    write_effect(effect, plain, probabilities, cohort, folder)


def _refuse_seen(run: RunFolder, cohort: Cohort) -> None:
    """Refuse patients of the run's other splits and those that its starting weights have seen."""
    table = SplitTable.read(run.split)
    seen = [table.patients(split) for split in Split if split is not Split.TEST]
    patients = cohort.patients().tolist()
    check_disjoint(frozenset[str]().union(*seen), patients)
    if run.seen.exists():
        SeenPatients.read(run.seen).refuse_overlap(cohort.population, patients, "evaluation")


def _flags(run: RunFolder, split_sha256: str) -> tuple[str, ...]:
    if not was_chosen_by(run.ledger, split_sha256):
        return ()
    return (
        "these test films were used to choose between models: the numbers of the one that was "
        "chosen are optimistic",
    )


def map_on_grid(scored: Scored, preprocessing: Preprocessing, row: int, finding: str) -> np.ndarray:
    """Return a film's heatmap of a finding, (rows, columns) of `GRID` over the whole film."""
    import cv2

    heatmap = scored.heatmaps[row, scored.cohort.labels.index(finding)]
    film = preprocessing.to_film(heatmap, scored.shapes[row])
    return cv2.resize(film, GRID[::-1], interpolation=cv2.INTER_LINEAR)


def localize_boxes(scored: Scored, preprocessing: Preprocessing, seed: int) -> Localization:
    """Play the pointing game on the films that have reader boxes."""

    def entries() -> Iterator[Mapped]:
        for row, record in enumerate(scored.cohort.records):
            for finding in sorted({box.finding for box in record.boxes}):
                if finding in scored.cohort.labels:
                    mask = _mask([box for box in record.boxes if box.finding == finding])
                    heatmap = map_on_grid(scored, preprocessing, row, finding)
                    yield Mapped(record.patient_id, finding, heatmap, mask)

    return measure_localization(entries(), "reader boxes", seed)


def pointing_line(localisation: Localization) -> str:
    """Return the pointing game of all findings in one line, beside the image-free prior."""
    mean = localisation.mean
    if mean is None:
        return f"pointing game: no finding has two films with {localisation.reference}"
    return (
        f"pointing game against {localisation.reference}: {mean.hits.in_words()} of {mean.maps} "
        f"maps hit; an image-free position prior {mean.prior_hits.in_words()}"
    )


def _mask(boxes: list[Box]) -> NDArray[np.bool_]:
    """Return the union of boxes on the grid; a box covers the cells whose center lies in it."""
    rows = (np.arange(GRID[0]) + 0.5)[:, None] / GRID[0]
    columns = (np.arange(GRID[1]) + 0.5)[None, :] / GRID[1]
    mask = np.zeros(GRID, np.bool_)
    for box in boxes:
        inside = (rows >= box.y) & (rows <= box.y + box.height)
        mask |= inside & (columns >= box.x) & (columns <= box.x + box.width)
    return mask


def count_look(ledger: Path, split_sha256: str, facts: Mapping[str, str]) -> int:
    """Record a look at these films; return the number of looks so far.

    A test set that was evaluated often becomes a tuning set: the best of many evaluations is too
    good by chance. Only looks at the same films count.

    Args:
        ledger: the file; created where it is missing.
        split_sha256: hash of the film names, sorted, one per line.
        facts: hashes and names of what was evaluated.

    Raises:
        BundleError: when the ledger is no longer JSON lines with the expected keys.
    """
    _append(ledger, {"split_sha256": split_sha256, **facts})
    return sum("chosen" not in line for line in _lines(ledger, split_sha256))


def mark_choice(ledger: Path, split_sha256: str, chosen: str) -> None:
    """Record that a model was chosen by its numbers on these test films."""
    _append(ledger, {"split_sha256": split_sha256, "chosen": chosen})


def was_chosen_by(ledger: Path, split_sha256: str) -> bool:
    """Return whether these test films were used to choose between models."""
    return ledger.exists() and any("chosen" in line for line in _lines(ledger, split_sha256))


def _append(ledger: Path, line: Mapping[str, str]) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with ledger.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "code_sha256": code_sha256(), "time": when}) + "\n")


def _lines(ledger: Path, split_sha256: str) -> list[dict[str, str]]:
    try:
        lines = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
        return [line for line in lines if line["split_sha256"] == split_sha256]
    except (KeyError, TypeError, ValueError):
        raise BundleError(
            f"the ledger must be JSON lines as hilum wrote them; {ledger} was edited. Restore it"
        ) from None
