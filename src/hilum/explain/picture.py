"""Pictures of a heatmap: on the film, beside it, or film, map and both; each with its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.domain.radiograph import Radiograph
from hilum.explain.caption import Caption
from hilum.explain.overlay import grays, hatch_unseen, is_empty, levels, overlay
from hilum.explain.ramp import LEVELS, Style, ramp

__all__ = ["Color", "TextLine", "line_height", "render", "text_width", "wrapped", "write"]

_GROUND = 15
_BRIGHT: Color = (238, 240, 242)
_MUTED: Color = (162, 168, 175)
_TILE = (448, 1024)
"""Least and most pixels of a tile's longer side: words stay readable, files stay small."""
_NOTHING = ("Empty heatmap", "no region raised the score")
_STRIP_SHARE = 0.2
"""Most of an overlay's height that its words may cover."""


def render(
    film: Radiograph,
    heatmap: NDArray[np.float32],
    style: Style = Style.PLASMA,
    caption: Caption | None = None,
    panel: bool = False,
    seen: tuple[int, int, int, int] | None = None,
) -> NDArray[np.uint8]:
    """Draw a film and one of its heatmaps.

    Without `panel`, every style but the triptych gives the overlay at the film's own size, its
    words on a dark strip along the lower edge. A panel (film, overlay) or a triptych (film, map,
    overlay) has its words around the tiles, which are at most 1024 px long.

    Args:
        film: the film, (H, W).
        heatmap: (H, W) float32, finite, >= 0, at the film's size. An empty one is marked as empty.
        style: how to draw.
        caption: the words; None for an overlay without any. A panel or triptych needs them.
        panel: film and overlay side by side; a triptych is as it is.
        seen: top, left, height and width of the part of the film that the network saw; what lies
            outside is hatched. None for all of it.

    Returns:
        (rows, columns, 3) uint8, RGB. The same input gives the same picture.

    Raises:
        ValueError: for a map that does not fit the film or is no map, or tiles without a caption.

    Example:
        >>> film = Radiograph(np.full((300, 200), 0.5, np.float32), source="a.png")
        >>> heat = np.ones((300, 200), np.float32)
        >>> render(film, heat, caption=Caption("Mass", 0.73, 0.41)).shape
        (300, 200, 3)
        >>> render(film, heat, Style.TRIPTYCH, Caption("Mass", 0.73, 0.41)).shape[1] > 3 * 200
        True
    """
    if not panel and style is not Style.TRIPTYCH:
        drawn = overlay(film, heatmap, style)
        if seen is not None:
            hatch_unseen(drawn.rgb, seen)
        if caption is not None:
            _write_strip(drawn.rgb, caption.short(drawn.empty))
        return drawn.rgb
    if caption is None:
        raise ValueError("a panel or triptych must have a caption; got None")
    rows = film.shape[0]
    film, heatmap = _fitted(film, heatmap)
    drawn = overlay(film, heatmap, style)
    if seen is not None:
        top, left, height, width = (round(part * film.shape[0] / rows) for part in seen)
        hatch_unseen(drawn.rgb, (top, left, height, width))
    tiles = [_Tile("Film", _three(grays(film)))]
    if style is Style.TRIPTYCH:
        tiles.append(_Tile("Heatmap", _map_alone(heatmap, style)))
    tiles.append(_Tile("Film and heatmap", drawn.rgb))
    return _laid_out(tiles, style, caption, drawn.empty)


@dataclass(frozen=True, eq=False)
class _Tile:
    name: str
    rgb: NDArray[np.uint8]


def _three(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) values in each of three channels."""
    import cv2

    return np.asarray(cv2.cvtColor(values, cv2.COLOR_GRAY2RGB), np.uint8)


def _map_alone(heatmap: NDArray[np.float32], style: Style) -> NDArray[np.uint8]:
    """Return the map without the film; one that is empty says so."""
    import cv2

    tile = np.asarray(cv2.LUT(_three(levels(heatmap)), ramp(style)[None]), np.uint8)
    if is_empty(heatmap):
        rows, columns = heatmap.shape
        size = int(np.clip(columns / 24, 11, 22))
        words = wrapped([TextLine(text, size, _MUTED) for text in _NOTHING], columns - size)
        top = (rows - len(words) * line_height(size)) // 2
        for number, line in enumerate(words):
            left = max(0, (columns - text_width(line.text, size)) // 2)
            write(tile, line, top + number * line_height(size), left)
    return tile


def _write_strip(rgb: NDArray[np.uint8], words: str) -> None:
    """Write text on a darkened strip along the lower edge; the film shines through it."""
    rows, columns = rgb.shape[:2]
    size = int(np.clip(columns / 68, 9, 24))
    margin = max(3, size // 2)
    lines = wrapped([TextLine(words, size, _BRIGHT)], columns - 2 * margin)
    lines = lines[: max(1, int(_STRIP_SHARE * rows) // line_height(size))]
    top = max(0, rows - len(lines) * line_height(size) - margin)
    rgb[top:] = rgb[top:] >> 2
    for number, line in enumerate(lines):
        write(rgb, line, top + margin // 2 + number * line_height(size), margin)


def _fitted(
    film: Radiograph, heatmap: NDArray[np.float32]
) -> tuple[Radiograph, NDArray[np.float32]]:
    """Film and map at a size to be looked at."""
    import cv2

    side = max(film.shape)
    scale = float(np.clip(side, *_TILE)) / side
    if scale == 1.0 or heatmap.shape != film.shape:
        return film, heatmap
    size = (max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    pixels = np.clip(cv2.resize(film.pixels, size, interpolation=way), 0.0, 1.0)
    heat = cv2.resize(heatmap, size, interpolation=cv2.INTER_LINEAR)
    return Radiograph(np.asarray(pixels, np.float32), film.source), np.asarray(heat, np.float32)


def _laid_out(tiles: list[_Tile], style: Style, caption: Caption, empty: bool) -> NDArray[np.uint8]:
    """Title, tiles with their names, the scale of colors, and what the map is not."""
    rows, columns = tiles[0].rgb.shape[:2]
    size = int(np.clip(max(rows, columns) / 50, 12, 20))
    gap = 2 * size
    width = max(len(tiles) * columns + (len(tiles) + 1) * gap, 30 * size)
    head = [TextLine(caption.title, 2 * size, _BRIGHT), TextLine(caption.decision, size, _MUTED)]
    foot = wrapped(
        [TextLine(text, size, _MUTED) for text in caption.long(style, empty)], width - 2 * gap
    )
    above = [line for line in wrapped(head, width - 2 * gap) if line.text]
    first = gap // 2 + sum(line_height(line.size) for line in above) + gap // 2
    last = first + rows + line_height(size) + gap
    height = last + sum(line_height(line.size) for line in foot) + gap // 2
    page = np.full((height, width, 3), _GROUND, np.uint8)
    _write_lines(page, above, gap // 2, gap)
    for number, tile in enumerate(tiles):
        left = gap + number * (columns + gap)
        page[first : first + rows, left : left + columns] = tile.rgb
        write(page, TextLine(tile.name, size, _MUTED), first + rows + size // 3, left)
    if not empty:
        _draw_scale(page, style, size, (first + rows + size // 3, width - gap))
    _write_lines(page, foot, last, gap)
    return page


def _write_lines(page: NDArray[np.uint8], lines: list[TextLine], top: int, left: int) -> None:
    for line in lines:
        write(page, line, top, left)
        top += line_height(line.size)


def _draw_scale(page: NDArray[np.uint8], style: Style, size: int, corner: tuple[int, int]) -> None:
    """Draw the colors from none to most, ending at a (row, column) corner."""
    top, right = corner
    end = right - text_width("most", size)
    start = end - size // 2 - 7 * size
    write(page, TextLine("most", size, _MUTED), top, end)
    write(page, TextLine("none", size, _MUTED), top, start - size // 2 - text_width("none", size))
    level = np.linspace(0, LEVELS - 1, 7 * size).astype(np.intp)
    bar = top + line_height(size) // 2 - size // 4
    page[bar : bar + size // 2, start : start + 7 * size] = ramp(style)[level]


Color = tuple[int, int, int]
"""Red, green and blue, each 0 to 255."""

_LEADING = 1.32
"""Distance of two lines, in sizes of the type."""


@dataclass(frozen=True)
class TextLine:
    """A line of text.

    Attributes:
        text: in ASCII, which is what the typeface has.
        size: of the type, in pixels.
        color: of the letters.
    """

    text: str
    size: int
    color: Color


@cache
def _face(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface (Aileron): the same letters on every machine."""
    face = ImageFont.load_default(size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise TypeError("Pillow must have been built with FreeType, as its wheels are")
    return face


def line_height(size: int) -> int:
    """Return rows that a line of this size takes."""
    return round(_LEADING * size)


@cache
def text_width(text: str, size: int) -> int:
    """Return columns that a text takes.

    >>> text_width("Effusion", 20) > text_width("Mass", 20)
    True
    """
    return int(np.ceil(_face(size).getlength(text)))


def wrapped(lines: Sequence[TextLine], width: int) -> list[TextLine]:
    """Return the lines broken between words, so that none is wider than `width`.

    A word that is too wide by itself stays whole.

    >>> [line.text for line in wrapped([TextLine("one two three", 10, (0, 0, 0))], 45)]
    ['one two', 'three']
    """
    broken: list[TextLine] = []
    for line in lines:
        fitting = ""
        for word in line.text.split():
            longer = f"{fitting} {word}".strip()
            if fitting and text_width(longer, line.size) > width:
                broken.append(TextLine(fitting, line.size, line.color))
                longer = word
            fitting = longer
        broken.append(TextLine(fitting, line.size, line.color))
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
    ImageDraw.Draw(strip).text((left, middle), line.text, line.color, _face(line.size))
    picture[top:bottom] = np.asarray(strip)
