"""Words for scores: a probability beside its threshold, and what the threshold was measured to buy.

Words cannot contradict numbers: both come from the same comparison, and a pair is written with as
many digits as it takes to show which of the two is larger.
"""

from __future__ import annotations

from collections.abc import Sequence

from hilum.domain.documents import Interval
from hilum.domain.documents.evaluation import Evaluation, PointEvaluation
from hilum.domain.documents.results import Decision, ImageResult
from hilum.domain.findings import display_name
from hilum.report.parts.scores import FindingScore, ScoreGroup
from hilum.report.parts.text import percent, shown, summary

__all__ = ["beside_threshold", "headline", "measured", "pair", "score_sentence"]

_DIGITS = range(2, 7)
"""Decimals of a percentage that are tried, from a few to more than a float32 score has."""


def score_sentence(score: FindingScore) -> str:
    """Return the phrase on one score: probability, then where it stands.

    >>> from hilum.domain.documents.results import FindingResult
    >>> from hilum.domain.findings import LabelSet
    >>> def words(probability, threshold):
    ...     result = FindingResult.called(probability, threshold, calibrated=True)
    ...     return score_sentence(FindingScore("Mass", result, ScoreGroup.of(result), None))
    >>> words(0.0728, 0.0629)
    '7.3%, above its threshold of 6.3%'
    >>> words(0.02, None)
    '2.0%; no threshold, so not called'
    """
    one = score.result
    if one.decision is Decision.ABSTAINED:
        return f"{percent(one.probability)}; not called: {shown(one.abstention)}"
    if one.threshold is None:
        return f"{percent(one.probability)}; no threshold, so not called"
    return beside_threshold(one.probability, one.threshold)


def beside_threshold(probability: float, threshold: float) -> str:
    """Return a probability with its threshold and the word between them.

    >>> beside_threshold(0.06301, 0.06299), beside_threshold(0.063, 0.063)
    ('6.301%, above its threshold of 6.299%', '6.3%, at its threshold of 6.3%')
    """
    if probability == threshold:
        return f"{percent(probability)}, at its threshold of {percent(threshold)}"
    side = "above" if probability > threshold else "below"
    ours, theirs = pair(probability, threshold)
    just = "just " if ours == theirs else ""
    return f"{ours}, {just}{side} its threshold of {theirs}"


def pair(probability: float, threshold: float) -> tuple[str, str]:
    """Return two shares as percentages that show which is larger.

    They are written as everywhere on a page where that shows it, else with more decimals. Two that
    agree to six decimals of a percent come out equal.

    >>> pair(0.073, 0.063), pair(0.0731, 0.0729), pair(0.00004, 0.063)
    (('7.3%', '6.3%'), ('7.31%', '7.29%'), ('<0.01%', '6.3%'))
    """
    texts = percent(probability), percent(threshold)
    if _ordered(probability, threshold, texts):
        return texts
    for digits in _DIGITS:
        texts = f"{probability:.{digits}%}", f"{threshold:.{digits}%}"
        if _ordered(probability, threshold, texts):
            return texts
    return percent(probability), percent(probability)


def _ordered(first: float, second: float, texts: tuple[str, str]) -> bool:
    """Return whether two texts differ, in the order of their numbers, and claim no certainty."""
    ours, theirs = (_shown_value(text) for text in texts)
    certain = _certain(first, texts[0]) or _certain(second, texts[1])
    return not certain and ours != theirs and (ours < theirs) is (first < second)


def _certain(share: float, text: str) -> bool:
    """Return whether a text claims 0 % or 100 % for a share that is neither."""
    return 0.0 < share < 1.0 and float(text.strip("<>%")) in (0.0, 100.0)


def _shown_value(text: str) -> float:
    """Return the number that a reader takes from a percentage: "<0.01%" is below 0.01."""
    value = float(text.strip("<>%"))
    return value / 2 if text[0] == "<" else (value + 100.0) / 2 if text[0] == ">" else value


def headline(result: ImageResult, scores: Sequence[FindingScore]) -> str:
    """Return the line under a film's name: its positive findings, largest margin first.

    It has names alone: a probability stands beside its threshold or nowhere. Without a positive
    finding it is the film's summary.
    """
    if not result.positives:
        return summary(result)
    names = [display_name(one.name) for one in scores if one.group is ScoreGroup.ABOVE]
    uncalled = sum(one.group is ScoreGroup.UNCALLED for one in scores)
    return "; ".join(names) + (f"; {uncalled} not called" if uncalled else "")


def measured(evaluation: Evaluation | None, score: FindingScore) -> str:
    """Return what the threshold of a score was measured to buy; empty where nothing was.

    Of a score at or above its threshold it is the PPV, of one near it the sensitivity, each with
    its interval, split and n, at exactly this threshold. The text is empty where the evaluation has
    no such operating point, or no interval for it. A PPV holds for the share of films with the
    finding that the split had, which therefore stands beside it.

    Args:
        evaluation: the bundle's own.
        score: of a finding.
    """
    point = _point(evaluation, score)
    if evaluation is None or point is None:
        return ""
    if score.group is ScoreGroup.ABOVE:
        share, flagged = _of_100(point.ppv), "Of 100 films flagged for it, {} have it"
    elif score.group is ScoreGroup.NEAR:
        share, flagged = _of_100(point.sensitivity), "Of 100 films that have it, {} are flagged"
    else:
        return ""
    if not share:
        return ""
    finding = evaluation.findings[score.name]
    return (
        f"{flagged.format(share)} ({shown(evaluation.split.name)}, n = {finding.n:,}, "
        f"{finding.positives:,} with it)."
    )


def _point(evaluation: Evaluation | None, score: FindingScore) -> PointEvaluation | None:
    """Return the operating point that was evaluated at the score's threshold."""
    threshold = score.result.threshold
    if evaluation is None or threshold is None or score.name not in evaluation.findings:
        return None
    points = evaluation.findings[score.name].operating_points.values()
    return next((point for point in points if point.threshold == threshold), None)


def _of_100(share: Interval) -> str:
    """Return a share as films of 100 with its interval; empty without one.

    >>> _of_100(Interval(value=0.4312, low=0.31, high=0.58)), _of_100(Interval(value=0.5))
    ('43 [31, 58]', '')
    """
    if share.value is None or share.low is None or share.high is None:
        return ""
    return f"{_count(share.value)} [{_count(share.low)}, {_count(share.high)}]"


def _count(share: float) -> str:
    """Return films of 100; a share that is not all or none is never rounded to it.

    >>> _count(0.277), _count(0.997), _count(0.0004), _count(1.0)
    ('28', '99.7', '<0.1', '100')
    """
    films = 100.0 * share
    whole = f"{films:.0f}"
    if whole not in ("0", "100") or share in (0.0, 1.0):
        return whole
    tenths = f"{films:.1f}"
    if tenths == "0.0":
        return "<0.1"
    return ">99.9" if tenths == "100.0" else tenths
