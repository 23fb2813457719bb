"""An alarm in words: what moved, and what that does to calibration and to rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from hilum.domain.documents.watch import QuantityKind, WatchedQuantity
from hilum.monitoring.channels import ABOVE, BELOW, EXPECTED, LEVEL, expected_share
from hilum.monitoring.films import CORRECTED, LOGIT

__all__ = ["Change", "effect_of", "words_of_change"]

_PICTURE = "the pictures changed: the network was measured on pictures like the reference's"
_MIX = (
    "the mix of films changed: probabilities hold for each kind as far as calibration did, "
    "predictive values and bounds hold for the old mix"
)
_SCORES = (
    "the scores changed: probabilities and thresholds were fitted to the reference's, and may be "
    "too high or too low now; predictive values hold at the reference's prevalence alone"
)
_GATE = (
    "other films are warned of or refused than in the reference: numbers measured on it miss them"
)
_READERS = (
    "readers correct other shares of the calls than in the reference: the films, the calls or the "
    "readers changed"
)
_MIX_OF = ("view", "sex", "age", "age unknown", "site", "manufacturer", "model", "photometric")


@dataclass(frozen=True)
class Change:
    """A number before and now.

    Attributes:
        before: in the reference.
        after: on the films since.
        percent: whether the two are shares.
    """

    before: float
    after: float
    percent: bool

    @classmethod
    def between(cls, reference: WatchedQuantity, now: WatchedQuantity, aspect: str) -> Self:
        """Return the change of one aspect of a quantity."""
        if reference.kind is not QuantityKind.NUMBER:
            place = reference.categories.index(aspect) if reference.kind is QuantityKind.WORD else 0
            return cls(_at(reference, place), _at(now, place), percent=True)
        if aspect == BELOW:
            return cls(_at(reference, 0), _at(now, 0), percent=True)
        if aspect == ABOVE:
            return cls(_at(reference, -1), _at(now, -1), percent=True)
        if aspect == EXPECTED:
            return cls(expected_share(reference), expected_share(now), percent=True)
        if aspect == LEVEL:
            return cls(reference.mean or 0.0, now.mean or 0.0, percent=False)
        return cls(_outside(reference, reference), _outside(reference, now), percent=True)


def words_of_change(quantity: WatchedQuantity, aspect: str, change: Change) -> str:
    """Return what moved, and by how much.

    >>> view = WatchedQuantity(name="view", kind="word", known=1, categories=("AP", "other"))
    >>> words_of_change(view, "AP", Change(0.39, 0.6, True))
    'view AP: 39.0 % of films in the reference, 60.0 % now'
    """
    before, after = (
        f"{100 * value:.1f} %" if change.percent else f"{value:.3g}"
        for value in (change.before, change.after)
    )
    if quantity.kind is QuantityKind.WORD:
        return f"{quantity.name} {aspect}: {before} of films in the reference, {after} now"
    if quantity.kind is QuantityKind.FLAG:
        return f"{quantity.name}: {before} of films in the reference, {after} now"
    if aspect == EXPECTED:
        finding = quantity.name.removeprefix(LOGIT)
        return f"mean probability of {finding}: about {before} in the reference, {after} now"
    if aspect == LEVEL:
        return f"{quantity.name}: mean {before} in the reference, {after} now"
    if aspect in (BELOW, ABOVE):
        end = "lowest" if aspect == BELOW else "highest"
        return f"{quantity.name}: {before} of films among the reference's {end} values, {after} now"
    return (
        f"{quantity.name}: {before} of films in the outer half of the reference's values, "
        f"{after} now"
    )


def effect_of(quantity: WatchedQuantity, rule_sha256: str) -> str:
    """Return what a change does to calibration and to a rule-out rule.

    Args:
        quantity: that moved.
        rule_sha256: of the bundle's rule; empty where it has none.
    """
    name = quantity.name
    if "logit" in name or name.startswith("positive "):
        effect = _SCORES
    elif name.startswith("gray ") or name == "size":
        effect = _PICTURE
    elif name == CORRECTED:
        effect = _READERS
    elif name in _MIX_OF:
        effect = _MIX
    else:
        effect = _GATE
    if not rule_sha256:
        return f"{effect}. Check calibration on labeled films of this time"
    return (
        f"{effect}. Check calibration on labeled films of this time. Rule {rule_sha256[:12]} is "
        "void: refer every film until it is fitted anew"
    )


def _at(one: WatchedQuantity, place: int) -> float:
    return one.shares[place] if one.shares else 0.0


def _outside(reference: WatchedQuantity, now: WatchedQuantity) -> float:
    """Return the share of films outside the middle half of the reference."""
    total, below, outside = sum(reference.shares), 0.0, 0.0
    for own, share in zip(reference.shares, now.shares, strict=False):
        middle = (below + own / 2) / total
        outside += share if not 0.25 < middle < 0.75 else 0.0
        below += own
    return outside
