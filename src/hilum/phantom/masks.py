"""Where findings were drawn, as a table beside the films: what maps can be trained by."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError

__all__ = ["CELLS", "HEADER", "MASKS", "mask_lines", "read_masks"]

MASKS = "drawn_masks.csv"
"""Name of the table in a corpus's folder."""
CELLS = 32
"""Cells of a mask in each direction."""
HEADER = "Image Index,Finding Label,Cells"


def mask_lines(image_id: str, masks: Mapping[str, NDArray[np.bool_]]) -> Iterator[str]:
    """Yield a line for each finding of a film: its cells, row by row, as hexadecimal digits.

    A cell belongs to the finding where the mask covers half of it, or as much as it covers of any.

    Args:
        image_id: the film's name.
        masks: finding to (H, W) where it was drawn.

    Example:
        >>> mask = np.zeros((64, 64), bool)
        >>> mask[:2, :8] = True
        >>> next(mask_lines("a.png", {"Mass": mask}))[:20]
        'a.png,Mass,f00000000'
    """
    for finding, mask in masks.items():
        cover = cv2.resize(mask.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        cells = (cover >= min(0.5, float(cover.max()))) & (cover > 0.0)
        yield f"{image_id},{finding},{np.packbits(cells).tobytes().hex()}"


def read_masks(path: Path) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return by film and finding the (32, 32) cells where it was drawn.

    Raises:
        DatasetError: for a table that is missing, or is not one of these.
    """
    found: dict[str, dict[str, NDArray[np.bool_]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                bits = np.frombuffer(bytes.fromhex(row["Cells"]), np.uint8)
                cells = np.unpackbits(bits).reshape(CELLS, CELLS).astype(bool)
                found.setdefault(row["Image Index"], {})[row["Finding Label"]] = cells
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"masks must be a table that `hilum phantom nih` wrote, with {HEADER}; {path} is none "
            f"({type(error).__name__}). Draw the corpus again"
        ) from None
    return found
