"""export.json: how far an exported network is from its bundle, on the bundle's own test films."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.bundle import Bundle
from hilum.domain.documents import Document
from hilum.domain.errors import BundleError
from hilum.domain.notice import NOT_A_DEVICE
from hilum.files.sealed import file_sha256
from hilum.inference.engine import Precision

__all__ = ["Compared", "Forward", "compare", "golden_films"]

Forward = Callable[[NDArray[np.float32]], tuple[NDArray[Any], NDArray[Any] | None]]
"""Normalized images (B, C, S, S) to logits, and heatmaps where the format carries them."""

_TOLERANCE = {False: 1e-4, True: 5e-2}
"""Largest difference allowed, relative to the range of the bundle's answers (of logits at least 1);
a graph with convolutions in 8 bits is computed otherwise by each library."""


class Compared(Document):
    """Everything in export.json."""

    notice: str = NOT_A_DEVICE
    format: str
    """Format of the export."""
    bundle: str
    """Short id of the bundle."""
    model_sha256: str
    """Hash of the bundle's network."""
    findings: tuple[str, ...]
    """Findings of the outputs, in order."""
    films: int
    """Films that both were asked: the drawn films of the bundle's self-test."""
    logits: float
    """Largest absolute difference of the logits."""
    logits_range: float
    """Difference between the largest and smallest logit of the bundle."""
    heatmaps: float | None
    """Largest absolute difference of the heatmaps; None where the format carries none."""
    heatmaps_peak: float
    """Largest value of the bundle's heatmaps."""
    notes: tuple[str, ...] = ()
    """What the format does not carry."""
    files: dict[str, str]
    """sha256 of each exported file by name."""


def golden_films(bundle: Bundle) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
    """Return the normalized images of the self-test, and the bundle's own logits and heatmaps."""
    with np.load(bundle.root / "golden.npz", allow_pickle=False) as file:
        rasters = file["rasters"]
    own = bundle.engine.run(rasters)
    images = bundle.manifest.preprocessing.normalize(rasters)
    return images, own.logits.values, own.heatmaps


def compare(
    bundle: Bundle, kind: str, forward: Forward, folder: Path, notes: tuple[str, ...] = ()
) -> Compared:
    """Ask the exported network the films of the bundle's self-test.

    Args:
        bundle: the original, computing in its own precision.
        kind: format of the export.
        forward: the exported network, read back from its files.
        folder: of the exported files.
        notes: what the format does not carry.

    Raises:
        BundleError: when it gives other logits or heatmaps.
    """
    images, logits, heatmaps = golden_films(bundle)
    got, maps = forward(images)
    span = float(np.ptp(logits))
    peak = float(heatmaps.max())
    coarse = bundle.precision is not Precision.F32
    allowed = _TOLERANCE[coarse] * max(1.0, span)
    gap = float(np.abs(got - logits).max())
    if not gap <= allowed:
        raise BundleError(
            f"an export must give the bundle's logits within {allowed:.2g}; {kind} is off by "
            f"{gap:.2g}. Nothing was written"
        )
    gap_of_maps = None if maps is None else float(np.abs(maps - heatmaps).max())
    allowed = _TOLERANCE[coarse] * max(1e-6, peak) * (4.0 if coarse else 10.0)
    if gap_of_maps is not None and not gap_of_maps <= allowed:
        raise BundleError(
            f"an export must give the bundle's heatmaps within {allowed:.2g}; {kind} is off by "
            f"{gap_of_maps:.2g}. Nothing was written"
        )
    return Compared(
        format=kind,
        bundle=bundle.id,
        model_sha256=bundle.manifest.files["model.onnx"],
        findings=bundle.labels.findings,
        films=len(images),
        logits=gap,
        logits_range=span,
        heatmaps=gap_of_maps,
        heatmaps_peak=peak,
        notes=notes,
        files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
    )
