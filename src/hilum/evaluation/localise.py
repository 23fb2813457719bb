"""Do heatmaps point at the finding, and better than a guess made without the film?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hilum.domain.result import Interval
from hilum.metrics.localisation import pointing_game, position_prior
from hilum.metrics.resampling import interval, patient_resamples

__all__ = ["Localisation", "Mapped", "Pointed", "localise"]

RESAMPLES = 1000


class Pointed(BaseModel):
    """The pointing game of one finding, or of all; intervals from a patient bootstrap.

    A film's map hits when its hottest pixel lies on the finding. An empty map is a miss: it was
    asked where, and said nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    maps: int
    """Films with the finding."""
    patients: int
    empty: int
    """Maps that were empty, among `maps`."""
    hits: Interval
    """Share of maps that hit."""
    prior_hits: Interval
    """The same for the mean mask of the other films, which looks at no film."""
    gain: Interval
    """`hits - prior_hits`, drawn together: what the network adds."""
    area: float
    """Mean share of the film that the finding covers: a random pixel's chance to hit."""


class Localisation(BaseModel):
    """Pointing game by finding; findings on a single film have no prior and are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str
    """What the maps were compared with, in words."""
    seed: int
    findings: dict[str, Pointed]
    mean: Pointed | None
    """Each film and finding counted once; None where there is none."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """One film's map of a finding it has, and where the finding is, on one grid for all films."""

    patient_id: str
    finding: str
    heatmap: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Played:
    """What came of each map: (n,) arrays."""

    patients: NDArray[np.str_]
    hits: NDArray[np.bool_]
    prior_hits: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    areas: NDArray[np.float64]


def localise(entries: Iterable[Mapped], reference: str, seed: int) -> Localisation:
    """Play the pointing game beside the image-free position prior.

    Args:
        entries: (H, W) heatmap and mask of each positive film and finding; one grid for all.
        reference: such as "reader boxes".
        seed: of the resamples.
    """
    by_finding: dict[str, list[Mapped]] = defaultdict(list)
    for entry in entries:
        by_finding[entry.finding].append(entry)
    played = {name: _play(group) for name, group in sorted(by_finding.items()) if len(group) > 1}
    everything = list(played.values())
    return Localisation(
        reference=reference,
        seed=seed,
        findings={name: _summed([one], seed) for name, one in played.items()},
        mean=_summed(everything, seed) if everything else None,
    )


def _play(group: list[Mapped]) -> _Played:
    masks = np.stack([entry.mask for entry in group])
    priors = position_prior(masks)
    return _Played(
        patients=np.array([entry.patient_id for entry in group], np.str_),
        hits=np.array([pointing_game(entry.heatmap, entry.mask) is True for entry in group]),
        prior_hits=np.array(
            [pointing_game(prior, mask) is True for prior, mask in zip(priors, masks, strict=True)]
        ),
        empty=np.array([not entry.heatmap.any() for entry in group]),
        areas=masks.mean(axis=(1, 2)),
    )


def _summed(parts: list[_Played], seed: int) -> Pointed:
    patients = np.concatenate([part.patients for part in parts])
    hits = np.concatenate([part.hits for part in parts]).astype(np.float64)
    prior_hits = np.concatenate([part.prior_hits for part in parts]).astype(np.float64)
    draws = list(patient_resamples(patients, RESAMPLES, np.random.default_rng(seed)))
    weights = np.concatenate(draws).astype(np.float64)

    def share(values: NDArray[np.float64]) -> Interval:
        resampled = (weights * values).sum(axis=1) / weights.sum(axis=1)
        return interval(float(values.mean()), resampled, "")

    return Pointed(
        maps=len(hits),
        patients=len(set(patients.tolist())),
        empty=int(sum(part.empty.sum() for part in parts)),
        hits=share(hits),
        prior_hits=share(prior_hits),
        gain=share(hits - prior_hits),
        area=float(np.mean(np.concatenate([part.areas for part in parts]))),
    )
