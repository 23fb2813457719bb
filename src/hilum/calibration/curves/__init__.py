"""The ways to fit a curve from logit to probability: one file a method."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import cast

from hilum.calibration.curves.base import Curve
from hilum.domain.errors import UsageError, suggestion

__all__ = ["Curve", "curve_type", "members"]


@cache
def members() -> tuple[str, ...]:
    """The names of all methods, in alphabetical order.

    >>> members()
    ('beta', 'intercept', 'isotonic', 'platt', 'sigmoid', 'temperature', 'temperature_shared')
    """
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base"))


def curve_type(method: str) -> type[Curve]:
    """The kind of curve a method fits.

    Raises:
        UsageError: when there is no such method.

    >>> curve_type("platt").__name__
    'Platt'
    """
    if method not in members():
        near = suggestion(method, members())
        raise UsageError(f"no calibrator '{method}'; there are {', '.join(members())}.{near}")
    module = importlib.import_module(f"{__name__}.{method}")
    return cast("type[Curve]", getattr(module, method.title().replace("_", "")))
