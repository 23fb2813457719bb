"""Words on pictures: one typeface, anti-aliased, wrapped to the width there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Colour", "TextLine", "line_height", "text_width", "wrapped", "write"]

Colour = tuple[int, int, int]
"""Red, green and blue, each 0 to 255."""

_LEADING = 1.32
"""Distance of two lines, in sizes of the type."""


@dataclass(frozen=True)
class TextLine:
    """A line of text.

    Attributes:
        text: in ASCII, which is what the typeface has.
        size: of the type, in pixels.
        colour: of the letters.
    """

    text: str
    size: int
    colour: Colour


@cache
def _face(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface (Aileron): the same letters on every machine."""
    face = ImageFont.load_default(size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise TypeError("Pillow must have been built with FreeType, as its wheels are")
    return face


def line_height(size: int) -> int:
    """Rows that a line of this size takes."""
    return round(_LEADING * size)


@cache
def text_width(text: str, size: int) -> int:
    """Columns that a text takes.

    >>> text_width("Effusion", 20) > text_width("Mass", 20)
    True
    """
    return int(np.ceil(_face(size).getlength(text)))


def wrapped(lines: Sequence[TextLine], width: int) -> list[TextLine]:
    """The lines broken between words, so that none is wider than `width`.

    A word that is too wide by itself stays whole.

    >>> [line.text for line in wrapped([TextLine("one two three", 10, (0, 0, 0))], 45)]
    ['one two', 'three']
    """
    broken: list[TextLine] = []
    for line in lines:
        taken = ""
        for word in line.text.split():
            longer = f"{taken} {word}".strip()
            if taken and text_width(longer, line.size) > width:
                broken.append(TextLine(taken, line.size, line.colour))
                longer = word
            taken = longer
        broken.append(TextLine(taken, line.size, line.colour))
    return broken


def write(picture: NDArray[np.uint8], line: TextLine, top: int, left: int) -> None:
    """Draw a line of text into a picture; what does not fit is cut off.

    Args:
        picture: (H, W, 3) uint8, changed in place.
        line: what to write.
        top: row that the line begins at.
        left: column that it begins at.
    """
    bottom = min(picture.shape[0], top + line_height(line.size))
    if bottom <= top or not line.text:
        return
    # only the rows that are written on go through Pillow and back
    strip = Image.fromarray(picture[top:bottom])
    ascent, descent = _face(line.size).getmetrics()
    middle = (bottom - top - ascent - descent) // 2
    ImageDraw.Draw(strip).text((left, middle), line.text, line.colour, _face(line.size))
    picture[top:bottom] = np.asarray(strip)
