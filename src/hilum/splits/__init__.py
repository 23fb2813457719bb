"""Splits by patient: each patient is in exactly one of train, tune, calibrate and test.

`assign` makes a split table, `SplitTable` holds and checks one; `check_disjoint` and
`SeenPatients` refuse patients that a model has seen, `certify` says what films and patients two
sides share, and `recognize` knows the published lists.
"""

from __future__ import annotations

from hilum.splits.assign import DEFAULT_FRACTIONS, Fractions, assign, at_site
from hilum.splits.known import KnownSplit, known_splits, recognize, refuse_other_family
from hilum.splits.overlap import (
    Overlap,
    SeenPatients,
    check_disjoint,
    overlap_of,
    refuse_leak,
)
from hilum.splits.table import Place, SplitTable
from hilum.splits.trained import TrainingFilms, certify, read_training_films

__all__ = [
    "DEFAULT_FRACTIONS",
    "Fractions",
    "KnownSplit",
    "Overlap",
    "Place",
    "SeenPatients",
    "SplitTable",
    "TrainingFilms",
    "assign",
    "at_site",
    "certify",
    "check_disjoint",
    "known_splits",
    "overlap_of",
    "read_training_films",
    "recognize",
    "refuse_leak",
    "refuse_other_family",
]
