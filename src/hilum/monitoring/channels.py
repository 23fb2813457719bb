"""Watched quantities as channels: a bounded number of each film, whose mean a day is held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hilum.domain.documents.watch import QuantityKind, WatchedChannel, WatchedQuantity
from hilum.monitoring.films import LOGIT, WatchedFilms

__all__ = [
    "ABOVE",
    "BELOW",
    "EXPECTED",
    "FEWEST_OF_A_WORD",
    "LEVEL",
    "OTHER",
    "SPREAD",
    "PatientSums",
    "channel_values",
    "channels_of",
    "counted_by",
    "distribution",
    "expected_share",
    "film_weights",
    "quantities_of",
]

LEVEL, SPREAD, BELOW, ABOVE, SHARE = "level", "spread", "low", "high", "share"
EXPECTED = "expected"
"""Aspect of a finding's logit: its probability, as a share of that which 1 % of films exceed. The
mean probability is the share of positives that calibrated scores imply, so a change of prevalence
shows here best."""
OTHER = "other"
"""The category of all rare words."""
FEWEST_OF_A_WORD = 20
"""Patients from which on a word has a name in the reference; a rarer one could name somebody."""
_BINS = 32
_TAIL = 0.01
_DIGITS = 4
_LIKENESS = 0.5
"""Likeness of films of one patient by which they are weighted down: a patient with ten films says
little more than one with two. Any value is correct; this one is near what films show."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PatientSums:
    """What each patient adds to sums over films.

    Attributes:
        values: (M, J) sum of weight times value.
        weights: (M, J) sum of the weights of the films of which the value is known.
    """

    values: Numbers
    weights: Numbers

    @property
    def centers(self) -> Numbers:
        """(J,) weighted means; 0 where nothing is known."""
        total = self.weights.sum(axis=0)
        return self.values.sum(axis=0) / np.maximum(total, 1e-12)

    def residuals(self, centers: Numbers) -> Numbers:
        """Return (M, J) sums of weight times (value - center)."""
        return self.values - self.weights * centers

    def of(self, rows: NDArray[np.intp]) -> PatientSums:
        """Return the sums of some patients."""
        return PatientSums(self.values[rows], self.weights[rows])


def film_weights(patients: NDArray[np.intp]) -> Numbers:
    """Return the weight of each film: 1 for a patient's only film, less for each of many.

    >>> film_weights(np.array([0, 1, 1, 1])).tolist()
    [1.0, 0.5, 0.5, 0.5]
    """
    films = np.bincount(patients)[patients] if patients.size else patients
    return np.asarray(1.0 / (1.0 + _LIKENESS * (films - 1.0)), np.float64)


def quantities_of(films: WatchedFilms) -> tuple[WatchedQuantity, ...]:
    """Return each quantity of a reference with its distribution."""
    return tuple(
        one
        for one in (
            *(_number(name, values) for name, values in films.numbers.items()),
            *(_word(name, words, films.patients) for name, words in films.words.items()),
            *(_flag(name, values) for name, values in films.flags.items()),
        )
        if one is not None
    )


def channels_of(quantities: Sequence[WatchedQuantity]) -> tuple[WatchedChannel, ...]:
    """Return the channels of some quantities, in order."""
    return tuple(
        WatchedChannel(quantity=one.name, aspect=aspect)
        for one in quantities
        for aspect in _aspects(one)
    )


def channel_values(films: WatchedFilms, quantities: Sequence[WatchedQuantity]) -> Numbers:
    """Return (N, J) values in [0, 1] of the channels, NaN where a film has none."""
    columns = [column for one in quantities for column in _columns(films, one)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(films), 0))


def counted_by(values: Numbers, patients: NDArray[np.intp]) -> PatientSums:
    """Return what each patient adds, from (N, J) values and (N,) patients 0 to M - 1."""
    weights = film_weights(patients)
    order = np.argsort(patients, kind="stable")
    starts = np.flatnonzero(np.diff(patients[order], prepend=-1))
    known = np.isfinite(values)
    weighed = weights[:, None] * known
    return PatientSums(
        np.add.reduceat((weights[:, None] * np.where(known, values, 0.0))[order], starts, axis=0),
        np.add.reduceat(weighed[order], starts, axis=0),
    )


def distribution(one: WatchedQuantity, films: WatchedFilms) -> WatchedQuantity:
    """Return a quantity's distribution on other films, in the same bins."""
    if one.kind is QuantityKind.NUMBER:
        values = films.numbers.get(one.name, np.full(len(films), np.nan))
        return _number(one.name, values, one.edges) or one.model_copy(
            update={"known": 0.0, "mean": None, "shares": ()}
        )
    columns = list(_columns(films, one))
    known = np.isfinite(columns[0])
    shares = tuple(float(column[known].mean()) if known.any() else 0.0 for column in columns)
    share = float(known.mean()) if known.size else 0.0
    return one.model_copy(update={"known": share, "shares": shares})


def _aspects(one: WatchedQuantity) -> tuple[str, ...]:
    if one.kind is QuantityKind.NUMBER:
        numbers = (LEVEL, SPREAD, BELOW, ABOVE)
        return (*numbers, EXPECTED) if one.name.startswith(LOGIT) else numbers
    return one.categories if one.kind is QuantityKind.WORD else (SHARE,)


def _columns(films: WatchedFilms, one: WatchedQuantity) -> Iterator[Numbers]:
    if one.kind is QuantityKind.FLAG:
        yield films.flags.get(one.name, np.full(len(films), np.nan))
    elif one.kind is QuantityKind.WORD:
        words = films.words.get(one.name)
        if words is None:
            words = np.full(len(films), OTHER)
        listed = [words == name for name in one.categories[:-1]]
        yield from (held.astype(np.float64) for held in listed)
        yield 1.0 - np.sum(listed, axis=0) if listed else np.ones(len(films))
    else:
        yield from _ranks(films.numbers.get(one.name, np.full(len(films), np.nan)), one)


def _ranks(values: Numbers, one: WatchedQuantity) -> Iterator[Numbers]:
    """Yield level, spread, low and high of numbers, and of logits the expected positives."""
    unknown = np.where(np.isfinite(values), 0.0, np.nan)
    bins = _bins(values, one.edges)
    shares = np.array(one.shares)
    rank = (np.cumsum(shares) - shares / 2)[bins]
    yield rank + unknown
    yield (2 * rank - 1) ** 2 + unknown
    yield (bins == 0) + unknown
    yield (bins == len(shares) - 1) + unknown
    if one.name.startswith(LOGIT):
        yield np.minimum(expit(values) / expit(one.edges[-1]), 1.0)


def expected_share(one: WatchedQuantity) -> float:
    """Return about which share of films is positive, from the histogram of a finding's logits.

    >>> logits = WatchedQuantity(
    ...     name="logit Mass", kind="number", known=1, edges=(0.0,), shares=(0.0, 1.0, 0.0)
    ... )
    >>> expected_share(logits)
    0.5
    """
    p = expit(np.repeat(one.edges, 2))
    middles = np.concatenate([p[:1], (p[:-1] + p[1:]) / 2, p[-1:]])
    return float(middles @ np.array(one.shares)) if one.shares else 0.0


def _number(
    name: str, values: Numbers, edges: tuple[float, ...] | None = None
) -> WatchedQuantity | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    if edges is None:
        at = np.concatenate([[_TAIL], np.arange(1, _BINS) / _BINS, [1 - _TAIL]])
        edges = tuple(np.unique(_rounded(np.quantile(known, at, method="nearest"))).tolist())
    counts = np.bincount(_bins(known, edges), minlength=2 * len(edges) + 1)
    return WatchedQuantity(
        name=name,
        kind=QuantityKind.NUMBER,
        known=known.size / values.size,
        mean=float(known.mean()),
        edges=edges,
        shares=tuple((counts / known.size).tolist()),
    )


def _word(name: str, words: NDArray[np.str_], patients: NDArray[np.intp]) -> WatchedQuantity | None:
    if not words.size or not (words != "").any():
        return None
    found = [str(word) for word in np.unique(words)]
    many = [
        word
        for word in found
        if word and np.unique(patients[words == word]).size >= FEWEST_OF_A_WORD
    ]
    shares = [float(np.mean(words == word)) for word in many]
    return WatchedQuantity(
        name=name,
        kind=QuantityKind.WORD,
        known=float(np.mean(words != "")),
        categories=(*many, OTHER),
        shares=(*shares, max(0.0, 1.0 - sum(shares))),
    )


def _flag(name: str, values: Numbers) -> WatchedQuantity | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    return WatchedQuantity(
        name=name,
        kind=QuantityKind.FLAG,
        known=known.size / values.size,
        shares=(float(known.mean()),),
    )


def _bins(values: Numbers, edges: Sequence[float]) -> NDArray[np.intp]:
    """Return bins 0 to 2 E: below the first edge, at it, above it, and so on."""
    rounded = _rounded(np.where(np.isfinite(values), values, 0.0))
    left = np.searchsorted(edges, rounded, "left")
    return np.asarray(left + np.searchsorted(edges, rounded, "right"), np.intp)


def _rounded(values: Numbers) -> Numbers:
    """Round to a few digits: an edge must not be the number of one film."""
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-12)))
    step = 10.0 ** (size - _DIGITS + 1)
    return np.round(values / step) * step
