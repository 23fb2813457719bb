"""What an evaluation is told beside scores and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hilum.domain.errors import UsageError
from hilum.domain.scores import OperatingPoint

__all__ = ["EvaluationRequest"]


@dataclass(frozen=True)
class EvaluationRequest:
    """Which model on which split, and what was fixed before.

    Attributes:
        model: what made the scores, as the reader shall see it.
        split: name of the split, such as "test".
        operating_points: thresholds chosen on other films; any number for a finding.
        resamples: patient resamples behind each interval.
        seed: of resamples and null bands.
        prevalences: what the constant predictor says of each finding, by name, learned on other
            films; None to take the shares of the evaluated films themselves.
        prevalence_from: where they come from, in words.
        provenance: hashes and versions, copied into the result.
        precision: of the network that scored, such as "bf16".
        notes: what the reader must know of these scores, a line each.

    Raises:
        UsageError: for fewer than one resample, or prevalences outside [0, 1].
    """

    model: str
    split: str
    operating_points: tuple[OperatingPoint, ...] = ()
    resamples: int = 2000
    seed: int = 0
    prevalences: Mapping[str, float] | None = None
    prevalence_from: str = "the evaluated films themselves"
    provenance: Mapping[str, str] = field(default_factory=dict[str, str])
    precision: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise UsageError(f"an evaluation needs at least 1 resample; got {self.resamples}")
        for finding, share in (self.prevalences or {}).items():
            if not 0.0 <= share <= 1.0:
                raise UsageError(f"the prevalence of {finding} must lie in [0, 1]; got {share:g}")
