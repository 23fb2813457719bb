"""Fit calibrator and operating points of a run on its calibrate split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.manifest import Calibration, network_of, network_sha256
from hilum.calibration import fit
from hilum.calibration.size import films_for_ratio
from hilum.domain.documents import SplitFacts
from hilum.domain.errors import LeakError, UsageError, counted
from hilum.domain.record import Cohort, Split, prevalences
from hilum.domain.scores import Target
from hilum.files.sealed import write_sealed
from hilum.inference.cohort import Scored, score_cohort
from hilum.inference.engine import Engine, Precision
from hilum.metrics.operating import choose_all, choose_shared
from hilum.runs.facts import Imported
from hilum.runs.folder import RunFolder
from hilum.splits import SplitTable

__all__ = ["GOALS", "CalibrationRequest", "calibrate_run", "engine_of"]

GOALS: Mapping[Target, float | None] = {
    Target.F1: None,
    Target.YOUDEN: None,
    Target.BALANCED_ACCURACY: None,
    Target.SENSITIVITY: 0.90,
    Target.SPECIFICITY: 0.90,
    Target.PPV: 0.50,
}
"""Targets that operating points are chosen for, with their default goal where one is needed."""


_FACTOR = 1.25
"""Width of the interval of observed / expected for which the number of films is reported."""
_LISTED = 3
"""Findings that need the most films and are named."""


@dataclass(frozen=True)
class CalibrationRequest:
    """Method, target and precision of a calibration.

    Attributes:
        method: name of the calibrator.
        target: what the thresholds that serve are chosen for; the other targets' thresholds are
            chosen too, for the evaluation's table.
        goal: the value to reach, where the target needs one; None for its value in `GOALS`.
        precision: the arithmetic that serving will use; one with 8 bits needs the run's quantized
            network (`hilum.training.quantize`).
        prevalences: share of films with a finding where the bundle will serve, by finding; the
            probabilities are shifted to it from that of the calibrate films. Never guessed.
    """

    method: str = "platt"
    target: Target = Target.F1
    goal: float | None = None
    precision: Precision = Precision.F32
    prevalences: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if self.target not in GOALS:
            raise UsageError(f"thresholds must be chosen for {', '.join(GOALS)}; got {self.target}")
        if self.goal is not None and not (self.target.needs_goal and 0.0 < self.goal < 1.0):
            raise UsageError(
                f"a goal must lie in (0, 1) and belong to sensitivity, specificity or ppv; "
                f"got {self.goal:g} for {self.target}"
            )

    def goals(self) -> Mapping[Target, float | None]:
        """Return the targets to choose thresholds for, the serving one first."""
        goal = GOALS[self.target] if self.goal is None else self.goal
        rest = {target: own for target, own in GOALS.items() if target is not self.target}
        return {self.target: goal, **rest}


def calibrate_run(
    run: RunFolder,
    cohort: Cohort,
    request: CalibrationRequest,
    advance: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Fit on the calibrate films and write `calibration.json` into the run.

    Args:
        run: finished.
        cohort: its calibrate split.
        request: method, target, precision and prevalences.
        advance: called with (done, total) films read.

    Raises:
        LeakError: for a film of a different split; only calibrate films may calibrate.
    """
    _refuse_other_splits(run, cohort)
    scored = score_cohort(engine_of(run, request.precision), cohort, advance)
    moved = _moved(run, scored, advance) if request.precision.quantized else ()
    states = scored.cohort.states()
    prevalence = prevalences(cohort.labels, states)
    calibrator = fit(request.method, scored.logits, states)
    if request.prevalences:
        calibrator = calibrator.at_prevalence(prevalence, request.prevalences)
    probabilities = calibrator.apply(scored.logits)
    served, *others = (
        choose_all(probabilities, states, target, goal) for target, goal in request.goals().items()
    )
    refused = (f"{p.finding}: no threshold, {p.reason}" for p in served if p.threshold is None)
    calibration = Calibration(
        model_sha256=network_sha256(run, request.precision),
        preprocessing_sha256=run.facts().network.preprocessing.sha256(),
        precision=request.precision,
        calibrator=calibrator,
        operating_points=served,
        other_points=tuple(point for points in others for point in points),
        shared_threshold=choose_shared(probabilities, states),
        fitted_on=SplitFacts.of(Split.CALIBRATE.value, scored.cohort),
        prevalence=prevalence,
        notes=(
            *scored.notes,
            *moved,
            *calibrator.notes(),
            *refused,
            *_seen(run),
            *_films_needed(run, cohort),
        ),
    )
    write_sealed(calibration, run.calibration)
    return calibration


def _seen(run: RunFolder) -> tuple[str, ...]:
    """Say which patients of the site an imported network has seen, by name or by dataset."""
    origin, films = run.facts().origin, run.films()
    if not isinstance(origin, Imported):
        return ()
    if run.seen.exists():
        table = SplitTable.read(run.split)
        seen = table.patients(Split.TRAIN)
        count = sum(place.split is Split.TRAIN for place in table.films.values())
        words = f"{counted(count, 'film')} of {counted(len(seen), 'patient')}"
        return (f"refused, since the network has seen the patients: {words}",) if seen else ()
    warning = "" if films.synthetic else origin.contamination(films.dataset)
    return (f"{warning}. Probabilities fitted on them may be too sure",) if warning else ()


def _films_needed(run: RunFolder, cohort: Cohort) -> tuple[str, ...]:
    """Say how many films an imported network needs at a site, for an interval of stated width."""
    if not isinstance(run.facts().origin, Imported):
        return ()
    shares = prevalences(cohort.labels, cohort.states())
    needed = {
        name: films_for_ratio(share, _FACTOR) for name, share in shares.items() if 0 < share < 1
    }
    if not needed:
        return ()
    most = sorted(needed, key=lambda name: -needed[name])
    listed = ", ".join(f"{name} {needed[name]:,}" for name in most[:_LISTED])
    others = most[_LISTED:]
    more = f" (and {len(others)} more, at most {needed[others[0]]:,})" if others else ""
    return (
        f"for observed / expected within a factor of {_FACTOR:g} (95 % interval), films of as many "
        f"patients are needed: {listed}{more}; "
        f"fitted on {len(cohort)}",
    )


def _moved(
    run: RunFolder, scored: Scored, advance: Callable[[int, int], None] | None
) -> tuple[str]:
    """Difference of 8 bits from float32 on the calibrate films, in a sentence."""
    floats = score_cohort(engine_of(run, Precision.F32), scored.cohort, advance)
    moved = np.abs(scored.logits.values - floats.logits.values)
    pairs = zip(_maps(scored), _maps(floats), strict=True)
    alike = [np.corrcoef(a, b)[0, 1] for a, b in pairs if a.std() > 0.0 < b.std()]
    maps = f"heatmaps correlate by {np.mean(alike):.3f}" if alike else "heatmaps are flat"
    return (
        f"beside float32, 8 bits move the logits of the calibrate films by {moved.mean():.3f} on "
        f"average and {moved.max():.2f} at most; {maps}",
    )


def _maps(scored: Scored) -> NDArray[np.float32]:
    """(N x L, h x w): each film's map of each finding."""
    count, findings, height, width = scored.heatmaps.shape
    return scored.heatmaps.reshape(count * findings, height * width)


def _refuse_other_splits(run: RunFolder, cohort: Cohort) -> None:
    table = SplitTable.read(run.split)
    table.check(cohort)
    uses = {table.films[name].split for name in cohort.image_ids()} - {Split.CALIBRATE}
    if uses:
        raise LeakError(
            f"a calibrator must be fitted on calibrate films only; got films of "
            f"{', '.join(sorted(uses))} as well. Use the run's calibrate split"
        )


def engine_of(run: RunFolder, precision: Precision) -> Engine:
    """Load the run's network for a precision.

    Raises:
        BundleError: when the file is not the exported network or its quantized form, or when
            config.yaml of a trained run was edited.
    """
    network = network_of(run, precision)
    run.refuse_edited_config()
    facts = run.facts().network
    return Engine(network, facts.preprocessing, facts.outputs, precision)
