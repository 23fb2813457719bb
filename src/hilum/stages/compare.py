"""Comparison of runs, or of tables of predictions, on the same films."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilum.bundle.manifest import Calibration
from hilum.calibration import fit
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents import Interval
from hilum.domain.documents.comparison import Comparison
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import DatasetError, UsageError, counted
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Split
from hilum.domain.scores import Logits, Probabilities
from hilum.evaluation.compare import ComparisonRequest, Contender, compare
from hilum.evaluation.curves import Curves, curves_of
from hilum.files.sealed import read_sealed, write_sealed
from hilum.inference.cohort import score_cohort
from hilum.inference.engine import Precision
from hilum.predictions.read import Predictions, read_predictions
from hilum.report.evaluation.comparison import comparison_page
from hilum.report.evaluation.table import comparison_markdown
from hilum.runs.facts import Imported
from hilum.runs.folder import RunFolder
from hilum.stages.calibrate import engine_of
from hilum.stages.evaluate import mark_choice
from hilum.stages.sides import Side, names_of, title_of

__all__ = [
    "CHOSEN_ON_TEST",
    "Compared",
    "choose_on_test",
    "compare_predictions",
    "compare_runs",
    "write_comparison",
]

CHOSEN_ON_TEST = (
    "test: CHOSEN BY TEST NUMBERS. The winner's test numbers are optimistic and are no evidence "
    "of how it does on new patients"
)


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison with the scores behind it.

    Attributes:
        comparison: the numbers.
        contenders: the models with their scores of the cohort's films.
        cohort: the films compared on.
    """

    comparison: Comparison
    contenders: tuple[Contender, ...]
    cohort: Cohort

    def curves(self) -> dict[str, Curves]:
        """Return each model's curves by its name."""
        seed = self.comparison.seed
        return {one.name: curves_of(one.scores, self.cohort, seed) for one in self.contenders}


def write_comparison(compared: Compared, out: Path) -> None:
    """Write comparison.json, comparison.md and comparison.html into a folder.

    Args:
        compared: the comparison with its scores.
        out: the folder; made where it is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = compared.comparison
    write_sealed(found, out / "comparison.json")
    (out / "comparison.md").write_text(comparison_markdown(found), "utf-8")
    page = comparison_page(found, compared.curves())
    (out / "comparison.html").write_bytes(page.encode())


def compare_runs(
    runs: Sequence[tuple[RunFolder, Cohort]],
    request: ComparisonRequest,
    advance: Callable[[str, int, int], None] | None = None,
    sides: Sequence[Side] = (),
) -> Compared:
    """Score each run's tune films and compare; test is not read.

    Runs may differ in their label policy. Only labels that all policies agree on count, so that
    all models are measured alike. Numbers on test are shown where a run was evaluated.

    Args:
        runs: finished, each with its tune split; two or more.
        request: resamples, seed and margin; `split` and `may_choose` are set here.
        advance: called with (run, done, total) films read.
        sides: which of the runs differ in their seed alone, and count as one model; none for
            every run on its own.

    Raises:
        UsageError: for two models with the same name, or runs of a model that differ in more than
            their seed.
        DatasetError: when the runs' tune films or findings are not the same.
    """
    groups = sides or [Side.of_run(run) for run, _ in runs]
    for side in groups:
        side.refuse_unlike()
    labels = _findings_of_all(runs)
    cohort = _agreed(runs, labels)
    notes = [*request.notes, *_patient_notes(cohort)]
    kept: set[str] = set(cohort.image_ids())
    scores: dict[Path, tuple[Cohort, Probabilities]] = {}
    names = {run.root: name for side in groups for name, run in side.titles()}
    for run, own in runs:
        name = names[run.root]

        def report(done: int, total: int, name: str = name) -> None:
            if advance is not None:
                advance(name, done, total)

        scored = score_cohort(engine_of(run, Precision.F32), own, report)
        notes += [f"{name}: {note}" for note in scored.notes]
        kept &= set(scored.cohort.image_ids())
        scores[run.root] = (scored.cohort, _probabilities(run, scored.logits, scored.cohort))
    common = cohort.select(lambda record: record.image_id in kept)
    rows = {root: _rows(found, own, common, labels) for root, (own, found) in scores.items()}
    differing = _differing(groups)
    contenders = [
        Contender(
            side.name,
            rows[side.first.root],
            _test_numbers(side.first) if len(side.runs) == 1 else None,
            differing[side.name],
            _contamination(side.first, common),
            {run.root.name: rows[run.root] for run in side.runs[1:]},
            side.first.root.name,
        )
        for side in groups
    ]
    complete = replace(request, split=Split.TUNE.value, may_choose=True, notes=tuple(notes))
    return Compared(compare(contenders, common, complete), tuple(contenders), common)


def compare_predictions(
    tables: Sequence[Path], cohort: Cohort, request: ComparisonRequest, groups: Sequence[int] = ()
) -> Compared:
    """Compare tables of predictions on the films and findings that all tables have.

    Nothing is chosen: the films on which a table's models were chosen are not known.

    Args:
        tables: CSVs, those of one model beside each other.
        cohort: the films with their labels.
        request: films, resamples and margin.
        groups: how many tables each model has, of runs that differ in their seed; none for one.

    Raises:
        DatasetError: when the tables have no film or finding in common, or name films in one and
            studies in another.
    """
    read = [read_predictions(table, cohort) for table in tables]
    names = names_of(tables)
    if len({one.level for one in read}) > 1:
        levels = ", ".join(f"{name}: {one.level}" for name, one in zip(names, read, strict=True))
        raise DatasetError(f"all tables must be of films, or all of studies; got {levels}")
    labels = _shared_labels(read, cohort.labels)
    films = set.intersection(*(set(one.cohort.image_ids()) for one in read))
    common = read[0].cohort.select(lambda record: record.image_id in films)
    if not labels.findings or len(common) == 0:
        raise DatasetError(
            f"the tables must have films and findings in common; {counted(len(common), 'film')} "
            f"and {counted(len(labels), 'finding')} are in all of {', '.join(names)}"
        )
    rows = [_rows(one.probabilities, one.cohort, common, labels) for one in read]
    contenders = _grouped(names, rows, groups or [1] * len(tables))
    notes = _patient_notes(cohort)
    notes += [f"{n}: {note}" for n, one in zip(names, read, strict=True) for note in one.notes]
    notes += [
        f"{name}: {len(one.cohort) - len(common):,} rows are not in every table; left out"
        for name, one in zip(names, read, strict=True)
        if len(one.cohort) > len(common)
    ]
    complete = replace(
        request,
        may_choose=False,
        level=read[0].level.value,
        notes=(*request.notes, *notes),
    )
    return Compared(compare(contenders, common, complete), tuple(contenders), common)


def _grouped(
    names: Sequence[str], rows: Sequence[Probabilities], groups: Sequence[int]
) -> list[Contender]:
    """Return a model of each group of tables."""
    found: list[Contender] = []
    start = 0
    for count in groups:
        own, scores = names[start : start + count], rows[start : start + count]
        others = dict(zip(own[1:], scores[1:], strict=True))
        found.append(Contender(title_of(own), scores[0], others=others, run=own[0]))
        start += count
    return found


def choose_on_test(compared: Compared, runs: Sequence[RunFolder]) -> Compared:
    """Choose the winner by test AUROC, flagged in the comparison and in each run's ledger.

    Raises:
        UsageError: when a run was not evaluated on test, or a model has several runs.
    """
    if len(runs) > len(compared.contenders):
        raise UsageError("a choice on test is between single runs; a model here has several")
    areas = {
        name: model.test_auroc.value
        for name, model in compared.comparison.models.items()
        if model.test_auroc is not None and model.test_auroc.value is not None
    }
    if len(areas) < len(compared.comparison.models):
        raise UsageError("a choice on test needs every run evaluated on test; some are not")
    chosen = max(areas, key=areas.__getitem__)
    for run in runs:
        evaluation = read_sealed(Evaluation, run.evaluation)
        mark_choice(run.ledger, evaluation.split.sha256, chosen)
    update = {"chosen": chosen, "chosen_on": CHOSEN_ON_TEST}
    return replace(compared, comparison=compared.comparison.model_copy(update=update))


def _contamination(run: RunFolder, cohort: Cohort) -> str:
    origin = run.facts().origin
    if not isinstance(origin, Imported) or cohort.synthetic:
        return ""
    return origin.contamination(cohort.dataset)


def _findings_of_all(runs: Sequence[tuple[RunFolder, Cohort]]) -> LabelSet:
    """Return the findings that all runs have, in the order of the first."""
    (_, cohort), *others = runs
    shared = tuple(
        name for name in cohort.labels if all(name in other.labels for _, other in others)
    )
    if shared == cohort.labels.findings:
        return cohort.labels
    return LabelSet(cohort.labels.name, shared)


def _agreed(runs: Sequence[tuple[RunFolder, Cohort]], labels: LabelSet) -> Cohort:
    """Return the first cohort with only the labels that all runs' policies agree on."""
    (first, cohort), *others = runs
    states = cohort.states()[:, cohort.labels.columns(labels)]
    agree = np.ones(states.shape, bool)
    for run, other in others:
        if other.image_ids() != cohort.image_ids() or not labels.findings:
            raise DatasetError(
                f"runs must have the same tune films and a finding in common; {run.root.name} and "
                f"{first.root.name} differ. Train them on one dataset with one split seed"
            )
        agree &= other.states()[:, other.labels.columns(labels)] == states
    states[~agree] = LabelState.UNLABELLED
    records = tuple(
        replace(record, states=tuple(LabelState(int(s)) for s in row))
        for record, row in zip(cohort.records, states, strict=True)
    )
    return replace(cohort, labels=labels, records=records)


def _patient_notes(cohort: Cohort) -> list[str]:
    """Return the note that patients are not known, where it applies: intervals are then by film."""
    return [note for note in cohort.notes if note == NO_PATIENTS]


def _probabilities(run: RunFolder, logits: Logits, cohort: Cohort) -> Probabilities:
    """Return probabilities as the run serves them; the plain sigmoid where it is not calibrated."""
    if run.calibration.exists():
        calibration = read_sealed(Calibration, run.calibration)
        if calibration.precision is Precision.F32:
            return calibration.calibrator.apply(logits)
    return fit("sigmoid", logits, cohort.states()).apply(logits)


def _test_numbers(run: RunFolder) -> tuple[Interval, Interval] | None:
    if not run.evaluation.exists():
        return None
    macro = read_sealed(Evaluation, run.evaluation).macro
    return macro.auroc, macro.average_precision


def _rows(scores: Probabilities, own: Cohort, common: Cohort, labels: LabelSet) -> Probabilities:
    """Return the scores of the common films and findings, in their order."""
    row = {name: index for index, name in enumerate(own.image_ids())}
    rows = [row[name] for name in common.image_ids()]
    return Probabilities(scores.values[rows][:, scores.labels.columns(labels)], labels)


def _shared_labels(read: Sequence[Predictions], labels: LabelSet) -> LabelSet:
    shared = [n for n in labels if all(n in one.probabilities.labels for one in read)]
    return LabelSet(labels.name, tuple(shared))


def _differing(sides: Sequence[Side]) -> dict[str, dict[str, str]]:
    """Return fields of the models' configurations, or origins, that are not all the same."""
    flat = {side.name: side.choices() for side in sides}
    keys = dict.fromkeys(key for fields in flat.values() for key in fields if key != "name")
    apart = [key for key in keys if len({fields.get(key) for fields in flat.values()}) > 1]
    return {name: {key: fields.get(key, "") for key in apart} for name, fields in flat.items()}
