"""What an evaluation is told beside scores and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.scores import OperatingPoint

__all__ = ["EvaluationRequest", "Unit"]


class Unit(StrEnum):
    """What a resample draws: what can be taken as independent."""

    PATIENTS = "patients"
    """Patients, each with all its films."""
    FILMS = "films"
    """Films, where nobody knows whose they are: intervals are then too narrow."""


@dataclass(frozen=True)
class EvaluationRequest:
    """Which model on which split, and what was fixed before.

    Attributes:
        model: what made the scores, as the reader shall see it.
        split: name of the split, such as "test".
        operating_points: thresholds chosen on other films; any number for a finding.
        chosen_on: the films that thresholds were chosen on, in words.
        film_thresholds: (finding, point name) to the (N,) threshold that each film is called at,
            where points were chosen by cross-fitting: a film's is of other patients' films. The
            point itself then carries the threshold of all films, to be printed.
        shared_threshold: one threshold for all findings, to compare their own with.
        resamples: resamples behind each interval.
        seed: of resamples, null bands and the folds of the metadata baseline.
        prevalences: what the constant predictor says of each finding, by name, learned on other
            films; None to take the shares of the evaluated films themselves.
        prevalence_from: where they come from, in words.
        provenance: hashes and versions, copied into the result.
        precision: of the network that scored, such as "bf16".
        notes: what the reader must know of these scores, a line each.
        level: what a row is: "film", "study" or "patient".
        policy: how labels other than positive and negative were counted.
        look: this is evaluation number `look` of the test set; None where nobody counts.
        intervals_by: what resamples draw; films only where patient ids are not known.

    Raises:
        UsageError: for fewer than one resample, or prevalences outside [0, 1].
    """

    model: str
    split: str
    operating_points: tuple[OperatingPoint, ...] = ()
    chosen_on: str = "other films"
    shared_threshold: float = 0.5
    film_thresholds: Mapping[tuple[str, str], NDArray[np.float64]] = field(
        default_factory=dict[tuple[str, str], NDArray[np.float64]]
    )
    resamples: int = 2000
    seed: int = 0
    prevalences: Mapping[str, float] | None = None
    prevalence_from: str = "the evaluated films themselves"
    provenance: Mapping[str, str] = field(default_factory=dict[str, str])
    precision: str | None = None
    notes: tuple[str, ...] = ()
    level: str = "film"
    policy: Mapping[str, str] = field(default_factory=dict[str, str])
    look: int | None = None
    intervals_by: Unit = Unit.PATIENTS

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise UsageError(f"an evaluation needs at least 1 resample; got {self.resamples}")
        for finding, share in (self.prevalences or {}).items():
            if not 0.0 <= share <= 1.0:
                raise UsageError(f"the prevalence of {finding} must lie in [0, 1]; got {share:g}")
