"""Do heatmaps point at the finding, and better than a guess made without the film?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hilum.metrics.localisation import pointing_game, position_prior

__all__ = ["Localisation", "Mapped", "Pointed", "localise"]


class Pointed(BaseModel):
    """The pointing game of one finding, or of all.

    A film's map hits when its hottest pixel lies on the finding. An empty map is a miss: it was
    asked where, and said nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    films: int
    hits: float
    """Share of films, in [0, 1]."""
    empty: int
    """Films whose map was empty, among `films`."""
    prior_hits: float
    """The same share for the mean mask of the other films: no film is looked at."""
    area: float
    """Mean share of the film that the finding covers: a random pixel's chance to hit."""


class Localisation(BaseModel):
    """Pointing game by finding; findings with a single film have no prior and are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str
    """What the maps were compared with, in words."""
    findings: dict[str, Pointed]
    mean: Pointed | None
    """Each film and finding counted once; None where there is none."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """One film's map of a finding it has, and where the finding is, on one grid for all films."""

    finding: str
    heatmap: NDArray[np.float32]
    mask: NDArray[np.bool_]


def localise(entries: Iterable[Mapped], reference: str) -> Localisation:
    """Play the pointing game beside the image-free position prior.

    Args:
        entries: (H, W) heatmap and mask of each positive film and finding; one grid for all.
        reference: such as "reader boxes".
    """
    by_finding: dict[str, list[Mapped]] = defaultdict(list)
    for entry in entries:
        by_finding[entry.finding].append(entry)
    findings = {
        name: _pointed(group) for name, group in sorted(by_finding.items()) if len(group) > 1
    }
    return Localisation(reference=reference, findings=findings, mean=_mean(findings))


def _pointed(group: list[Mapped]) -> Pointed:
    masks = np.stack([entry.mask for entry in group])
    found = [pointing_game(entry.heatmap, entry.mask) for entry in group]
    guessed = [
        pointing_game(prior, mask) for prior, mask in zip(position_prior(masks), masks, strict=True)
    ]
    return Pointed(
        films=len(group),
        hits=float(np.mean([hit is True for hit in found])),
        empty=sum(not entry.heatmap.any() for entry in group),
        prior_hits=float(np.mean([hit is True for hit in guessed])),
        area=float(masks.mean()),
    )


def _mean(findings: dict[str, Pointed]) -> Pointed | None:
    films = sum(pointed.films for pointed in findings.values())
    if films == 0:
        return None

    def pooled(values: Iterable[float]) -> float:
        weights = [pointed.films for pointed in findings.values()]
        return float(np.average(list(values), weights=weights))

    return Pointed(
        films=films,
        hits=pooled(pointed.hits for pointed in findings.values()),
        empty=sum(pointed.empty for pointed in findings.values()),
        prior_hits=pooled(pointed.prior_hits for pointed in findings.values()),
        area=pooled(pointed.area for pointed in findings.values()),
    )
