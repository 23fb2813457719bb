"""The request to draw a heatmap on the film that was read last, for a file of another kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import PositiveInt, TypeAdapter

from hilum.confined.frames import Frame
from hilum.explain.files import PictureFormat
from hilum.reading.process import Picture
from hilum.reading.requests import Request

__all__ = ["DrawnSheet", "sheet_request"]

_SIDES = TypeAdapter[tuple[PositiveInt, PositiveInt]](tuple[PositiveInt, PositiveInt])


@dataclass(frozen=True, eq=False)
class DrawnSheet:
    """A picture that a reader drew, to be filed elsewhere.

    Attributes:
        rows, columns: of the picture.
        data: RGB pixels, row by row, or a JPEG file.
        jpeg: whether it is a JPEG file.
    """

    rows: int
    columns: int
    data: bytes
    jpeg: bool


def sheet_request(picture: Picture, longest: int) -> Request[DrawnSheet]:
    """Return the request to draw a picture no side of which is longer than `longest` pixels.

    What is to be stored as PNG comes back as pixels: nothing is decoded in this process.
    """
    jpeg = picture.stored is PictureFormat.JPEG

    def result(answer: Frame) -> DrawnSheet:
        (file,) = answer.blobs
        rows, columns = _SIDES.validate_python(answer.head.get("shape"))
        if max(rows, columns) > longest or (not jpeg and len(file) != 3 * rows * columns):
            raise ValueError("a sheet must have the size that was requested")
        return DrawnSheet(rows, columns, bytes(file), jpeg)

    head = {
        "do": "draw",
        "cells": picture.cells.shape,
        "caption": vars(picture.caption),
        "style": picture.style.value,
        "panel": picture.panel,
        "stored": picture.stored.value,
        "longest": longest,
    }
    return Request(head, result, [np.ascontiguousarray(picture.cells, np.float32).data])
