"""A heatmap to draw on the film that was read last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style

__all__ = ["Picture"]


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
