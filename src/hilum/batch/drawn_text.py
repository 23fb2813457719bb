"""How much of drawn text the detector finds: measured whenever it is relied on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from hilum.imaging.burned_text import Box, has_text, text_boxes
from hilum.phantom.film import draw_example

__all__ = ["DrawnText", "TextRecall", "measure_recall", "recall_lines"]

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmtt10")
SIZES = (12, 16, 22, 30, 42)
"""Heights of the letters' line, in pixels of a film of 1,024."""
PLACES = ("top left", "top right", "bottom left", "bottom right", "over lung")
INKS = ("white", "white", "black", "white on black", "faint")
_WORDS = (
    *("DOE^JANE", "MUSTERMANN, ERIKA", "PID 0081-7724", "13.05.1947 F", "St. Anna Hospital"),
    *("Dr. K. Yamada", "ACC 20199931", "SMITH JOHN 72Y", "2019-04-03 14:22", "Mueller, J."),
)
_SIDE = 1024
_VISIBLE = 0.25
"""Least difference, of the gray scale, between a text and what is behind it."""
_FAINT = 0.3
"""Difference of a faint text."""
_COVERED = 0.95
"""Share of a text's ink that must be blacked out for it to be found."""


@dataclass(frozen=True, eq=False)
class DrawnText:
    """A film with a line of text on it.

    Attributes:
        film: (H, W) in [0, 1].
        ink: (H, W), where the text is.
        size: of the letters.
        place: where it stands, such as "over lung".
    """

    film: NDArray[np.float32]
    ink: NDArray[np.bool_]
    size: int
    place: str


@dataclass(frozen=True)
class TextRecall:
    """Share of drawn texts that were found.

    Attributes:
        texts: how many were drawn, one on each film.
        found: how many are blacked out, by at least 95 % of their ink.
        gate: how many the gate's rule saw.
        missed: size or place to how many were not found there.
        blackened: mean share of a film without text that is blacked out all the same.
    """

    texts: int
    found: int
    gate: int
    missed: dict[str, int]
    blackened: float


def measure_recall(texts: int = 50, seed: int = 0, films: int = 2) -> TextRecall:
    """Draw texts on drawn films and look how many are found.

    Args:
        texts: to draw.
        seed: of the films and texts.
        films: drawn, each with several texts in turn.
    """
    rng = np.random.default_rng(seed)
    plain = [draw_example(None, seed + one, _SIDE).pixels for one in range(films)]
    found = gate = 0
    missed: Counter[str] = Counter()
    for number in range(texts):
        drawn = draw_text(plain[number % films], number, rng)
        gate += has_text(drawn.film)
        if covered(drawn.ink, text_boxes(drawn.film)):
            found += 1
        else:
            missed.update((f"{drawn.size} px", drawn.place))
    blackened = float(np.mean([_share(text_boxes(film), film.shape) for film in plain]))
    return TextRecall(texts, found, gate, dict(missed), blackened)


def recall_lines(recall: TextRecall) -> tuple[str, str]:
    """Return the measurement as two lines: of the rule that blocks, and of the one that cleans.

    >>> for line in recall_lines(TextRecall(60, 57, 40, {"12 px": 3}, 0.01)): print(line)
    burned-in text: the gate, which blocks a film, sees 40 of 60 drawn texts (67 %, 95 % interval 53
    to 78); the others would leave. Look at what you export
    burned-in text: --clean-pixels blacks out 57 of 60 drawn texts (95 %, 95 % interval 86 to 99;
    missed: 12 px 3), and 1.0 % of a film without text. Drawn films, not yours
    """
    missed = ", ".join(f"{words} {count}" for words, count in sorted(recall.missed.items()))
    return (
        f"burned-in text: the gate, which blocks a film, sees {_rate(recall.gate, recall.texts)}); "
        "the others would leave. Look at what you export",
        f"burned-in text: --clean-pixels blacks out {_rate(recall.found, recall.texts)}"
        f"{f'; missed: {missed}' if missed else ''}), and {100 * recall.blackened:.1f} % of a film "
        "without text. Drawn films, not yours",
    )


def _rate(found: int, texts: int) -> str:
    from scipy.stats import binomtest

    bounds = binomtest(found, texts).proportion_ci(0.95, "exact")
    return (
        f"{found} of {texts} drawn texts ({100 * found / texts:.0f} %, 95 % interval "
        f"{100 * bounds.low:.0f} to {100 * bounds.high:.0f}"
    )


def covered(ink: NDArray[np.bool_], boxes: tuple[Box, ...]) -> bool:
    """Return whether boxes cover a text."""
    left = ink.copy()
    for box in boxes:
        left[box.top : box.bottom, box.left : box.right] = False
    return int(left.sum()) <= (1.0 - _COVERED) * int(ink.sum())


def draw_text(film: NDArray[np.float32], number: int, rng: np.random.Generator) -> DrawnText:
    """Draw a line of text: sizes and places in turn, the rest at random.

    Args:
        film: (H, W) in [0, 1].
        number: of the text.
        rng: of font, words, ink and the exact place.
    """
    from PIL import Image, ImageDraw, ImageFont

    size, place = SIZES[number % len(SIZES)], PLACES[number // len(SIZES) % len(PLACES)]
    scaled = max(8, round(size * max(film.shape) / _SIDE))
    name = FONTS[int(rng.integers(len(FONTS)))]
    path = files("matplotlib").joinpath("mpl-data", "fonts", "ttf", f"{name}.ttf")
    words, style = _WORDS[int(rng.integers(len(_WORDS)))], INKS[int(rng.integers(len(INKS)))]
    picture = Image.fromarray(np.zeros(film.shape, np.uint8))
    pen = ImageDraw.Draw(picture)
    with as_file(path) as file:
        font = ImageFont.truetype(str(file), scaled)
    _, _, width, height = pen.textbbox((0, 0), words, font=font)
    at = _corner(place, film.shape, (round(height), round(width)), rng)
    pen.text(at, words, 255, font=font)
    ink = np.asarray(picture, np.float32) / 255.0
    made = film.copy()
    if style == "white on black":
        left, top = at
        made[
            max(0, top - 4) : top + round(height) + 4, max(0, left - 6) : left + round(width) + 6
        ] = 0
    behind = float(made[ink > 0.5].mean())
    level = {"black": 0.0, "faint": behind + _FAINT}.get(style, 1.0)
    if abs(level - behind) < _VISIBLE or level > 1.0:
        level = behind - _FAINT if style == "faint" else 1.0 - level
    made = made * (1.0 - ink) + level * ink
    return DrawnText(np.asarray(made, np.float32), ink > 0.5, size, place)


def _corner(
    place: str, shape: tuple[int, ...], text: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    rows, columns = shape
    margin = int(rng.integers(2, 40))
    left, top = margin, margin
    if place == "over lung":
        left = int(rng.uniform(0.12, 0.6) * columns)
        top = int(rng.uniform(0.3, 0.65) * rows)
    if "right" in place:
        left = columns - text[1] - margin
    if "bottom" in place:
        top = rows - text[0] - margin
    return max(0, min(left, columns - text[1])), max(0, min(top, rows - text[0]))


def _share(boxes: tuple[Box, ...], shape: tuple[int, ...]) -> float:
    black = np.zeros(shape, bool)
    for box in boxes:
        black[box.top : box.bottom, box.left : box.right] = True
    return float(black.mean())
