"""One patient's body on one film: the numbers that every shape is drawn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hilum.domain.radiograph import Sex, ViewPosition

__all__ = ["Build", "posed", "sampled"]


@dataclass(frozen=True)
class Build:
    """A body, in centimeters and in the pose of one film.

    Right and left are the patient's. Heights count down from the lung apices.

    Attributes:
        sex, age_years, view: as on the film's label.
        chest: half the inner width of the thorax.
        dome: height of the right hemidiaphragm's top.
        dome_lag: how much lower the left one is.
        dome_rise: height of a dome over its costophrenic angle.
        depth: front-to-back thickness of the trunk.
        fat: soft tissue around the rib cage.
        breast: thickness of the breasts, 0 for none.
        heart: half the width of the heart.
        heart_lean: share of the heart that lies left of the midline.
        knob: radius of the aortic knob.
        mediastinum: half the width of the upper mediastinum.
        turn: rotation about the long axis, as the shift of the front of the chest.
        scapula: how far the scapulae reach over the lungs, 0 to 1.
        arms: angle of the arms from the trunk, in radians.
        bone: relative mineral content.
        lung_density: water share of healthy lung.
        vessel: relative calibre of the lung vessels.
        upper_flow: share of the vessels' calibre given to the upper zones.
        tissue_noise: unevenness of the soft tissue.
        bend: sideways curvature of the spine.
        slender: how pointed the upper thorax is, about 0.
        apex: how high the heart's apex lies, about 0.
        squeeze: (right, left) width of each lung relative to the normal one.
        lift: (right, left) extra height of each hemidiaphragm.
    """

    sex: Sex
    age_years: float
    view: ViewPosition
    chest: float
    dome: float
    dome_lag: float
    dome_rise: float
    depth: float
    fat: float
    breast: float
    heart: float
    heart_lean: float
    knob: float
    mediastinum: float
    turn: float = 0.0
    scapula: float = 0.2
    arms: float = 0.5
    bone: float = 1.0
    lung_density: float = 0.26
    vessel: float = 1.0
    upper_flow: float = 0.4
    tissue_noise: float = 1.0
    bend: float = 0.0
    slender: float = 0.0
    apex: float = 0.0
    squeeze: tuple[float, float] = (1.0, 1.0)
    lift: tuple[float, float] = (0.0, 0.0)

    @property
    def supine(self) -> bool:
        """Whether the film is taken from the front, at the bedside."""
        return self.view is ViewPosition.AP

    def dome_of(self, side: int) -> float:
        """Height of one hemidiaphragm's top; `side` is -1 for right, +1 for left."""
        lag = self.dome_lag if side > 0 else 0.0
        return self.dome + lag - self.lift[side > 0]

    def angle_of(self, side: int) -> float:
        """Height of one costophrenic angle."""
        return self.dome_of(side) + self.dome_rise + 0.5 * self.lift[side > 0]


def sampled(age_years: float, sex: Sex, rng: np.random.Generator) -> Build:
    """Return a patient standing for a PA film: the same generator state, the same body.

    Sizes are those of adults in textbooks of radiographic anatomy (inner thoracic width about 29
    cm in men, cardiothoracic ratio below 0.5), shrunk for children by age
    (infants less than in life: the film is laid around them anyway).
    """
    woman = sex is Sex.FEMALE
    growth = float(np.interp(age_years, [0, 8, 14, 18], [0.70, 0.78, 0.92, 1.0]))
    weight = float(np.clip(rng.normal(0.0, 1.0), -1.8, 2.4))
    elderly = float(np.clip((age_years - 45) / 40, 0.0, 1.0))
    chest = (13.2 if woman else 14.6) * growth * (1 + 0.04 * rng.normal())
    dome = (21.5 if woman else 23.6) * growth * (1 + 0.05 * rng.normal()) - 0.4 * weight
    ratio = float(np.clip(rng.normal(0.45 + 0.03 * elderly + 0.01 * weight, 0.028), 0.36, 0.505))
    grown = float(np.clip((age_years - 11) / 6, 0.0, 1.0))
    breast = max(0.6, rng.normal(3.0 + 0.9 * weight, 0.9)) * grown if woman else 0.0
    return Build(
        sex=sex,
        age_years=age_years,
        view=ViewPosition.PA,
        chest=chest,
        dome=dome,
        dome_lag=float(rng.normal(1.3, 0.5)),
        dome_rise=float(np.clip(rng.normal(4.3, 0.7), 2.6, 6.0)) * growth,
        depth=(19.0 if woman else 20.5) * (0.45 + 0.55 * growth) * (1 + 0.07 * weight),
        fat=float(np.clip(2.7 + 1.3 * weight + 0.4 * rng.normal(), 0.9, 6.5)),
        breast=breast,
        heart=ratio * chest,
        heart_lean=float(np.clip(rng.normal(0.67, 0.03), 0.58, 0.75)),
        knob=(1.25 + 0.75 * elderly + 0.15 * rng.normal()) * growth,
        mediastinum=(2.6 + 0.25 * weight + 0.3 * elderly + 0.2 * rng.normal()) * growth,
        bone=float(np.clip(1.05 - 0.25 * elderly * (1.4 if woman else 0.8), 0.6, 1.2)),
        lung_density=float(np.clip(rng.normal(0.26, 0.02), 0.2, 0.32)),
        vessel=float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3)),
        tissue_noise=float(rng.uniform(0.6, 1.4)),
        bend=float(rng.normal(0.0, 0.35) + elderly * rng.normal(0.0, 0.5)),
        slender=float(np.clip(rng.normal(), -1.8, 1.8)),
        apex=float(np.clip(rng.normal(), -1.5, 1.5)),
    )


def posed(patient: Build, view: ViewPosition, rng: np.random.Generator) -> Build:
    """Return the patient as he happens to stand, or lie, for one film.

    A bedside (AP) film magnifies the heart, catches less inspiration and more rotation, and leaves
    the scapulae over the lungs.
    """
    bedside = view is ViewPosition.AP
    breath = rng.normal(0.88, 0.06) if bedside else rng.normal(1.0, 0.03)
    breath = float(np.clip(breath, 0.74, 1.07))
    widening = rng.normal(1.10, 0.04) if bedside else rng.normal(1.0, 0.015)
    heart = patient.heart * float(widening) * (1 + 0.25 * (1 - breath))
    return replace(
        patient,
        view=view,
        dome=patient.dome * breath,
        dome_rise=patient.dome_rise * (0.9 if bedside else 1.0),
        heart=min(heart, 0.56 * patient.chest),
        mediastinum=patient.mediastinum * (1.12 if bedside else 1.0),
        turn=float(rng.normal(0.0, 0.9 if bedside else 0.4)),
        scapula=float(rng.uniform(0.5, 1.0) if bedside else rng.beta(1.5, 4.0)),
        arms=float(rng.uniform(0.1, 0.45) if bedside else rng.uniform(0.35, 0.8)),
        upper_flow=0.5 if bedside else 0.4,
        vessel=patient.vessel * (1.08 if bedside else 1.0),
    )
