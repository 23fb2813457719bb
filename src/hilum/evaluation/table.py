"""An evaluation as Markdown: the tables a paper or a model card prints."""

from __future__ import annotations

from collections.abc import Iterable

from hilum.domain.result import Evaluation, FindingEvaluation, Interval
from hilum.evaluation.entries import SPECIFICITY

__all__ = ["calibration_table", "markdown", "ranking_table"]

_NONE = "–"
_ECE = (
    "A calibration error below `by chance` cannot be told from none, and that of the constant "
    "predictor is small although it sees no film. Resampling adds noise to every bin, so the "
    "interval of an error may lie above its value."
)
_AT = f"{SPECIFICITY:.2f}"


def markdown(evaluation: Evaluation) -> str:
    """Both tables, between the line that says what was evaluated and what must be known of it.

    No number stands without its split, its n and its interval.
    """
    parts = [
        _facts(evaluation),
        ranking_table(evaluation),
        calibration_table(evaluation),
        _ECE,
        _remarks(evaluation),
        evaluation.notice,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def ranking_table(evaluation: Evaluation) -> str:
    """How well films are ranked: `Finding | n+ | AUROC | AP | Threshold | Sens@Spec 0.80`.

    The threshold is the finding's first operating point. Macro is the mean of the findings counted,
    micro pools all entries, and the constant predictor, which sees no film, is what to beat.
    """
    rows = [
        (
            name,
            f"{finding.positives:,}",
            shown(finding.auroc),
            shown(finding.average_precision),
            _threshold(finding),
            shown(finding.sensitivity_at_specificity.get(_AT)),
        )
        for name, finding in evaluation.findings.items()
    ]
    for title, summary in (("macro", evaluation.macro), ("micro", evaluation.micro)):
        at = summary.sensitivity_at_specificity.get(_AT)
        if title == "macro":
            title = f"macro ({summary.findings_counted} of {summary.findings_total} findings)"
        numbers = (shown(summary.auroc), shown(summary.average_precision))
        rows.append((f"**{title}**", "", *numbers, "", shown(at)))
    constant = evaluation.constant_predictor
    numbers = (shown(constant.auroc), shown(constant.average_precision))
    rows.append(("constant predictor, macro", "", *numbers, "", ""))
    rows.append(("constant predictor, micro", "", shown(constant.micro_auroc), "", "", ""))
    return _table(("Finding", "n+", "AUROC", "AP", "Threshold", f"Sens@Spec {_AT}"), rows)


def calibration_table(evaluation: Evaluation) -> str:
    """How far probabilities can be believed: Brier score, its skill, and calibration error.

    The chance level is the 95th percentile of equal-mass ECE under perfect calibration: an ECE
    below it cannot be told from none.
    """
    rows = [
        (
            name,
            shown(finding.brier, 4),
            shown(finding.brier_skill),
            shown(finding.ece.equal_mass, 4),
            _NONE if finding.ece.null_95 is None else f"{finding.ece.null_95:.4f}",
            shown(finding.ece.equal_width, 4),
        )
        for name, finding in evaluation.findings.items()
    ]
    for title, row in (
        ("**macro**", evaluation.macro),
        ("**micro**", evaluation.micro),
        ("constant predictor, macro", evaluation.constant_predictor),
    ):
        mass, width = shown(row.ece_equal_mass, 4), shown(row.ece_equal_width, 4)
        rows.append((title, shown(row.brier, 4), "", mass, "", width))
    header = ("Finding", "Brier", "Brier skill", "ECE, equal mass", "by chance", "ECE, equal width")
    return _table(header, rows)


def shown(number: Interval | None, digits: int = 3) -> str:
    """A number with its interval, or a dash where there is none.

    >>> shown(Interval(value=0.8123, low=0.77, high=0.85))
    '0.812 [0.770, 0.850]'
    >>> shown(Interval(value=0.8123)), shown(Interval(value=None))
    ('0.812 [–]', '–')
    """
    if number is None or number.value is None:
        return _NONE
    value = f"{number.value:.{digits}f}"
    if number.low is None or number.high is None:
        return f"{value} [{_NONE}]"
    return f"{value} [{number.low:.{digits}f}, {number.high:.{digits}f}]"


def _threshold(finding: FindingEvaluation) -> str:
    for point in finding.operating_points.values():
        return _NONE if point.threshold is None else f"{point.threshold:.4g}"
    return _NONE


def _facts(evaluation: Evaluation) -> str:
    split = evaluation.split
    return (
        f"{evaluation.model} on {split.name}: {split.images:,} films of {split.patients:,} "
        f"patients, film list sha256 {split.sha256[:12]}. "
        f"In brackets: {evaluation.interval}. "
        f"Prevalences of the constant predictor: {evaluation.constant_predictor.prevalence_from}."
    )


def _remarks(evaluation: Evaluation) -> str:
    """Why a number or its interval is missing, a line a finding, and the evaluation's notes."""
    lines = [f"- {note}" for note in evaluation.notes]
    for name, finding in evaluation.findings.items():
        numbers = (finding.auroc, *(p.sensitivity for p in finding.operating_points.values()))
        reasons = dict.fromkeys(number.reason for number in numbers if number.reason)
        lines += [f"- {name}: {reason}" for reason in reasons]
    return "\n".join(lines)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    rule = ("---", *("---:" for _ in header[1:]))
    lines = [" | ".join(cells) for cells in (header, rule, *rows)]
    return "\n".join(f"| {line} |" for line in lines)
