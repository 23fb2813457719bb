"""A table of predictions, what is claimed of it, and what became of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hilum.audit.claims import Claim
from hilum.audit.films import leak_of, leak_remarks, split_name, split_remarks
from hilum.audit.inspection import inspect
from hilum.audit.order import Order, auroc_matrix, compare_order
from hilum.audit.verdict import Evidence, judge
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.audit import Audit, Remark, RemarkKind
from hilum.domain.documents.base import SplitFacts
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort
from hilum.predictions.scores import Scores
from hilum.splits import TrainingFilms

__all__ = ["AuditRequest", "audit", "known_orders"]

_INTERVAL = "95 % percentile interval of {:,} {} bootstrap resamples"


@dataclass(frozen=True)
class AuditRequest:
    """What is to be audited.

    Attributes:
        predictions: name of the table.
        predictions_sha256: of its bytes.
        claims: what is said of it; none to inspect the table only.
        training: what the model was trained on, where that is known.
        resamples: patient resamples behind each interval.
        seed: of resamples and draws.
    """

    predictions: str
    predictions_sha256: str
    claims: tuple[Claim, ...]
    training: TrainingFilms | None = None
    resamples: int = 2000
    seed: int = 0


def audit(scores: Scores, request: AuditRequest) -> Audit:
    """Inspect a table of predictions, and judge each claim made of it.

    Args:
        scores: the table beside the labels of its films.
        request: the claims, and what is known of the model.
    """
    leak = None if request.training is None else leak_of(request.training, scores.cohort)
    order_remarks, moved = _order(scores, np.random.default_rng([request.seed, 3]))
    looks = tuple(inspect(scores))
    remarks = (
        *(leak_remarks(leak) if leak else ()),
        *split_remarks(scores.cohort, request.training),
        *order_remarks,
        *looks,
    )
    steps = (r.findings for r in looks if r.kind is RemarkKind.IN_SAMPLE_STEPS)
    evidence = Evidence(
        scores=scores,
        resamples=request.resamples,
        seed=request.seed,
        in_sample=frozenset(next(steps, ())),
        moved=frozenset(moved),
        leak=leak,
    )
    return Audit(
        predictions=request.predictions,
        predictions_sha256=request.predictions_sha256,
        split=SplitFacts.of(split_name(scores.cohort), scores.cohort),
        findings=scores.labels().findings,
        interval=_INTERVAL.format(request.resamples, _drawn(scores.cohort)),
        seed=request.seed,
        resamples=request.resamples,
        claims=tuple(judge(claim, evidence) for claim in request.claims),
        remarks=remarks,
        leak=leak,
        notes=(*scores.cohort.notes, *scores.notes),
    )


def known_orders(labels: LabelSet) -> dict[str, LabelSet]:
    """The orders in which tables without names come: the dataset's own, and the alphabet's.

    >>> from hilum.domain.findings import nih14
    >>> [order.findings[2] for order in known_orders(nih14()).values()]
    ['Effusion', 'Consolidation']
    """
    return {
        labels.name: labels,
        "alphabetical": LabelSet("alphabetical", tuple(sorted(labels.findings))),
    }


def _order(scores: Scores, rng: np.random.Generator) -> tuple[list[Remark], tuple[str, ...]]:
    """What is to be said of the order of columns, and the findings that stand elsewhere."""
    if not scores.named:
        return [_unnamed(scores, rng)], ()
    matrix = auroc_matrix(scores)
    if matrix is None:
        return [], ()
    order = compare_order(matrix, {f: scores.findings.index(f) for f in matrix.findings}, rng)
    if order.permuted:
        return [_permuted(scores, order)], order.moved
    inverted = matrix.inverted(order.given)
    if not inverted:
        return [], ()
    words = "scores rank films worse than chance does: the sign or the column is wrong"
    return [Remark(kind=RemarkKind.INVERTED_SCORES, findings=inverted, words=words)], ()


def _permuted(scores: Scores, order: Order) -> Remark:
    held = [
        f"{finding} in the column of {scores.findings[at] or scores.columns[at]}"
        for finding, at in order.best.items()
        if finding in order.moved
    ]
    return Remark(
        kind=RemarkKind.PERMUTED_COLUMNS,
        findings=order.moved,
        words=f"columns are not in the order of their names: mean AUROC {order.auroc:.3f} by name, "
        f"{order.best_auroc:.3f} in the best order, more than chance gave in any of 1,000 draws. "
        f"Best order: {'; '.join(held)}{_well_known(scores, order)}",
    )


def _well_known(scores: Scores, order: Order) -> str:
    """Whether the best order is a well-known one under the names of another."""
    by_column = {column: finding for finding, column in order.best.items()}
    for name, known in known_orders(scores.cohort.labels).items():
        fits = len(known) == len(scores.columns) and len(by_column) > len(known) // 2
        if fits and all(known.findings[column] == f for column, f in by_column.items()):
            return f". That is the order '{name}': try --label-order '{name}'"
    return ""


def _unnamed(scores: Scores, rng: np.random.Generator) -> Remark:
    return Remark(
        kind=RemarkKind.UNNAMED_COLUMNS,
        words=f"the {len(scores.columns)} score columns have no names, so nothing is evaluated by "
        f"name. {'. '.join(_guesses(scores, rng))}",
    )


def _guesses(scores: Scores, rng: np.random.Generator) -> Iterator[str]:
    """What the scores tell of the order of columns that have no names."""
    matrix = auroc_matrix(scores)
    labels = scores.cohort.labels
    if matrix is None or len(labels) != len(scores.columns):
        yield "Name them with --label-order"
        return
    orders: dict[str, Order] = {}
    for name, known in known_orders(labels).items():
        given = {finding: known.findings.index(finding) for finding in matrix.findings}
        orders[name] = compare_order(matrix, given, rng)
    for name, order in orders.items():
        yield f"In the order '{name}' the mean AUROC is {order.auroc:.3f}"
    fitting = [name for name, order in orders.items() if not order.permuted]
    best = next(iter(orders.values()))
    if len(fitting) == 1:
        yield f"Only '{fitting[0]}' fits: name the columns with --label-order '{fitting[0]}'"
    elif fitting:
        yield "The films are too few, or the scores too weak, to tell which it is"
    else:
        by_column = sorted(best.best.items(), key=lambda item: item[1])
        yield (
            f"Neither fits; the best order has {best.best_auroc:.3f}: "
            f"{', '.join(finding for finding, _ in by_column)}"
        )


def _drawn(cohort: Cohort) -> str:
    """What a resample draws, in words."""
    return "image-level (by film)" if NO_PATIENTS in cohort.notes else "patient"
