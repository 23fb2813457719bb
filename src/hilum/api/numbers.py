"""Numbers about a run, or about anybody's predictions, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.api.lab import nothing, path_of, shares, unsaid
from hilum.domain.errors import UsageError, choice, suggestion

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hilum.api.lab import Advance, Remark
    from hilum.domain.documents.audit import Audit, ExpertClaim
    from hilum.domain.documents.evaluation import Evaluation
    from hilum.domain.findings import LabelSet
    from hilum.domain.policy import LabelPolicy
    from hilum.domain.record import Cohort
    from hilum.predictions.levels import Combine, Level
    from hilum.predictions.read import Predictions
    from hilum.stages.evaluate import RunEvaluation

__all__ = ["audit", "evaluate", "is_table"]

_TABLES = (".csv", ".tsv", ".gz")


def evaluate(
    subject: Path | str,
    labels: Path | str | None = None,
    out: Path | str | None = None,
    *,
    level: Level | str | None = None,
    combine: Combine | str = "max",
    calibrate: str | None = None,
    prevalence: Mapping[str, float] | None = None,
    thresholds: Path | str | None = None,
    trained_on: Path | str | None = None,
    top: int = 20,
    policy: LabelPolicy | None = None,
    label_noise: Path | str | None = None,
    resamples: int = 2000,
    seed: int = 0,
    advance: Advance | None = None,
    remark: Remark | None = None,
) -> Evaluation:
    """Evaluate a calibrated run on its test split, or anybody's predictions in a CSV.

    The numbers are also written into a folder, and the look at the test films is counted there.
    A run's labels, calibration and thresholds were fixed before, so for it only `labels`, `out`,
    `label_noise`, `resamples`, `seed`, `advance` and `remark` count.

    Args:
        subject: a run's folder, or a CSV of predictions.
        labels: the dataset's folder or table with the labels; for a run None for its own.
        out: where to write; for a run None for its own folder.
        level: `film`, `study` or `patient`; None for what the table names.
        combine: how films' scores become one, `max` or `mean`.
        calibrate: a calibrator to cross-fit by patient first.
        prevalence: share of films with a finding where the model will be used, by finding.
        thresholds: a JSON file of thresholds that were fixed before; None to cross-fit them.
        trained_on: what the model was trained on, to refuse leaks: films, split table, run, bundle.
        top: films of each kind to list in cases.csv.
        policy: what labels count as.
        label_noise: a CSV of the labels' sensitivity and specificity by finding, or `nih`.
        resamples: patient resamples behind each interval.
        seed: of the resamples and folds.
        advance: progress callback.
        remark: called with each remark in words: the columns read, or where heatmaps point.

    Raises:
        DatasetError: when predictions and labels do not fit together.
        LeakError: when an evaluated film or patient trained the model.
        UsageError: for predictions without labels or without a folder to write to.

    Example:
        >>> evaluate("scores.csv")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: a predictions CSV is evaluated with --labels DATASET and
        -o OUT
    """
    from hilum.predictions.label_errors import read_label_errors
    from hilum.stages.evaluate import RunEvaluation

    place = Path(subject)
    errors = () if label_noise is None else read_label_errors(label_noise)
    if not is_table(place):
        watch = (advance or nothing, remark or unsaid)
        run = RunEvaluation(resamples, seed, path_of(out), errors)
        return _evaluate_run(place, path_of(labels), run, watch)
    if labels is None or out is None:
        raise UsageError("a predictions CSV is evaluated with --labels DATASET and -o OUT")
    from hilum.domain.policy import LabelPolicy
    from hilum.predictions.levels import Combine, Level
    from hilum.stages.predictions import PredictionsRequest, evaluate_predictions

    request = PredictionsRequest(
        policy=LabelPolicy() if policy is None else policy,
        level=None if level is None else choice(Level, level, "level"),
        combine=choice(Combine, combine, "combine"),
        calibrate=calibrate,
        prevalences=shares(prevalence),
        thresholds=path_of(thresholds),
        trained_on=path_of(trained_on),
        resamples=resamples,
        seed=seed,
        top=top,
        label_errors=errors,
    )
    done = evaluate_predictions(place, Path(labels), Path(out), request)
    if remark is not None:
        remark(_columns_read(place, done.read))
    return done.evaluation


def audit(
    predictions: Path | str,
    labels: Path | str,
    claims: Sequence[str] = (),
    *,
    trained_on: Path | str | None = None,
    label_order: str | None = None,
    readers: Path | str | None = None,
    truth: str | None = None,
    margin: float = 0.05,
    out: Path | str | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Audit:
    """Check what is claimed of anybody's predictions, and the table itself.

    Claims that fail are a result, not an error.

    Args:
        predictions: a CSV of scores with a row a film.
        labels: the dataset or table with the labels.
        claims: such as "auroc=0.844", "Effusion.ap=51%", "f1@0.5=0.4" or "expert-level".
        trained_on: what the model was trained on, to name leaks: films, split table, run, bundle.
        label_order: what the columns are: a label set, "alphabetical", or names with commas.
        readers: for "expert-level", a folder with a table for each reader, or one table with a
            column `reader`; None where there are none, and the claim cannot be tested.
        truth: who set the labels, `experts` or `reports`; None for what is known of the dataset.
        margin: how much less sensitive than the mean reader still counts as expert-level.
        out: where to write audit.json and audit.md; None to write nothing.
        resamples: patient resamples behind each interval.
        seed: of resamples and draws.

    Raises:
        DatasetError: when predictions and labels do not fit together.
        UsageError: for a claim that cannot be read, or an unknown label order.

    Example:
        >>> audit("scores.csv", "data", ["=0.84"])
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: claim '=0.84': no metric ''; there are auroc, ap, ece,
        ece_mass, brier, f1, sensitivity, accuracy.
    """
    from hilum.auditing.audit import AuditRequest
    from hilum.auditing.audit import audit as audit_scores
    from hilum.auditing.claims import read_claims
    from hilum.auditing.expert import expert_claims
    from hilum.datasets import open_dataset
    from hilum.files.parquet import table_sha256
    from hilum.predictions.levels import films_behind
    from hilum.predictions.read import read_scores
    from hilum.stages.films import training_films

    table = Path(predictions)
    numbers, experts = expert_claims(claims)
    read = read_claims(numbers)
    cohort = open_dataset(Path(labels))
    scores = read_scores(table, cohort)
    if label_order is not None:
        scores = scores.in_order(_order(label_order, cohort))
    seen = None if trained_on is None else training_films(Path(trained_on), cohort)
    request = AuditRequest(
        predictions=table.name,
        predictions_sha256=table_sha256(table),
        claims=read,
        training=seen,
        films=films_behind(scores.cohort, cohort),
        resamples=resamples,
        seed=seed,
    )
    found = audit_scores(scores, request)
    if experts:
        panel = _Panel(table, Path(labels), path_of(readers), truth, margin)
        judged = tuple(panel.judge(claim, cohort, (resamples, seed)) for claim in experts)
        found = found.model_copy(update={"experts": judged})
    if out is not None:
        from hilum.report.audit import markdown

        _write(found, Path(out), "audit", markdown(found))
    return found


@dataclass(frozen=True)
class _Panel:
    """Readers beside a model, and the truth that both are measured by."""

    table: Path
    labels: Path
    readers: Path | None
    truth: str | None
    margin: float

    def judge(self, claim: tuple[str, str], cohort: Cohort, draws: tuple[int, int]) -> ExpertClaim:
        """Judge a claim to be as good as experts."""
        from hilum.auditing.expert import EXPERT_TRUTH, judge_expert, untestable
        from hilum.stages.readers import ReadersRequest, measure_readers

        if self.truth not in (None, "experts", "reports"):
            raise UsageError(f"--truth must be experts or reports; got '{self.truth}'")
        by_experts = self.truth == "experts" or (
            self.truth is None and cohort.dataset in EXPERT_TRUTH
        )
        words = f"labels of {cohort.dataset}, set by experts"
        if self.truth == "experts":
            words += ", as --truth says"
        if not by_experts:
            mined = f"labels of {cohort.dataset}, not known to be set by experts"
            why = (
                "labels mined from reports are no experts: who agrees with them is as good as the "
                "miner. Where experts set these, say so with --truth experts"
            )
            return untestable(claim, why, mined, self.margin)
        if self.readers is None:
            why = "no reader is here to be compared with; name a panel with --readers"
            return untestable(claim, why, words, self.margin)
        request = ReadersRequest(margin=self.margin, resamples=draws[0], seed=draws[1])
        study = measure_readers(self.table, self.readers, self.labels, request)
        return judge_expert(claim, study, words)


def is_table(place: Path) -> bool:
    """Whether a path names a table of predictions, and not a run's folder.

    >>> is_table(Path("scores.tsv")), is_table(Path("runs/first"))
    (True, False)
    """
    from hilum.files.parquet import is_parquet

    return place.suffix.lower() in _TABLES or place.is_file() or is_parquet(place)


def _evaluate_run(
    root: Path,
    data: Path | None,
    request: RunEvaluation,
    watch: tuple[Advance, Remark],
) -> Evaluation:
    from functools import partial

    from hilum.domain.record import Split
    from hilum.files.sealed import write_sealed
    from hilum.runs.folder import RunFolder
    from hilum.stages.evaluate import evaluate_run, localize_boxes, pointing_line
    from hilum.stages.films import bind, split_of
    from hilum.stages.index import write_index

    run = RunFolder(root)
    if data is not None and run.bundles.exists():
        bind(run, data)  # a run of a bundle is calibrated, and may be measured at a site first
    cohort = split_of(run, Split.TEST, data)
    done = evaluate_run(run, cohort, request, partial(watch[0], "reading test"))
    boxes = localize_boxes(done.scored, run.facts().network.preprocessing, request.seed)
    if boxes.mean is not None:
        write_sealed(boxes, (request.out or root) / "localisation.json")
        watch[1](pointing_line(boxes))
    if request.out is None:
        write_index(run)
    return done.evaluation


def _columns_read(table: Path, read: Predictions) -> str:
    """List which column was read as which finding."""
    pairs = (
        finding if column == finding else f"{column} as {finding}"
        for finding, column in read.columns.items()
    )
    return f"{table.name}: columns read: {', '.join(pairs)}"


def _order(words: str, cohort: Cohort) -> LabelSet:
    """The findings of the columns, as `label_order` names them."""
    from hilum.auditing.order import known_orders
    from hilum.domain.findings import LabelSet, label_sets

    if "," in words:
        return LabelSet("--label-order", tuple(word.strip() for word in words.split(",")))
    known = {**label_sets(), **known_orders(cohort.labels)}
    if words not in known:
        raise UsageError(
            f"--label-order must be names with commas, or one of {', '.join(known)}; "
            f"got '{words}'.{suggestion(words, known)}"
        )
    return known[words]


def _write(document: BaseModel, folder: Path, name: str, text: str) -> None:
    """Write a result as sealed JSON and as Markdown."""
    from hilum.files.sealed import write_sealed

    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(document, folder / f"{name}.json")
    (folder / f"{name}.md").write_text(text, "utf-8")
