"""Random but seeded changes to a training film: drawn first, then applied in one warp."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.training.config import AugmentConfig

__all__ = ["Change", "apply", "draw"]


@dataclass(frozen=True)
class Change:
    """What is done to one film."""

    angle_degrees: float
    scale: float
    shift_x: float
    shift_y: float
    brightness: float
    contrast: float
    gamma: float
    blur_sigma_px: float
    noise: float
    noise_seed: int


def draw(config: AugmentConfig, rng: np.random.Generator) -> Change:
    """Draw one change within the bounds."""

    def between(bound: float) -> float:
        return float(rng.uniform(-bound, bound))

    return Change(
        angle_degrees=between(config.rotation_degrees),
        scale=1.0 + between(config.scale),
        shift_x=between(config.shift),
        shift_y=between(config.shift),
        brightness=between(config.brightness),
        contrast=1.0 + between(config.contrast),
        gamma=1.0 + between(config.gamma),
        blur_sigma_px=float(rng.uniform(0.0, config.blur_sigma_px)),
        noise=float(rng.uniform(0.0, config.noise)),
        noise_seed=int(rng.integers(2**31)),
    )


def apply(raster: NDArray[np.uint8], change: Change) -> NDArray[np.uint8]:
    """The changed film, (S, S) uint8: one affine warp, one look-up table, then blur and noise.

    Example:
        >>> film = np.full((32, 32), 100, np.uint8)
        >>> apply(film, Change(0, 1, 0, 0, 0, 1, 1, 0, 0, 0))[16, 16]
        np.uint8(100)
    """
    side = raster.shape[0]
    centre = (side - 1) / 2.0
    matrix = cv2.getRotationMatrix2D((centre, centre), change.angle_degrees, change.scale)
    matrix[:, 2] += (change.shift_x * side, change.shift_y * side)
    warped = cv2.warpAffine(raster, matrix, (side, side), flags=cv2.INTER_LINEAR)
    grey = np.linspace(0.0, 1.0, 256) ** change.gamma
    grey = (grey - 0.5) * change.contrast + 0.5 + change.brightness
    table = np.clip(np.rint(grey * 255.0), 0, 255).astype(np.uint8)
    film = cv2.LUT(warped, table)
    if change.blur_sigma_px > 0.2:
        film = cv2.GaussianBlur(film, (0, 0), change.blur_sigma_px)
    if change.noise > 0.0:
        grain = np.random.default_rng(change.noise_seed).normal(
            0.0, change.noise * 255.0, film.shape
        )
        film = np.clip(film + grain, 0, 255).astype(np.uint8)
    return film.astype(np.uint8)
