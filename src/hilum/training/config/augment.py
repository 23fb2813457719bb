"""Bounds of the random changes to a training film."""

from __future__ import annotations

from pydantic import Field

from hilum.training.config.part import Part

__all__ = ["AugmentConfig"]


class AugmentConfig(Part):
    """Bounds of the random changes to a training film."""

    rotation_degrees: float = Field(default=8.0, ge=0.0, le=45.0)
    scale: float = Field(default=0.10, ge=0.0, lt=0.5)
    stretch: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Change of the ratio of width to height."""
    shift: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Fraction of the side."""
    horizontal_flip: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability. Off: a mirrored film has its heart on the wrong side. Refused where a finding
    names a side."""
    brightness: float = Field(default=0.08, ge=0.0, lt=0.5)
    contrast: float = Field(default=0.20, ge=0.0, lt=1.0)
    gamma: float = Field(default=0.15, ge=0.0, lt=1.0)
    clahe: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of contrast-limited adaptive histogram equalisation. To equalise every film, in
    serving too, set `preprocessing.clahe_clip`."""
    blur_sigma_px: float = Field(default=0.0, ge=0.0, le=5.0)
    """Largest Gaussian blur. Hides resampling and codec traces that could stand in for a label."""
    jpeg: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of a pass through JPEG, at a quality drawn from 35 to 95: where films of one
    label were JPEG once and others not, it makes the codec no evidence."""
    noise: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Largest standard deviation of added noise, in grey levels of 1."""
    cutout: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of one grey square of a tenth to a quarter of the side (DeVries & Taylor
    2017)."""
