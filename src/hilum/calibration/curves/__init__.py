"""The ways to fit a curve from logit to probability: one file a method."""

from __future__ import annotations

from hilum.calibration.curves.base import Curve
from hilum.domain.members import member_class

__all__ = ["Curve", "curve_type"]


def curve_type(method: str) -> type[Curve]:
    """Return the kind of curve that a method fits.

    Raises:
        UsageError: when there is no such method.

    >>> curve_type("platt").__name__
    'Platt'
    """
    return member_class(__name__, method, Curve, "calibrator")
