"""From a calibrated run and its test split to the evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.manifest import Calibration
from hilum.domain.errors import BundleError
from hilum.domain.record import Box, Cohort, Split
from hilum.domain.result import Evaluation
from hilum.domain.seal import read_sealed, write_sealed
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.figure import write_figure
from hilum.evaluation.localise import Localisation, Mapped, localise
from hilum.evaluation.request import EvaluationRequest
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.cohort import Scored, score_cohort
from hilum.splits import SplitTable, check_disjoint
from hilum.stages.calibrate import engine_of
from hilum.training.run import RunFolder

__all__ = ["GRID", "Evaluated", "evaluate_run", "localise_boxes", "map_on_grid"]

GRID = (256, 256)
"""Rows and columns that heatmaps and masks are compared on."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The numbers, and the scores behind them."""

    evaluation: Evaluation
    scored: Scored


def evaluate_run(
    run: RunFolder,
    cohort: Cohort,
    resamples: int,
    seed: int,
    advance: Callable[[int, int], None] | None = None,
) -> Evaluated:
    """Score the test films once more, count the look, and write `evaluation.json` and its figure.

    Args:
        run: trained and calibrated.
        cohort: its test split.
        resamples: patient resamples behind each interval.
        seed: of the resamples.
        advance: called with (done, total) films read.

    Raises:
        BundleError: when the run is not calibrated, or its calibration is of another network.
        LeakError: when a test patient trained, tuned or calibrated it.
    """
    facts = run.facts()
    calibration = read_sealed(Calibration, run.calibration)
    if calibration.model_sha256 != facts.model_sha256:
        raise BundleError(
            f"the calibration must belong to the run's network; {run.calibration} was fitted on "
            "another. Run `hilum calibrate` again"
        )
    table = SplitTable.read(run.split)
    seen = [table.patients(split) for split in Split if split is not Split.TEST]
    check_disjoint(frozenset[str]().union(*seen), cohort.patients().tolist())
    scored = score_cohort(engine_of(run, calibration.precision), cohort, advance)
    looks = _count_look(run, calibration)
    probabilities = calibration.calibrator.apply(scored.logits)
    evaluation = evaluate(
        probabilities,
        scored.cohort,
        EvaluationRequest(
            model=run.config().name,
            split=f"{Split.TEST.value} of {facts.split_name}"
            + (", synthetic films" if facts.synthetic else ""),
            operating_points=calibration.operating_points,
            resamples=resamples,
            seed=seed,
            prevalences=calibration.prevalence,
            prevalence_from="the calibrate split",
            provenance={
                "model_sha256": facts.model_sha256,
                "bond": calibration.bond,
                "config_sha256": facts.config_sha256,
                "records_sha256": facts.records_sha256,
                **facts.provenance,
            },
            precision=calibration.precision.value,
            notes=(*facts.notes, *scored.notes, f"look number {looks} at this test split"),
        ),
    )
    write_figure(probabilities, scored.cohort, evaluation, run.root / "evaluation.png")
    write_sealed(evaluation, run.evaluation)
    return Evaluated(evaluation, scored)


def _count_look(run: RunFolder, calibration: Calibration) -> int:
    """One more line in the ledger; how many there are now."""
    line = json.dumps({"model_sha256": calibration.model_sha256, "bond": calibration.bond})
    with run.ledger.open("a", encoding="utf-8") as ledger:
        ledger.write(line + "\n")
    return len(run.ledger.read_text("utf-8").splitlines())


def map_on_grid(scored: Scored, preprocessing: Preprocessing, row: int, finding: str) -> np.ndarray:
    """A film's heatmap of a finding, (rows, columns) of `GRID` over the whole film."""
    import cv2

    heatmap = scored.heatmaps[row, scored.cohort.labels.index(finding)]
    film = preprocessing.to_film(heatmap, scored.shapes[row])
    return cv2.resize(film, GRID[::-1], interpolation=cv2.INTER_LINEAR)


def localise_boxes(scored: Scored, preprocessing: Preprocessing, seed: int) -> Localisation:
    """The pointing game on the films that have reader boxes."""

    def entries() -> Iterator[Mapped]:
        for row, record in enumerate(scored.cohort.records):
            for finding in sorted({box.finding for box in record.boxes}):
                if finding in scored.cohort.labels:
                    mask = _mask([box for box in record.boxes if box.finding == finding])
                    heatmap = map_on_grid(scored, preprocessing, row, finding)
                    yield Mapped(record.patient_id, finding, heatmap, mask)

    return localise(entries(), "reader boxes", seed)


def _mask(boxes: list[Box]) -> NDArray[np.bool_]:
    """The union of boxes on the grid; a box covers the cells whose centre lies in it."""
    rows = (np.arange(GRID[0]) + 0.5)[:, None] / GRID[0]
    columns = (np.arange(GRID[1]) + 0.5)[None, :] / GRID[1]
    mask = np.zeros(GRID, np.bool_)
    for box in boxes:
        inside = (rows >= box.y) & (rows <= box.y + box.height)
        mask |= inside & (columns >= box.x) & (columns <= box.x + box.width)
    return mask
