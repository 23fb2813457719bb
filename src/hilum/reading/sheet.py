"""The request to draw a heatmap on the film that was read last, for a file of another kind."""

from __future__ import annotations

from pydantic import PositiveInt, TypeAdapter

from hilum.confined.frames import Frame
from hilum.explain.files import PictureFormat
from hilum.interchange import Sheet
from hilum.reading.picture import Picture
from hilum.reading.requests import Request

__all__ = ["sheet_request"]

_SIDES = TypeAdapter[tuple[PositiveInt, PositiveInt]](tuple[PositiveInt, PositiveInt])


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
