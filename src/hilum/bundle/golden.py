"""The bundle's self-test: drawn films with the answers they must get."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hilum.domain.errors import BundleError
from hilum.domain.radiograph import Radiograph
from hilum.domain.scores import Logits
from hilum.inference.engine import Engine, Precision

__all__ = ["check_golden", "write_golden"]

TOLERANCES = {
    Precision.F32: (1e-3, 1e-3),
    Precision.BF16: (5e-2, 1e-1),
    Precision.INT8: (5e-2, 2e-1),
    Precision.INT8_BF16: (5e-2, 2e-1),
}
"""Largest difference of logits, relative to their range (at least 1), and of heatmaps, relative to
their peak: rounding of the type over 121 layers on another processor, far below the effect of a
wrong label order or preprocessing."""


def write_golden(engine: Engine, films: Sequence[Radiograph], path: Path) -> None:
    """Write films, their rasters, and the answers the network gives now.

    Args:
        engine: the network.
        films: synthetic ones: a bundle carries no patient. Two or more, not alike.
        path: the `.npz`.

    Raises:
        BundleError: for a dead head: a network that answers all films alike.
    """
    rasters = np.stack([engine.preprocessing.raster(film) for film in films])
    output = engine.run(rasters)
    _refuse_dead(output.logits)
    arrays = {
        f"film_{i}": np.rint(film.pixels * 255).astype(np.uint8) for i, film in enumerate(films)
    }
    np.savez_compressed(
        path,
        labels=np.array(engine.labels.findings),
        rasters=rasters,
        logits=output.logits.values,
        heatmaps=output.heatmaps,
        allow_pickle=False,
        **arrays,
    )


def check_golden(engine: Engine, path: Path, written_in: Precision | None = None) -> None:
    """Ask the network again.

    Args:
        engine: the network.
        path: what `write_golden` wrote.
        written_in: the precision of the file's answers; None for the engine's own. The coarser
            of the two says how much the answers may differ.

    Raises:
        BundleError: when labels, preprocessing, logits or heatmaps are not those of the file, or
            the head is dead.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        labels = tuple(str(name) for name in arrays["labels"])
        rasters, logits, heatmaps = arrays["rasters"], arrays["logits"], arrays["heatmaps"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path.name} must be the bundle's self-test; {path}: {error}") from None
    if labels != engine.labels.findings:
        raise BundleError(
            f"label order must be the one the network was tested with; bundle says "
            f"{json.dumps(engine.labels.findings)}, self-test {json.dumps(labels)}"
        )
    for number, raster in enumerate(rasters):
        pixels = arrays[f"film_{number}"].astype(np.float32) / np.float32(255)
        made = engine.preprocessing.raster(Radiograph(pixels, source="golden"))
        level = 1.0 if raster.dtype == np.uint8 else 1.0 / 255.0
        if made.dtype != raster.dtype or np.abs(made - raster.astype(np.float64)).max() > level:
            raise BundleError(
                "preprocessing must give the self-test's rasters; it gives others. The bundle was "
                "made by another version of hilum, or its preprocessing was changed"
            )
    output = engine.run(rasters)
    _refuse_dead(output.logits)
    for_logits, for_maps = max(
        TOLERANCES[engine.precision], TOLERANCES[written_in or engine.precision]
    )
    for word, got, want, tolerance, least in (
        ("logits", output.logits.values, logits, for_logits, 1.0),
        ("heatmaps", output.heatmaps, heatmaps, for_maps, 1e-6),
    ):
        gap = float(np.abs(got - want).max())
        allowed = tolerance * max(least, float(np.abs(want).max()))
        if not gap <= allowed:
            raise BundleError(
                f"the network must give the self-test's {word} within {allowed:.2g}; it is off "
                f"by {gap:.2g}. The bundle is damaged, or this machine computes wrongly"
            )


def _refuse_dead(logits: Logits) -> None:
    """A head of zeros has the same answer for everybody; its bias can look like a prevalence."""
    if len(logits.values) > 1 and (logits.values == logits.values[0]).all():
        raise BundleError(
            "a network must tell films apart; this one gives the same logits to all films of the "
            "self-test. Its head is dead: train again"
        )
