"""Rule-out rules: frozen on calibrate, checked on test, the look counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.manifest import Calibration, read_calibration
from hilum.calibration.abstention.fit import RuleSource, fit_rule
from hilum.calibration.abstention.request import RuleRequest
from hilum.datasets import open_dataset
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.rule_out import RULE_OUT, MissUnit, RuleOut
from hilum.domain.errors import UsageError
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import Cohort, Split, digest, patient_folds
from hilum.domain.scores import Probabilities
from hilum.evaluation.rule_out import CheckRequest, check_rule
from hilum.files.atomic import write_atomic
from hilum.files.sealed import file_sha256, write_sealed
from hilum.inference.cohort import score_cohort
from hilum.predictions.levels import films_behind
from hilum.predictions.read import read_predictions
from hilum.report.rule_out import markdown
from hilum.report.rule_out_page import PAGE, rule_out_page
from hilum.runs.folder import RunFolder
from hilum.splits import certify, check_disjoint, refuse_leak
from hilum.stages.calibrate import engine_of
from hilum.stages.evaluate import LEDGER, count_look
from hilum.stages.films import in_order, split_of, training_films

__all__ = ["RuleOutRequest", "rule_out_run", "rule_out_table"]

_HALVES = 2


@dataclass(frozen=True)
class RuleOutRequest:
    """A rule and the way it is checked.

    Attributes:
        rule: what to bound.
        date: day of the fit, YYYY-MM-DD.
        resamples, seed: of the check's intervals; for a table the seed also deals the halves.
        policy: what labels count as; for a table only.
        trained_on: what the model of a table was trained on, to refuse leaks; None if not known.
    """

    rule: RuleRequest
    date: str
    resamples: int = 500
    seed: int = 0
    policy: LabelPolicy = field(default_factory=LabelPolicy)
    trained_on: Path | None = None


@dataclass(frozen=True, eq=False)
class _Films:
    """Films of one use with their probabilities, and which have a finding called."""

    cohort: Cohort
    probabilities: Probabilities
    called: NDArray[np.bool_] | None
    name: str


def rule_out_run(
    run: RunFolder,
    request: RuleOutRequest,
    data: Path | None = None,
    advance: Callable[[str, int, int], None] | None = None,
) -> RuleOut:
    """Freeze a rule on the run's calibrate films, check it on test, and write it into the run.

    Args:
        run: trained and calibrated.
        request: what to bound.
        data: the dataset's folder; None for the folder that the run names.
        advance: called with (what, done, total) films read.

    Raises:
        BundleError: when the run is not calibrated, or its calibration is of a different network.
        DatasetError: when there are too few positives; before any test film is scored.
        LeakError: when a patient is on both sides.
    """
    calibration = read_calibration(run)
    engine = engine_of(run, calibration.precision)

    def films(split: Split) -> _Films:
        step = None if advance is None else partial(advance, f"reading {split.value}")
        scored = score_cohort(engine, split_of(run, split, data), step)
        probabilities = calibration.calibrator.apply(scored.logits)
        name = f"{split.value} of {run.films().split_name}"
        if scored.cohort.synthetic:
            name += ", synthetic films"
        return _Films(scored.cohort, probabilities, _called(probabilities, calibration), name)

    own = films(Split.CALIBRATE)
    findings = calibration.calibrator.findings
    source = _source(own, run.facts().network.name, calibration.bond, request)
    source = replace(
        source,
        findings=tuple(name for name in own.cohort.labels if findings[name].calibrated),
        notes=(*source.notes, *_uncalibrated(calibration)),
    )
    rule = fit_rule(own.probabilities, own.cohort, request.rule, source)
    rule = _checked(rule, own, films(Split.TEST), run.ledger, request)
    _write(rule, run.root)
    return rule


def rule_out_table(table: Path, labels: Path, out: Path, request: RuleOutRequest) -> RuleOut:
    """Freeze a rule on half of a table's patients, check it on the other half, and write it.

    Args:
        table: probabilities of anybody's model, as CSV.
        labels: the dataset's folder, or one of its tables.
        out: where rule_out.json, rule_out.md, rule_out.html and the ledger are written.
        request: what to bound.

    Raises:
        DatasetError: when table and labels do not fit together, or there are too few positives.
        LeakError: when an evaluated film or patient trained the model.
        UsageError: for a rule by patient where patients are not known.
    """
    dataset = open_dataset(labels)
    read = read_predictions(table, settle(dataset, request.policy))
    if NO_PATIENTS in read.cohort.notes and request.rule.unit is MissUnit.PATIENT:
        raise UsageError(
            f"a bound by patient needs the patient of each film; {labels} names none. Add a "
            "column patient_id, or use --unit film where each film is another patient's"
        )
    if request.trained_on is not None:
        known = training_films(request.trained_on, dataset)
        refuse_leak(certify(known, read.cohort, films_behind(read.cohort, dataset)))
    fold = patient_folds(read.cohort.patients().tolist(), _HALVES, request.seed)
    cohort = in_order(read.cohort, read.probabilities.labels)
    own, other = (_half(cohort, read.probabilities, fold == half) for half in (0, 1))
    source = replace(
        _source(own, table.name, file_sha256(table), request),
        findings=read.probabilities.labels.findings,
        notes=(
            *read.notes,
            "the table's probabilities are taken as they are; patients were dealt into halves, "
            "one to choose the threshold and one to try it",
        ),
    )
    rule = fit_rule(own.probabilities, own.cohort, request.rule, source)
    out.mkdir(parents=True, exist_ok=True)
    rule = _checked(rule, own, other, out / LEDGER, request)
    _write(rule, out)
    return rule


def _half(cohort: Cohort, probabilities: Probabilities, inside: NDArray[np.bool_]) -> _Films:
    """Return one half of a table's patients."""
    half = replace(cohort, records=tuple(compress(cohort.records, inside)))
    own = Probabilities(probabilities.values[inside], probabilities.labels)
    return _Films(half, own, None, "half of the patients of the table")


def _source(films: _Films, model: str, bond: str, request: RuleOutRequest) -> RuleSource:
    return RuleSource(
        model=model,
        bond=bond,
        findings=(),
        population=films.cohort.population,
        split=films.name,
        date=request.date,
        called=films.called,
    )


def _called(probabilities: Probabilities, calibration: Calibration) -> NDArray[np.bool_]:
    """Return the films with a finding at or above its operating point."""
    thresholds = calibration.thresholds()
    limits = [thresholds.get(name) for name in probabilities.labels]
    line = np.array([np.inf if limit is None else limit for limit in limits])
    return np.asarray((probabilities.values >= line).any(axis=1), np.bool_)


def _uncalibrated(calibration: Calibration) -> tuple[str, ...]:
    names = [n for n, one in calibration.calibrator.findings.items() if not one.calibrated]
    note = (
        "the calibrator was fitted on the same films; its few numbers could favor them a little",
    )
    if not names:
        return note
    return (*note, f"not in the score, since they are not calibrated: {', '.join(names)}")


def _checked(
    rule: RuleOut, own: _Films, test: _Films, ledger: Path, request: RuleOutRequest
) -> RuleOut:
    """Count the look at the test films and check the frozen rule on them."""
    check_disjoint(frozenset(own.cohort.patients().tolist()), test.cohort.patients().tolist())
    split_sha256 = digest(test.cohort.image_ids())
    look = count_look(ledger, split_sha256, {"bond": rule.bond, "rule_sha256": rule.rule_sha256})
    name = test.name.replace("half", "the other half", 1)
    wanted = CheckRequest(name, look, request.resamples, request.seed)
    check = check_rule(rule, test.probabilities, test.cohort, wanted, test.called)
    return rule.model_copy(update={"check": check})


def _write(rule: RuleOut, folder: Path) -> None:
    write_sealed(rule, folder / RULE_OUT)
    (folder / "rule_out.md").write_text(markdown(rule), "utf-8")
    write_atomic(folder / PAGE, rule_out_page(rule).encode("utf-8"))
