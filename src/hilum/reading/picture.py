"""A heatmap to draw on the film that was read last, and the request for a picture of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, TypeAdapter

from hilum.confined.frames import Frame
from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style
from hilum.interchange import Sheet
from hilum.reading.requests import Request

__all__ = ["Picture", "sheet_request"]

_SIDES = TypeAdapter[tuple[PositiveInt, PositiveInt]](tuple[PositiveInt, PositiveInt])


@dataclass(frozen=True)
class Picture:
    """A heatmap to draw on the film that was read last.

    Attributes:
        cells: (h, w) float32, over the network's square.
        caption, style, panel: as in `hilum.explain.picture.render`.
        stored: the format of the file.
    """

    cells: NDArray[np.float32]
    caption: Caption
    style: Style
    panel: bool
    stored: PictureFormat

    @property
    def head(self) -> dict[str, Any]:
        """Head of the request to draw it."""
        return {
            "do": "draw",
            "cells": self.cells.shape,
            "caption": vars(self.caption),
            "style": self.style.value,
            "panel": self.panel,
            "stored": self.stored.value,
        }

    @property
    def data(self) -> memoryview:
        """The cells as the request carries them: float32, row by row."""
        return np.ascontiguousarray(self.cells, np.float32).data


def sheet_request(picture: Picture, longest: int) -> Request[Sheet]:
    """Return the request to draw a picture no side of which is longer than `longest` pixels.

    What is to be stored as PNG comes back as pixels: nothing is decoded in this process.
    """
    jpeg = picture.stored is PictureFormat.JPEG

    def result(answer: Frame) -> Sheet:
        (file,) = answer.blobs
        rows, columns = _SIDES.validate_python(answer.head.get("shape"))
        if max(rows, columns) > longest or (not jpeg and len(file) != 3 * rows * columns):
            raise ValueError("a sheet must have the size that was requested")
        return Sheet(rows, columns, bytes(file), jpeg)

    return Request({**picture.head, "longest": longest}, result, [picture.data])
