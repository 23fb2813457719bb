"""The findings that can be drawn: one file each, named as the finding in lower case.

A file defines `plant` and, where the finding changes the body itself, `adapt`
(`hilum.phantom.findings.base.Planter` says what they do). Adding a finding adds a file.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from hilum.phantom.findings.base import Planter, unchanged

__all__ = ["planter"]


@cache
def planter(finding: str) -> Planter:
    """What draws a finding, by its NIH name.

    >>> planter("Pleural_Thickening").plant.__module__
    'hilum.phantom.findings.pleural_thickening'
    """
    module = import_module(f"hilum.phantom.findings.{finding.lower()}")
    return Planter(getattr(module, "adapt", unchanged), module.plant)
