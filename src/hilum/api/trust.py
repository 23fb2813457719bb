"""What a hospital asks beyond one number: which films may wait, and is it as good as readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.api.lab import path_of
from hilum.api.numbers import is_table
from hilum.domain.errors import UsageError, choice

if TYPE_CHECKING:
    from hilum.api.lab import Advance, Remark
    from hilum.domain.documents.readers import ReaderStudy
    from hilum.domain.documents.rule_out import RuleOut
    from hilum.domain.documents.watch import WatchCheck, WatchReference
    from hilum.domain.policy import LabelPolicy

__all__ = ["readers", "rule_out", "watch_check", "watch_fit"]


def rule_out(
    subject: Path | str,
    labels: Path | str | None = None,
    out: Path | str | None = None,
    *,
    miss: float = 0.02,
    confidence: float = 0.95,
    unit: str = "patient",
    of: Sequence[str] = ("any",),
    within: str = "",
    ppv: float | None = None,
    trained_on: Path | str | None = None,
    policy: LabelPolicy | None = None,
    resamples: int = 500,
    seed: int = 0,
    advance: Advance | None = None,
    remark: Remark | None = None,
) -> RuleOut:
    """Freeze the largest score below which few films with a finding are missed, with a bound.

    A run's rule is chosen on its calibrate films and checked on its test films; a table's on one
    half of its patients and on the other. The look is counted. Nothing is decided about a film
    here: a bundle of the run carries the rule.

    Args:
        subject: a calibrated run, or a CSV of predictions.
        labels: the dataset with the labels; for a run None for its own.
        out: for a table, where to write; a run's rule is written into the run.
        miss: miss rate to stay below, in (0, 1).
        confidence: that it is, in (0.5, 1).
        unit: `patient` or `film`.
        of: findings, or `any`; several share the error.
        within: attributes of strata, such as "view,age"; each has a threshold of its own.
        ppv: predictive value to bound for flagged films; None to flag none.
        trained_on: what a table's model was trained on, to refuse leaks.
        policy: what labels count as; for a table only.
        resamples: patient resamples behind each interval.
        seed: of the resamples; for a table it also deals the halves.
        advance: progress callback.
        remark: called before anything is computed with how many positives the bound needs.

    Raises:
        DatasetError: when there are too few positives for any bound.
        UsageError: for a table without labels or folder, or options out of range.

    Example:
        >>> rule_out("scores.csv")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: a rule of a predictions CSV needs --labels DATASET and
        -o OUT
    """
    place = Path(subject)
    table = is_table(place)
    if table and (labels is None or out is None):
        raise UsageError("a rule of a predictions CSV needs --labels DATASET and -o OUT")
    if not table and (out is not None or trained_on is not None or policy is not None):
        raise UsageError(
            "-o, --trained-on and label options are for a predictions CSV only; a run's rule is "
            "written into the run, with the labels it was trained with"
        )
    from hilum.calibration.abstention.fit import RuleRequest, needs
    from hilum.calibration.abstention.scores import parse_within
    from hilum.domain.documents.rule_out import ANY, MissUnit
    from hilum.domain.findings import find
    from hilum.domain.policy import LabelPolicy
    from hilum.runs.folder import RunFolder
    from hilum.stages.rule_out import RuleOutRequest, rule_out_run, rule_out_table, today

    rule = RuleRequest(
        miss=miss,
        confidence=confidence,
        unit=choice(MissUnit, unit, "unit"),
        of=tuple(name if name == ANY else find(name).name for name in of),
        within=parse_within(within),
        ppv=ppv,
    )
    if remark is not None:
        remark(needs(rule))
    request = RuleOutRequest(
        rule=rule,
        date=today(),
        resamples=resamples,
        seed=seed,
        policy=LabelPolicy() if policy is None else policy,
        trained_on=path_of(trained_on),
    )
    if table:
        return rule_out_table(place, Path(labels or ""), Path(out or ""), request)
    return rule_out_run(RunFolder(place), request, path_of(labels), advance)


def readers(
    predictions: Path | str,
    readers: Path | str,
    labels: Path | str,
    out: Path | str,
    *,
    called_at: float = 0.5,
    policy: LabelPolicy | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> ReaderStudy:
    """Measure a model and readers on the same films, paired by case, and write the study.

    Args:
        predictions: the model's predictions, a CSV.
        readers: a folder with a table for each reader, or one table with a column `reader`.
        labels: the truth: a dataset's folder, or one of its tables.
        out: where readers.json and readers.md are written.
        called_at: rating from which on a reader calls a finding positive.
        policy: what the truth's labels count as.
        resamples: patient resamples behind each interval.
        seed: of the resamples.

    Raises:
        DatasetError: when predictions, readers and truth do not fit together.
        UsageError: for readers that are not there.

    Example:
        >>> readers("scores.csv", "nobody", "labels.csv", "out")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: --readers must name a folder or a table; nobody is not there
    """
    from hilum.domain.policy import LabelPolicy
    from hilum.stages.readers import ReadersRequest, compare_with_readers

    request = ReadersRequest(
        called_at=called_at,
        policy=LabelPolicy() if policy is None else policy,
        resamples=resamples,
        seed=seed,
    )
    return compare_with_readers(Path(predictions), Path(readers), Path(labels), Path(out), request)


def watch_fit(
    bundle: Path | str,
    results: Path | str,
    out: Path | str,
    *,
    films: Path | str | None = None,
    false_alarms: str | float = "1/100d",
    every: int = 200,
    seed: int = 0,
    advance: Advance | None = None,
) -> WatchReference:
    """Fit a reference on finished results of a bundle, to hold later films against.

    Args:
        bundle: that scored the films.
        results: output folder of `hilum predict`.
        out: where watch_reference.json is written.
        films: table of the films' patients, dates, sites and devices; None for what rows hold.
        false_alarms: alarms a day on undisturbed films, such as "1/100d" or 0.01.
        every: films of a day where there are no dates.
        seed: of the drawn days.
        advance: progress callback.

    Raises:
        UsageError: for results of a different bundle, films without patients, or too few.

    Example:
        >>> watch_fit("starter", "out", "reference", false_alarms="often")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: a rate of false alarms is written as 1/100d or 0.01; got
        'often'
    """
    from hilum.monitoring.reference import ReferenceRequest
    from hilum.stages.rule_out import today
    from hilum.stages.watch import fit_results, rate_of

    request = ReferenceRequest(
        date=today(), false_alarms=rate_of(false_alarms), every=every, seed=seed
    )
    return fit_results(bundle, Path(results), Path(out), path_of(films), request, advance)


def watch_check(
    reference: Path | str,
    results: Path | str,
    out: Path | str,
    *,
    films: Path | str | None = None,
    every: int | None = None,
) -> WatchCheck:
    """Hold later results of the same bundle against a reference, without labels.

    Args:
        reference: watch_reference.json, or its folder.
        results: output folder of `hilum predict`.
        out: where watch.json and watch.html are written.
        films: table of the films' patients, dates, sites and devices; None for what rows hold.
        every: films of a day; None for dates, or one day without dates.

    Raises:
        UsageError: for results of a different bundle, too few patients, or days that cannot be.

    Example:
        >>> watch_check("reference", "out", "checked")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.BundleError: reference must be there; . has none
    """
    from hilum.stages.rule_out import today
    from hilum.stages.watch import check_results

    return check_results(Path(reference), Path(results), Path(out), path_of(films), every, today())
