"""Reader of claims such as `auroc=0.844, ece=0.00`, `Effusion.auroc=0.92`, `f1@0.5=41%`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hilum.domain.documents.audit import ClaimMetric
from hilum.domain.errors import UsageError, suggestion
from hilum.domain.findings import catalog, find

__all__ = ["MACRO", "MICRO", "Claim", "read_claims"]

MACRO, MICRO = "macro", "micro"


_SPELLINGS = {
    "auroc": ClaimMetric.AUROC,
    "auc": ClaimMetric.AUROC,
    "roc_auc": ClaimMetric.AUROC,
    "ap": ClaimMetric.AVERAGE_PRECISION,
    "map": ClaimMetric.AVERAGE_PRECISION,
    "auprc": ClaimMetric.AVERAGE_PRECISION,
    "average_precision": ClaimMetric.AVERAGE_PRECISION,
    "ece": ClaimMetric.ECE,
    "ece_width": ClaimMetric.ECE,
    "ece_mass": ClaimMetric.ECE_EQUAL_MASS,
    "brier": ClaimMetric.BRIER,
    "f1": ClaimMetric.F1,
    "sensitivity": ClaimMetric.SENSITIVITY,
    "recall": ClaimMetric.SENSITIVITY,
    "accuracy": ClaimMetric.ACCURACY,
    "acc": ClaimMetric.ACCURACY,
}
_LARGEST = max(word.count("_") for word in _SPELLINGS)
_NUMBER = re.compile(r"(\d+(?:\.(\d*))?|\.(\d+))\s*(%?)")
_POINT_NEEDED = {
    ClaimMetric.F1: "the threshold it was computed at, such as f1@0.5",
    ClaimMetric.SENSITIVITY: "the specificity it was computed at, such as sensitivity@0.8",
}


@dataclass(frozen=True)
class Claim:
    """One number that is claimed of a model.

    Attributes:
        text: the claim as it was written.
        metric: the metric claimed.
        of: "macro" (mean over findings), "micro" (all entries pooled), or a finding.
        value: the number, in [0, 1].
        decimals: how many it was given to; two more where it was a percentage.
        at: threshold of F1 and accuracy, specificity of sensitivity; None for the others.
    """

    text: str
    metric: ClaimMetric
    of: str
    value: float
    decimals: int
    at: float | None = None

    @property
    def half_unit(self) -> float:
        """Half a unit of the last decimal: a value that rounds to the claim is within it."""
        return 0.5 * 10.0**-self.decimals

    def rounds_to(self, value: float) -> bool:
        """Return whether a value, rounded to the claim's decimals, equals the claim.

        >>> claim, = read_claims(["auroc=0.844"])
        >>> claim.rounds_to(0.8436), claim.rounds_to(0.8434)
        (True, False)
        """
        return abs(value - self.value) <= self.half_unit * (1 + 1e-9)

    def reached_by(self, value: float) -> bool:
        """Return whether a value is as good as the claim, or rounds to it."""
        ahead = value - self.value if self.metric.higher_is_better else self.value - value
        return ahead >= 0.0 or self.rounds_to(value)


def read_claims(texts: Iterable[str]) -> tuple[Claim, ...]:
    """Read claims, several a text with commas between.

    A claim is `METRIC=VALUE`, with a finding, "macro" or "micro" and a dot or a blank in front
    where it is not the mean over findings, and `@POINT` behind the metric where it needs one.

    Raises:
        UsageError: for a word, a number or a finding that is not understood.

    >>> [(c.of, c.metric.value, c.at, c.value) for c in read_claims(["AUC=84.4 %, Mass f1@0.5=.3"])]
    [('macro', 'auroc', None, 0.844), ('Mass', 'f1', 0.5, 0.3)]
    >>> read_claims(["aurok=0.8"])
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: claim 'aurok=0.8': no metric 'aurok'; there are auroc, ap, ece,
    ece_mass, brier, f1, sensitivity, accuracy. Did you mean 'auroc'?
    """
    parts = [part.strip() for text in texts for part in text.split(",")]
    return tuple(_claim(part) for part in parts if part)


def _claim(text: str) -> Claim:
    subject, equals, number = text.partition("=")
    if not equals:
        raise UsageError(f"claim '{text}' must be METRIC=VALUE, such as auroc=0.844")
    name, at_sign, point = (part.strip() for part in subject.partition("@"))
    metric, of = _subject(name, text)
    value, decimals = _number(number, text)
    return Claim(text, metric, of, value, decimals, _point(metric, point if at_sign else "", text))


def _subject(name: str, text: str) -> tuple[ClaimMetric, str]:
    """Return the metric at the end of the words, and the finding or mean before it."""
    words = name.replace(".", " ").replace("-", "_").split()
    for count in range(min(_LARGEST + 1, len(words)), 0, -1):
        metric = _SPELLINGS.get("_".join(words[-count:]).casefold())
        if metric is not None:
            return metric, _subject_name(" ".join(words[:-count]), text)
    word = words[-1] if words else ""
    raise UsageError(
        f"claim '{text}': no metric '{word}'; there are {', '.join(ClaimMetric)}."
        f"{suggestion(word.casefold(), _SPELLINGS)}"
    )


def _subject_name(word: str, text: str) -> str:
    if word.casefold() in ("", "mean", MACRO):
        return MACRO
    if word.casefold() == MICRO:
        return MICRO
    try:
        return find(word).name
    except UsageError:
        near = suggestion(word, (MACRO, MICRO, *catalog()))
        raise UsageError(
            f"claim '{text}': '{word}' must be a finding, macro or micro.{near}"
        ) from None


def _number(word: str, text: str) -> tuple[float, int]:
    match = _NUMBER.fullmatch(word.strip())
    if match is None:
        raise UsageError(f"claim '{text}' must give a number such as 0.844 or 84.4 %")
    figures, after, bare, percent = match.groups()
    decimals = len(after or bare or "") + (2 if percent else 0)
    value = round(float(figures) / (100.0 if percent else 1.0), decimals)
    if value > 1.0:
        raise UsageError(
            f"claim '{text}' must give a number in [0, 1]; got {figures}. Did you mean {figures} %?"
        )
    return value, decimals


def _point(metric: ClaimMetric, word: str, text: str) -> float | None:
    if metric in _POINT_NEEDED and not word:
        raise UsageError(f"claim '{text}' must name {_POINT_NEEDED[metric]}")
    if metric is ClaimMetric.ACCURACY and not word:
        return 0.5
    if not word:
        return None
    if metric not in (*_POINT_NEEDED, ClaimMetric.ACCURACY):
        raise UsageError(f"claim '{text}': {metric} must have no point; leave out @{word}")
    return _number(word, text)[0]
