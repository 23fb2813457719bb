"""Feature extractors. `base.py` holds the contract; each other file is one, named as its file.

`any_timm.py` is the exception: it is every network of timm's that has a feature map, under its own
name, as in `timm/regnety_002`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from hilum.domain.errors import UsageError, suggestion
from hilum.model.backbones.any_timm import AnyTimm, is_timm
from hilum.model.backbones.base import Backbone

__all__ = ["backbone", "members"]

PREFIX = "timm/"


def members() -> tuple[str, ...]:
    """Names of the backbones that have a file, sorted.

    >>> members()
    ('convnext_tiny', 'densenet121', 'resnet50')
    """
    names = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in names if name not in ("base", "any_timm")))


def backbone(name: str) -> Backbone:
    """The backbone of that name: a member, or `timm/NAME`.

    Raises:
        UsageError: when there is none.
    """
    if name.startswith(PREFIX):
        return AnyTimm.named(name.removeprefix(PREFIX))
    if name not in members():
        known = (*members(), *([f"{PREFIX}{name}"] if is_timm(name) else []))
        raise UsageError(
            f"no backbone '{name}'; there are: {', '.join(members())}, and {PREFIX}NAME for any of "
            f"timm's.{suggestion(name, known)}"
        )
    return cast(Backbone, import_module(f"hilum.model.backbones.{name}"))
