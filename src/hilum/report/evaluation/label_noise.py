"""Numbers against the truth where labels err, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.label_noise import NoisyFinding, NoisyNumber
from hilum.report.parts.markdown import cell, cells_table

__all__ = [
    "LABEL_NOISE_WORDS",
    "label_noise_lines",
    "label_noise_rows",
    "label_noise_tables",
    "sources",
]

LABEL_NOISE_WORDS = (
    "Labels err here as in the study of them: same sensitivity, same specificity. Independent: the "
    "model's errors have nothing to do with the labels' errors. A model that learned from such "
    "labels shares their errors, and its true numbers lie between the least value and the "
    "independent one. Brackets of the bounds hold whatever the errors share. Intervals resample "
    "patients and the label study's own counts together."
)
_HEADER = ("Finding", "Number", "Against labels", "If errors are independent", "Bounds")
_LABELS = ("Finding", "Films", "Labeled positive", "Truly positive", "Labels that are right")


def label_noise_rows(one: NoisyFinding) -> Iterator[tuple[str, NoisyNumber]]:
    """Give a finding's numbers, each with its name."""
    yield "AUROC", one.auroc
    for target, point in one.operating_points.items():
        words = target.replace("_", " ")
        yield f"sensitivity ({words})", point.sensitivity
        yield f"specificity ({words})", point.specificity


def label_noise_tables(evaluation: Evaluation) -> list[str]:
    """Return the section of a document; empty without a table of label errors."""
    if not evaluation.label_noise:
        return []
    shares = [
        (
            name,
            f"{one.n:,}",
            one.labeled_positive.short(),
            one.prevalence.short(),
            one.label_ppv.short(),
        )
        for name, one in evaluation.label_noise.items()
    ]
    numbers = [
        (name, words, row.against_labels.short(), row.if_independent.short(), row.bounds.short())
        for name, one in evaluation.label_noise.items()
        for words, row in label_noise_rows(one)
    ]
    return [
        "**Against the truth, where labels err**",
        cells_table(_LABELS, shares),
        cells_table(_HEADER, numbers),
        LABEL_NOISE_WORDS,
        "\n".join(f"- {cell(line)}" for line in sources(evaluation)),
    ]


def label_noise_lines(evaluation: Evaluation) -> list[str]:
    """Return a line for each finding, for a terminal."""
    return [
        f"{name}: AUROC against labels {one.auroc.against_labels.short(2)}; against the truth "
        f"{one.auroc.if_independent.short(2)} if errors are independent, else "
        f"{one.auroc.bounds.short(2)}"
        for name, one in evaluation.label_noise.items()
    ]


def sources(evaluation: Evaluation) -> Iterator[str]:
    """Give the label study of each finding, and why numbers are missing."""
    for name, one in evaluation.label_noise.items():
        source = f" {one.source}." if one.source else ""
        yield (
            f"{name}: labels with sensitivity {one.label_sensitivity:.3f} (of "
            f"{one.positives:,.0f} independent positive cases) and specificity "
            f"{one.label_specificity:.3f} (of {one.negatives:,.0f} negative).{source}"
        )
        reasons = [one.prevalence.reason, one.auroc.if_independent.reason, one.auroc.bounds.reason]
        for reason in dict.fromkeys(reason for reason in reasons if reason):
            yield f"{name}: {reason}"
