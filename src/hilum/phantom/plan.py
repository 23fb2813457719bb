"""Patients, their number of films and findings: NIH's statistics as a generator.

Prevalence, co-occurrence and persistence are those of NIH ChestX-ray14 (Wang et al. 2017,
`Data_Entry_2017_v2020.csv`, 112,120 films of 30,805 patients), measured on that table and written
down here; no row of it is needed to draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from hilum.domain.findings import nih14
from hilum.domain.radiograph import Sex, ViewPosition

__all__ = [
    "AP_SHARE",
    "PREVALENCE",
    "SEVERITY",
    "FilmPlan",
    "Lesion",
    "odds_scaled",
    "patient_plans",
    "severity_of",
]

SEVERITY: dict[str, tuple[float, float, float]] = {
    "Atelectasis": (0.45, 1.0, 0.6),
    "Cardiomegaly": (0.20, 1.0, 0.8),
    "Effusion": (0.45, 1.0, 0.55),
    "Infiltration": (0.50, 1.0, 0.55),
    "Mass": (0.45, 1.0, 0.5),
    "Nodule": (0.60, 1.0, 0.4),
    "Pneumonia": (0.35, 1.0, 0.7),
    "Pneumothorax": (0.40, 1.0, 0.6),
    "Consolidation": (0.30, 1.0, 0.7),
    "Edema": (0.25, 1.0, 0.8),
    "Emphysema": (0.25, 1.0, 0.8),
    "Fibrosis": (0.40, 1.0, 0.6),
    "Pleural_Thickening": (0.60, 1.0, 0.4),
    "Hernia": (0.40, 1.0, 0.6),
}
"""Finding to (mildest, most marked, skew). Severity is `mildest + (marked - mildest) * u**skew`
for u uniform in [0, 1]: raise `mildest` or lower `skew` to make a finding easier to see."""


def severity_of(finding: str, share: float) -> float:
    """Severity at a share of the finding's cases, from the mildest (0) to the most marked (1).

    >>> severity_of("Hernia", 0.0), severity_of("Hernia", 1.0)
    (0.4, 1.0)
    """
    low, high, skew = SEVERITY[finding]
    return low + (high - low) * share**skew


PREVALENCE: dict[str, float] = {
    "Atelectasis": 0.1031, "Cardiomegaly": 0.0248, "Effusion": 0.1188, "Infiltration": 0.1774,
    "Mass": 0.0516, "Nodule": 0.0565, "Pneumonia": 0.0128, "Pneumothorax": 0.0473,
    "Consolidation": 0.0416, "Edema": 0.0205, "Emphysema": 0.0224, "Fibrosis": 0.0150,
    "Pleural_Thickening": 0.0302, "Hernia": 0.0020,
}  # fmt: skip
"""Share of films with each finding. Source: NIH ChestX-ray14, Wang et al. 2017."""

AP_SHARE = 0.3997
"""Share of AP films. Same source."""

_PERSISTENCE = 0.65
"""Correlation of a patient's latent state between consecutive films. From P(next | now), which is
0.49 for Effusion, 0.39 for Infiltration, 0.32 for Nodule, 0.56 for Pneumothorax."""

_FILMS_SHARE = (
    (1, 0.568), (2, 0.134), (3, 0.068), (4, 0.043), (5, 0.030), (6, 0.026), (7, 0.020), (8, 0.016),
    (10, 0.023), (12, 0.017), (15, 0.018), (20, 0.014), (28, 0.011), (40, 0.012),
)  # fmt: skip
"""(films, share of patients): NIH's distribution, its tail cut at 40 (NIH: 184); mean 3.4."""

_AGES = (6, 17, 23, 33, 47, 58, 66, 71, 79)
_AGE_SHARES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
"""Percentiles of age at the first film. Same source."""

_MALE_SHARE = 0.565


@dataclass(frozen=True)
class Lesion:
    """One finding to draw: how marked it is, on which side, and the seed of its form.

    Attributes:
        finding: its NIH name.
        severity: in [0, 1]; 0 is barely visible, 1 is marked.
        side: -1 right, +1 left, 0 both; what a finding has no use for is ignored.
        seed: of site and form; the same at every follow-up of a patient.
    """

    finding: str
    severity: float
    side: int
    seed: int


@dataclass(frozen=True)
class FilmPlan:
    """One film before it is drawn.

    Attributes:
        image_id: named like NIH's, `00000001_000.png`.
        patient_id: NIH's number as text.
        age_years, sex, view, follow_up: as NIH records them.
        findings: names, in NIH's order; empty for a normal film.
        lesions: the same, with what is needed to draw them.
    """

    image_id: str
    patient_id: str
    age_years: int
    sex: Sex
    view: ViewPosition
    follow_up: int
    findings: tuple[str, ...]
    lesions: tuple[Lesion, ...]


def odds_scaled(prevalence: float, enrichment: float) -> float:
    """Return a finding's prevalence in an enriched corpus.

    Findings as common as Effusion keep their odds. The odds of a rarer one are multiplied by
    `enrichment` once for every factor of 5 by which it is rarer, so that a small corpus holds
    enough of each::

        odds' = odds * enrichment ** max(0, log5(0.12 / prevalence))

    >>> odds_scaled(0.0020, 1.0), round(odds_scaled(0.0020, 3.0), 3), odds_scaled(0.1774, 3.0)
    (0.002, 0.032, 0.1774)
    """
    rarity = max(0.0, float(np.log(0.12 / prevalence) / np.log(5.0)))
    if rarity == 0.0 or enrichment == 1.0:
        return prevalence
    odds = prevalence / (1.0 - prevalence) * enrichment**rarity
    return odds / (1.0 + odds)


def patient_plans(number: int, seed: int, enrichment: float) -> tuple[FilmPlan, ...]:
    """Return all films of one patient; depends on these three numbers only."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, number, 0)))
    films = _films_of(rng)
    sex = Sex.MALE if rng.random() < _MALE_SHARE else Sex.FEMALE
    age = int(np.interp(rng.random(), (0.0, *_AGE_SHARES, 1.0), (1, *_AGES, 92)))
    forms = rng.integers(0, 2**31, 14)
    sides = rng.choice((-1, 1), 14)
    marks = rng.standard_normal(14)
    names = list(nih14())
    cuts = ndtri([odds_scaled(PREVALENCE[name], enrichment) for name in names])
    root = _root()
    state = root @ rng.standard_normal(15)
    plans: list[FilmPlan] = []
    for follow_up in range(films):
        if follow_up:
            fresh = root @ rng.standard_normal(15)
            state = _PERSISTENCE * state + np.sqrt(1 - _PERSISTENCE**2) * fresh
            age += int(rng.random() < 0.12)
        marks = 0.8 * marks + 0.6 * rng.standard_normal(14)
        lesions = tuple(
            Lesion(name, severity_of(name, float(ndtr(marks[k]))), int(sides[k]), int(forms[k]))
            for k, name in enumerate(names)
            if state[k] < cuts[k]
        )
        plans.append(
            FilmPlan(
                image_id=f"{number:08d}_{follow_up:03d}.png",
                patient_id=str(number),
                age_years=age,
                sex=sex,
                view=ViewPosition.AP if state[14] < ndtri(AP_SHARE) else ViewPosition.PA,
                follow_up=follow_up,
                findings=tuple(lesion.finding for lesion in lesions),
                lesions=lesions,
            )
        )
    return tuple(plans)


def _films_of(rng: np.random.Generator) -> int:
    counts, shares = zip(*_FILMS_SHARE, strict=True)
    return int(counts[np.searchsorted(np.cumsum(shares), rng.random() * sum(shares))])


_CORRELATION_PERCENT = (
    (),
    (7,),
    (37, 39),
    (21, 5, 25),
    (6, -7, 20, 4),
    (-3, -7, 6, 12, 30),
    (14, 2, 12, 29, -1, -3),
    (10, -17, 15, 0, 12, 3, -9),
    (31, 8, 28, 14, 25, 12, 15, 0),
    (-2, 16, 23, 31, 2, 0, 56, -20, 11),
    (13, -6, 5, 0, 11, -4, -5, 51, 0, -9),
    (6, 4, -1, 4, 6, 12, -9, 0, 2, -19, -1),
    (10, 6, 23, 7, 24, 19, 2, 14, 13, -1, 14, 26),
    (11, 3, -5, -4, 13, -4, 0, -3, -11, -6, -3, 12, 2),
    (15, 4, 16, 22, -2, -8, 16, -5, 32, 53, 0, -27, -14, -23),
)
"""Tetrachoric correlations of the 14 findings, in NIH's order, and of AP view (last row), in
percent: lower triangle. Measured on NIH ChestX-ray14, Wang et al. 2017."""


@cache
def _root() -> NDArray[np.float64]:
    """(15, 15) Cholesky factor of the correlations."""
    matrix = np.eye(len(_CORRELATION_PERCENT))
    for i, row in enumerate(_CORRELATION_PERCENT):
        for j, percent in enumerate(row):
            matrix[i, j] = matrix[j, i] = percent / 100.0
    return np.linalg.cholesky(matrix).astype(np.float64)
