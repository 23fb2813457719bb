"""From a run and its calibrate split to calibrator and operating points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hilum.bundle.manifest import Calibration
from hilum.calibration import fit
from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelState
from hilum.domain.record import Cohort, Split, digest
from hilum.domain.result import SplitFacts
from hilum.domain.scores import Target
from hilum.domain.seal import file_sha256, write_sealed
from hilum.inference.cohort import score_cohort
from hilum.inference.engine import Engine, Precision
from hilum.metrics.operating import choose_all
from hilum.training.run import RunFolder

__all__ = ["calibrate_run", "engine_of", "split_facts"]


def calibrate_run(
    run: RunFolder,
    cohort: Cohort,
    choice: tuple[str, Target, Precision],
    advance: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Fit on the calibrate films and write `calibration.json` into the run.

    Args:
        run: finished.
        cohort: its calibrate split.
        choice: calibrator, what thresholds maximise, and the precision that serving will use.
        advance: called with (done, total) films read.
    """
    method, target, precision = choice
    config = run.config()
    scored = score_cohort(engine_of(run, precision), cohort, advance)
    states = scored.cohort.states()
    calibrator = fit(method, scored.logits, states)
    points = choose_all(calibrator.apply(scored.logits), states, target)
    positives = (states == LabelState.POSITIVE).sum(axis=0)
    known = positives + (states == LabelState.NEGATIVE).sum(axis=0)
    refused = (f"{p.finding}: no threshold, {p.reason}" for p in points if p.threshold is None)
    calibration = Calibration(
        model_sha256=run.facts().model_sha256,
        preprocessing_sha256=config.preprocessing.sha256(),
        precision=precision,
        calibrator=calibrator,
        operating_points=points,
        fitted_on=split_facts(scored.cohort, Split.CALIBRATE),
        prevalence={
            name: float(positives[column] / known[column])
            for column, name in enumerate(cohort.labels)
            if known[column]
        },
        notes=(*scored.notes, *calibrator.notes(), *refused),
    )
    write_sealed(calibration, run.calibration)
    return calibration


def engine_of(run: RunFolder, precision: Precision) -> Engine:
    """The run's exported network.

    Raises:
        BundleError: when it is not the one that training exported.
    """
    facts = run.facts()
    if not run.model.is_file() or file_sha256(run.model) != facts.model_sha256:
        raise BundleError(
            f"model.onnx must be the one training exported; {run.model} was changed or removed "
            "since. Restore it or train again"
        )
    return Engine(run.model, run.config().preprocessing, run.labels(), precision)


def split_facts(cohort: Cohort, split: Split) -> SplitFacts:
    """Name, hash and size of what was scored."""
    return SplitFacts(
        name=split.value,
        sha256=digest(cohort.image_ids()),
        images=len(cohort),
        patients=len(np.unique(cohort.patients())),
    )
