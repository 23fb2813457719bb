"""Trust beyond one number: rule-out, readers, upgrades and what triage does to the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.api.lab import path_of
from hilum.api.numbers import is_table
from hilum.domain.errors import UsageError, choice

if TYPE_CHECKING:
    from hilum.api.lab import Advance, Remark
    from hilum.domain.documents.readers import ReaderStudy
    from hilum.domain.documents.rule_out import RuleOut
    from hilum.domain.documents.upgrade import Upgrade
    from hilum.domain.documents.worklist import WorklistRun
    from hilum.domain.policy import LabelPolicy
    from hilum.domain.record import Cohort

__all__ = ["readers", "rule_out", "upgrade", "worklist"]


def rule_out(
    subject: Path | str,
    labels: Path | str | None = None,
    out: Path | str | None = None,
    *,
    miss: float | None = None,
    npv: float | None = None,
    prevalence: Mapping[str, float] | None = None,
    coverage: float | None = None,
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
        miss: miss rate to stay below, in (0, 1); None for 0.02, or where there is another target.
        npv: negative predictive value of films ruled out to bound, in place of a miss rate.
        prevalence: share of films with each of `of` at which `npv` is bounded; None for that of
            the films that the rule is chosen on.
        coverage: share of films to rule out, in place of a miss rate, which is then bounded.
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
    from hilum.calibration.abstention.request import RuleRequest, needs
    from hilum.calibration.abstention.scores import parse_within
    from hilum.domain.documents.rule_out import MissUnit
    from hilum.domain.policy import LabelPolicy
    from hilum.domain.provenance import today
    from hilum.runs.folder import RunFolder
    from hilum.stages.rule_out import RuleOutRequest, rule_out_run, rule_out_table

    rule = RuleRequest(
        miss=0.02 if miss is npv is coverage is None else miss,
        npv=npv,
        prevalence={_target(name): share for name, share in (prevalence or {}).items()},
        coverage=coverage,
        confidence=confidence,
        unit=choice(MissUnit, unit, "unit"),
        of=tuple(map(_target, of)),
        within=parse_within(within),
        ppv=ppv,
    )
    if remark is not None:
        remark(needs(rule))
    request = RuleOutRequest(
        rule, today(), resamples, seed, policy or LabelPolicy(), path_of(trained_on)
    )
    if table:
        return rule_out_table(place, Path(labels or ""), Path(out or ""), request)
    return rule_out_run(RunFolder(place), request, path_of(labels), advance)


def _target(name: str) -> str:
    """Return a finding by the catalog's name, or `any`."""
    from hilum.domain.documents.rule_out import ANY
    from hilum.domain.findings import find

    return name if name == ANY else find(name).name


def readers(
    predictions: Path | str,
    readers: Path | str,
    labels: Path | str,
    out: Path | str,
    *,
    aided: Path | str | None = None,
    called_at: float = 0.5,
    margin: float = 0.05,
    policy: LabelPolicy | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> ReaderStudy:
    """Measure a model and readers on the same films, paired by case, and write the study.

    Args:
        predictions: the model's predictions, a CSV.
        readers: a folder with a table for each reader, or one table with a column `reader`.
        labels: the truth: a dataset's folder, or one of its tables.
        out: where readers.json, readers.md and readers.html are written.
        aided: the same readers' second readings, with the model's help; as `readers`.
        called_at: rating from which on a reader calls a finding positive.
        margin: how much worse than the mean reader still counts as no worse.
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
        aided=path_of(aided),
        called_at=called_at,
        margin=margin,
        policy=LabelPolicy() if policy is None else policy,
        resamples=resamples,
        seed=seed,
    )
    return compare_with_readers(Path(predictions), Path(readers), Path(labels), Path(out), request)


def upgrade(
    old: Path | str,
    new: Path | str,
    films: Sequence[Path | str],
    out: Path | str,
    *,
    labels: Path | str | None = None,
    policy: Path | str | None = None,
    label_policy: LabelPolicy | None = None,
    tables_only: bool = False,
    threads: int = 2,
    advance: Advance | None = None,
) -> Upgrade:
    """Compare a new bundle with the old one on the same films, and let a policy decide.

    Both predict the films into `out/old` and `out/new`, as `hilum predict` does, and go on where
    they were stopped. Or give two folders of finished predictions in place of the films, the old
    bundle's first: nothing is scored again then, and speed is not measured.

    Args:
        old: the bundle that serves: its folder, or the name of one that ships with hilum.
        new: the one that may replace it.
        films: files, folders, globs or lists; or two folders of finished predictions.
        out: where upgrade.json and upgrade.html are written.
        labels: films with their labels; None to compare calls alone.
        policy: a YAML file of limits; None to decide nothing.
        label_policy: what the labels count as.
        tables_only: whether to draw no heatmaps and no previews.
        threads: of the processor.
        advance: progress callback.

    Returns:
        The comparison. Its `verdict` is `allowed`, `stopped`, `not enough films` or `no policy`.

    Raises:
        BundleError: for a bundle that is damaged, or a rule of a different bundle.
        UsageError: for a policy that cannot be read, or films without a score by both.
        LeakError: when every labeled film is of a patient that a bundle has seen.

    Example:
        >>> upgrade("starter", "starter", [], "out")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: an upgrade is tried on films; got none. Name files, folders
        or two folders of finished predictions
    """
    from hilum.bundle.bundle import locate
    from hilum.bundle.manifest import Manifest
    from hilum.evaluation.upgrade.policy import policy_sha256, read_policy
    from hilum.files.sealed import read_sealed
    from hilum.report.batch.results_jsonl import RESULTS
    from hilum.stages.upgrade import UpgradeRequest, compare_bundles
    from hilum.stages.upgrade_films import UpgradeSide

    if not films:
        raise UsageError(
            "an upgrade is tried on films; got none. Name files, folders or two folders of "
            "finished predictions"
        )
    roots = (locate(old), locate(new))
    for root in roots:  # before a film is scored
        read_sealed(Manifest, root / "bundle.json")
    text = "" if policy is None else _text(Path(policy))
    chosen = None if policy is None else read_policy(text, Path(policy).name)
    if chosen is not None and chosen.needs_labels and labels is None:
        raise UsageError("a policy with limits on AUROC, sensitivity or specificity needs --labels")
    truth = None if labels is None else _truth(Path(labels), label_policy)
    place = Path(out)
    finished = [Path(film) for film in films if (Path(film) / RESULTS).is_file()]
    if len(finished) == len(films) == len(roots):
        sides = [UpgradeSide(*one) for one in zip(roots, finished, strict=True)]
    elif finished:
        raise UsageError(
            f"give films, or two folders of finished predictions, the old bundle's first; "
            f"{finished[0]} holds predictions"
        )
    else:
        job = (films, tables_only, threads)
        sides = [
            UpgradeSide(root, place / name, _predicted(root, job, place / name, advance))
            for name, root in zip(("old", "new"), roots, strict=True)
        ]
    return compare_bundles(
        sides[0],
        sides[1],
        place,
        UpgradeRequest(
            labels=truth,
            labels_name="" if labels is None else Path(labels).name,
            policy=chosen,
            policy_sha256=policy_sha256(text) if text else "",
        ),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"a policy must be a file of YAML; {path}: {reason}") from None


def _truth(labels: Path, policy: LabelPolicy | None) -> Cohort:
    from hilum.datasets import open_dataset
    from hilum.domain.policy import LabelPolicy, settle

    return settle(open_dataset(labels), LabelPolicy() if policy is None else policy)


def _predicted(
    root: Path,
    job: tuple[Sequence[Path | str], bool, int],
    out: Path,
    advance: Advance | None,
) -> float | None:
    """Predict the films with one bundle; return seconds a film, None where none was scored now."""
    import time

    from hilum.batch.inputs import list_films
    from hilum.batch.patients import Phi, default_key, load_patients
    from hilum.batch.run import run_batch
    from hilum.batch.score import BatchRequest
    from hilum.bundle import Bundle
    from hilum.explain.request import Pictures

    films, tables_only, threads = job
    bundle = Bundle.load(root, threads=threads)
    request = BatchRequest(
        pictures=None if tables_only else Pictures(),
        patients=load_patients(Phi.PSEUDONYM, default_key(), out),
    )
    begun = time.monotonic()

    def step(done: int, total: int) -> None:
        if advance is not None:
            advance(f"scoring films with the {out.name} bundle", done, total)

    finished = run_batch(bundle, list_films([str(film) for film in films]), out, request, step)
    scored = finished.batch.tally.statuses.total() - finished.resumed
    return (time.monotonic() - begun) / scored if scored else None


def worklist(
    results: Path | str | None = None,
    *,
    policy: str = "rule-out-last",
    first: Sequence[str] = (),
    readers: int = 2,
    reading_minutes: float = 4.0,
    reading_spread: float = 0.8,
    films_a_day: float | None = None,
    arrivals: Path | str | None = None,
    labels: Path | str | None = None,
    label_policy: LabelPolicy | None = None,
    days: float = 5.0,
    runs: int = 20,
    out: Path | str | None = None,
    seed: int = 0,
) -> WorklistRun:
    """Simulate a reading list under a policy, beside first come, first served.

    Both orders have the same films, arrivals and reading times, so the change is theirs alone.

    Args:
        results: the folder of a finished `hilum predict`; None for an invented example.
        policy: `first-come`, `priority` or `rule-out-last`.
        first: findings that come first, with the priority policy; none for all.
        readers: at work day and night.
        reading_minutes: mean reading time.
        reading_spread: standard deviation of reading times over their mean; log-normal.
        films_a_day: that arrive, spread over the hours as in the example; None for its 430.
        arrivals: a table with a column `time`, and `image_id` where films are named.
        labels: films with their labels; None to take the calls for what a film has.
        label_policy: what the labels count as.
        days: of arrivals in each run, after one that is not measured.
        runs: repetitions, behind the intervals.
        out: where worklist.json and worklist.md are written; None to write nothing.
        seed: of all randomness.

    Raises:
        DatasetError: for labels or arrivals that do not fit the films.
        UsageError: for a policy that the films cannot follow, or readers who cannot keep up.

    Example:
        >>> run = worklist(policy="first-come", runs=2, days=0.5)
        >>> run.synthetic, {group.change.value for group in run.groups}
        (True, {0.0})
    """
    from hilum.domain.documents.worklist import ListPolicy
    from hilum.domain.findings import find
    from hilum.queueing.simulate import ARRIVALS_BY_HOUR, Scenario
    from hilum.stages.worklist import simulate_list

    times = 1.0 if films_a_day is None else films_a_day / sum(ARRIVALS_BY_HOUR)
    scenario = Scenario(
        policy=choice(ListPolicy, policy, "policy"),
        first=tuple(find(name).name for name in first),
        readers=readers,
        reading_minutes=reading_minutes,
        reading_spread=reading_spread,
        by_hour=tuple(rate * times for rate in ARRIVALS_BY_HOUR),
        days=days,
        runs=runs,
        seed=seed,
    )
    truth = None if labels is None else _truth(Path(labels), label_policy)
    return simulate_list(path_of(results), scenario, truth, path_of(arrivals), path_of(out))
