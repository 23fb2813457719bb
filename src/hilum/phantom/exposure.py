"""From thickness to a film: scatter, quantum noise, blur, tone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hilum.domain.radiograph import ViewPosition
from hilum.phantom.canvas import Canvas, Field

__all__ = ["Exposure", "exposed"]

_MU = 0.17  # per cm of water, effective, at the energies of chest films
_USUAL_LUNG = 8.5  # cm of water


@dataclass(frozen=True)
class Exposure:
    """How one film was taken and processed.

    Attributes:
        scatter: scattered over direct radiation.
        quanta: photons that reach a pixel through nothing, which sets the noise.
        blur_cm: of focal spot, motion and detector.
        middle: where between lung and mediastinum mid-grey lies, in [0, 1].
    contrast: slope of the tone curve between them.
        crispening: strength of the vendor's edge enhancement.
        low, high: grey of black and white.
    """

    scatter: float
    quanta: float
    blur_cm: float
    middle: float
    contrast: float
    crispening: float
    low: float
    high: float

    @classmethod
    def sampled(cls, view: ViewPosition, rng: np.random.Generator) -> Exposure:
        """A film of the view's habitual quality: bedside films are flatter, softer, noisier."""
        bedside = view is ViewPosition.AP
        return cls(
            scatter=float(rng.uniform(0.35, 0.9) if bedside else rng.uniform(0.08, 0.3)),
            quanta=float(10 ** rng.uniform(4.3, 5.3) if bedside else 10 ** rng.uniform(5.0, 6.0)),
            blur_cm=float(rng.uniform(0.05, 0.10) if bedside else rng.uniform(0.02, 0.06)),
            middle=float(rng.uniform(0.22, 0.46)),
            contrast=float(rng.uniform(2.2, 3.2) if bedside else rng.uniform(2.6, 4.0)),
            crispening=float(rng.uniform(0.0, 0.45)),
            low=float(rng.uniform(0.0, 0.06)),
            high=float(rng.uniform(0.88, 1.0)),
        )


def exposed(
    canvas: Canvas, thickness: Field, exposure: Exposure, rng: np.random.Generator
) -> Field:
    """The film's grey levels in [0, 1], bright where dense."""
    direct = np.exp(np.maximum(thickness, 0.0) * np.float32(-_MU))
    direct = canvas.blur(direct, exposure.blur_cm)
    veil = canvas.blur(np.minimum(direct, 0.5), 4.0)
    signal = direct + np.float32(exposure.scatter) * veil
    spread = np.sqrt(signal / np.float32(exposure.quanta * (256 / canvas.size)))
    grain = rng.standard_normal(signal.shape, dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.55)
    signal = np.maximum(signal + 2.0 * spread * grain, 1e-4)
    depth = np.log(signal) * np.float32(-1.0 / _MU)
    lung, dense = _range(depth)
    middle = lung + exposure.middle * (dense - lung)
    slope = exposure.contrast / (dense - lung)
    if exposure.crispening > 0:
        depth = depth + np.float32(exposure.crispening) * (depth - canvas.blur(depth, 1.2))
    grey = 1.0 / (1.0 + np.exp((np.float32(middle) - depth) * np.float32(slope)))
    grey = exposure.low + (exposure.high - exposure.low) * grey
    return np.clip(grey, 0.0, 1.0).astype(np.float32)


def _range(depth: Field) -> tuple[float, float]:
    """Thickness of lung and of mediastinum, as automatic exposure finds them on the film."""
    side = depth.shape[0]
    window = depth[side // 6 : -side // 6 : 4, side // 6 : -side // 6 : 4]
    lung, dense = np.percentile(window, (10, 90))
    # Half of the estimate is habit, so that dark lungs stay darker than others.
    lung = 0.5 * (float(lung) + _USUAL_LUNG)
    return lung, max(float(dense), lung + 4.0)
