"""Claims as people write them: `auroc=0.844, ece=0.00`, `Effusion.auroc=0.92`, `f1@0.5=41%`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hilum.domain.errors import UsageError, suggestion
from hilum.domain.findings import catalogue, find

__all__ = ["MACRO", "MICRO", "Claim", "Metric", "read_claims"]

MACRO, MICRO = "macro", "micro"


class Metric(StrEnum):
    """What a claim may be about."""

    AUROC = "auroc"
    AVERAGE_PRECISION = "ap"
    ECE = "ece"
    """On 15 bins of equal width, as the field quotes it."""
    ECE_EQUAL_MASS = "ece_mass"
    BRIER = "brier"
    F1 = "f1"
    """At a threshold, `f1@0.5`: a film is positive when its score is >= the threshold."""
    SENSITIVITY = "sensitivity"
    """At a specificity, `sensitivity@0.8`."""
    ACCURACY = "accuracy"
    """At a threshold, 0.5 unless another is named. It is checked, not recommended."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a model boasts of a large value.

        >>> Metric.AUROC.higher_is_better, Metric.ECE.higher_is_better
        (True, False)
        """
        return self not in (Metric.ECE, Metric.ECE_EQUAL_MASS, Metric.BRIER)

    @property
    def needs_probabilities(self) -> bool:
        """Whether scores must be probabilities; the others only rank films."""
        return self not in (Metric.AUROC, Metric.AVERAGE_PRECISION, Metric.SENSITIVITY)

    @property
    def of_calibration(self) -> bool:
        """Whether fitting a calibrator on the very rows makes it look better than it is."""
        return self in (Metric.ECE, Metric.ECE_EQUAL_MASS, Metric.BRIER)


_SPELLINGS = {
    "auroc": Metric.AUROC,
    "auc": Metric.AUROC,
    "roc_auc": Metric.AUROC,
    "ap": Metric.AVERAGE_PRECISION,
    "map": Metric.AVERAGE_PRECISION,
    "auprc": Metric.AVERAGE_PRECISION,
    "average_precision": Metric.AVERAGE_PRECISION,
    "ece": Metric.ECE,
    "ece_width": Metric.ECE,
    "ece_mass": Metric.ECE_EQUAL_MASS,
    "brier": Metric.BRIER,
    "f1": Metric.F1,
    "sensitivity": Metric.SENSITIVITY,
    "recall": Metric.SENSITIVITY,
    "accuracy": Metric.ACCURACY,
    "acc": Metric.ACCURACY,
}
_LARGEST = max(word.count("_") for word in _SPELLINGS)
_NUMBER = re.compile(r"(\d+(?:\.(\d*))?|\.(\d+))\s*(%?)")
_WHAT_FOR = {
    Metric.F1: "the threshold it was taken at, such as f1@0.5",
    Metric.SENSITIVITY: "the specificity it was taken at, such as sensitivity@0.8",
}


@dataclass(frozen=True)
class Claim:
    """One number that somebody says a model has.

    Attributes:
        text: the claim as it was written.
        metric: of what.
        of: "macro" (mean over findings), "micro" (all entries pooled), or a finding.
        value: the number, in [0, 1].
        decimals: how many it was given to; two more where it was a percentage.
        at: threshold of F1 and accuracy, specificity of sensitivity; None for the others.
    """

    text: str
    metric: Metric
    of: str
    value: float
    decimals: int
    at: float | None = None

    @property
    def half_unit(self) -> float:
        """Half of the last decimal: what rounds to the claim lies no further from it."""
        return 0.5 * 10.0**-self.decimals

    def rounds_to(self, value: float) -> bool:
        """Whether a value, rounded as the claim is, gives the claim.

        >>> claim, = read_claims(["auroc=0.844"])
        >>> claim.rounds_to(0.8436), claim.rounds_to(0.8434)
        (True, False)
        """
        return abs(value - self.value) <= self.half_unit * (1 + 1e-9)

    def reached_by(self, value: float) -> bool:
        """Whether a value is as good as the claim, or rounds to it."""
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


def _subject(name: str, text: str) -> tuple[Metric, str]:
    """The metric at the end of the words, and whose it is."""
    words = name.replace(".", " ").replace("-", "_").split()
    for count in range(min(_LARGEST + 1, len(words)), 0, -1):
        metric = _SPELLINGS.get("_".join(words[-count:]).casefold())
        if metric is not None:
            return metric, _whose(" ".join(words[:-count]), text)
    word = words[-1] if words else ""
    raise UsageError(
        f"claim '{text}': no metric '{word}'; there are {', '.join(Metric)}."
        f"{suggestion(word.casefold(), _SPELLINGS)}"
    )


def _whose(word: str, text: str) -> str:
    if word.casefold() in ("", "mean", MACRO):
        return MACRO
    if word.casefold() == MICRO:
        return MICRO
    try:
        return find(word).name
    except UsageError:
        near = suggestion(word, (MACRO, MICRO, *catalogue()))
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


def _point(metric: Metric, word: str, text: str) -> float | None:
    if metric in _WHAT_FOR and not word:
        raise UsageError(f"claim '{text}' must name {_WHAT_FOR[metric]}")
    if metric is Metric.ACCURACY and not word:
        return 0.5
    if not word:
        return None
    if metric not in (*_WHAT_FOR, Metric.ACCURACY):
        raise UsageError(f"claim '{text}': {metric} is taken at no point; leave out @{word}")
    return _number(word, text)[0]
