"""Cardiomegaly: a heart wider than half the thorax."""

from __future__ import annotations

from dataclasses import replace

from hilum.phantom.build import Build
from hilum.phantom.findings.base import Mask
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def adapt(build: Build, lesion: Lesion) -> Build:
    """Widen the heart to a cardiothoracic ratio of 0.53 to 0.70."""
    ratio = 0.52 + 0.17 * lesion.severity + (0.025 if build.supine else 0.0)
    wide = max(build.heart, ratio * build.chest)
    return replace(
        build, heart=wide, heart_lean=min(0.72, build.heart_lean), vessel=build.vessel * 1.08
    )


def plant(scene: Scene, _lesion: Lesion) -> Mask:
    """The heart is drawn already; the mask is its silhouette."""
    return scene.heart > 0.5
