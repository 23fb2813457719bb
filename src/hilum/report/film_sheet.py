"""One film on one sheet of paper: PDF with film, map, scores, sentences and notice.

Drawn by matplotlib, whose letters are its own DejaVu Sans, so a sheet is the same on every machine.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import ImageResult
from hilum.domain.findings import display_name
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.results import BatchResults
from hilum.report.parts.score_bars import ODDS_AT_END, position
from hilum.report.parts.score_text import headline, measured, score_sentence
from hilum.report.parts.scores import FindingScore, ScoreGroup, scores_of
from hilum.report.parts.text import EVIDENCE, REASONS, evaluation_headline, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_film_sheet"]

_INK, _MUTED, _LINE, _ACCENT, _BAR, _TRACK, _BAND = (
    *("#15191e", "#58616b", "#d8dde2", "#b0380b", "#8b97a3", "#e9ecef", "#b9c2cb"),
)
_WIDTH, _HEIGHT = 8.27, 11.69
"""A4 in inches."""
_LEFT, _RIGHT = 0.6, 7.67
_ROW = 0.205
"""Inches of a row of the table."""

Pictures = Callable[[str], bytes | None]


def write_film_sheet(
    result: ImageResult, batch: BatchResults, picture: Pictures, path: Path
) -> None:
    """Write the sheet of a film; the same result and pictures give the same bytes.

    Args:
        result: of the film.
        batch: for its labels and bundle.
        picture: gives the bytes of a picture, by its path below the output folder; None where it
            is missing.
        path: the PDF.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    settings = {"pdf.fonttype": 42, "font.family": "DejaVu Sans", "text.parse_math": False}
    with mpl.rc_context(settings):  # pyright: ignore[reportArgumentType]
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        canvas = FigureCanvasPdf(figure)
        page = _Page(figure)
        scores = scores_of(result, batch.labels)
        _head(page, result, scores, batch)
        _pictures(page, result, scores, picture)
        _reasons(page, result)
        if scores:
            _table(page, scores, batch)
        _foot(page, result, batch)
        nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
        title = {"Title": f"hilum: {_drawable(shown(result.image_id))}", "Subject": NOT_A_DEVICE}
        canvas.print_pdf(path, metadata={**nothing, **title})


@dataclass
class _Page:
    """A sheet that is filled from the top; `y` is in inches from the lower edge."""

    figure: Figure
    y: float = _HEIGHT - 0.45

    def text(self, x: float, words: str, size: float = 8.5, **style: str) -> None:
        """Draw a line with its top at `y`."""
        drawn = self.figure.text(x / _WIDTH, self.y / _HEIGHT, _drawable(words), fontsize=size)
        drawn.update({"color": _INK, "va": "top", **style})

    def lines(self, words: str, size: float, width: int, **style: str) -> None:
        """Draw a paragraph at the left margin, and go on below it."""
        for line in textwrap.wrap(words, width) or [""]:
            self.text(_LEFT, line, size, **style)
            self.y -= size * 1.35 / 72

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Return axes without a frame, placed in inches."""
        box = (left / _WIDTH, bottom / _HEIGHT, width / _WIDTH, height / _HEIGHT)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        return axes


@cache
def _letters() -> frozenset[int]:
    """Return the characters that the font has."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


def _drawable(words: str) -> str:
    r"""Return a text with what the font lacks written out.

    >>> print(_drawable("a 胸.png"))
    a \u80f8.png
    """
    known = _letters()
    return "".join(letter if ord(letter) in known else f"\\u{ord(letter):04x}" for letter in words)


def _head(
    page: _Page, result: ImageResult, scores: Sequence[FindingScore], batch: BatchResults
) -> None:
    page.text(_LEFT, NOT_A_DEVICE, 7.5, weight="bold")
    page.y -= 0.3
    name = shown(result.image_id)
    page.text(_LEFT, name if len(name) < 70 else f"{name[:69]}…", 14, weight="bold")
    page.y -= 0.28
    found = bool(result.positives)
    line = headline(result, scores)
    page.lines(line, 10, 90, color=_ACCENT if found else _INK, weight="bold" if found else "normal")
    facts = [f"status {result.status}", f"view {result.view.value}"]
    facts += [f"patient {shown(result.patient)}"] if result.patient else []
    bundle = batch.bundle
    facts.append(f"bundle {shown(bundle.name)} {shown(bundle.id)}, {shown(bundle.precision)}")
    page.lines(" · ".join(facts), 8, 120, color=_MUTED)
    page.y -= 0.08


def _pictures(
    page: _Page, result: ImageResult, scores: Sequence[FindingScore], picture: Pictures
) -> None:
    """Draw the film and, beside it, the map of the first score that has one."""
    film = _pixels(picture(result.film)) if result.film else None
    first = next(
        (one for one in scores if one.name in result.maps or one.name in result.heatmaps), None
    )
    if film is None and first is None:
        return
    side = 3.45
    bottom = page.y - side
    if film is not None:
        _show(page.axes(_LEFT, bottom, side, side), film)
    caption = ""
    if first is not None:
        beside = page.axes(_RIGHT - side, bottom, side, side)
        own, layer = result.heatmaps.get(first.name, ""), result.maps.get(first.name, "")
        _show(beside, _pixels(picture(own)) if own else film, _pixels(picture(layer)))
        regions = ", ".join(first.result.regions) or "no region raised the score"
        caption = f"{display_name(first.name)}: {regions}. {EVIDENCE}"
    page.y = bottom - 0.06
    page.text(_LEFT, "Film" if film is not None else "", 8, color=_MUTED)
    for line in textwrap.wrap(caption, 62):
        page.text(_RIGHT - side, line, 7.5, color=_MUTED)
        page.y -= 0.145
    page.y -= 0.1


def _show(
    axes: Axes, film: NDArray[np.uint8] | None, layer: NDArray[np.uint8] | None = None
) -> None:
    """Draw a picture, and a map over its whole extent."""
    if film is None:
        return
    rows, columns = film.shape[:2]
    extent = (0.0, float(columns), float(rows), 0.0)
    axes.imshow(film, cmap="gray", vmin=0, vmax=255, extent=extent)
    if layer is not None:
        axes.imshow(layer, extent=extent, interpolation="bilinear")


def _pixels(data: bytes | None) -> NDArray[np.uint8] | None:
    if data is None:
        return None
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))


def _reasons(page: _Page, result: ImageResult) -> None:
    for code in result.codes:
        page.lines(f"{REASONS[code]} ({code})", 8, 110)
    if result.message:
        page.lines(f"Detail: {shown(result.message)}", 8, 110, color=_MUTED)


def _table(page: _Page, scores: Sequence[FindingScore], batch: BatchResults) -> None:
    page.text(_LEFT, "Calibrated probabilities", 8.5, weight="bold")
    middle = _BARS + _BAR_WIDTH / 2
    page.text(_BARS, f"÷ {ODDS_AT_END:.0f}", 6.5, color=_MUTED)
    page.text(middle, "threshold (odds)", 6.5, color=_MUTED, ha="center")
    page.text(_BARS + _BAR_WIDTH, f"× {ODDS_AT_END:.0f}", 6.5, color=_MUTED, ha="right")
    page.y -= _ROW
    group = None
    for score in scores:
        if score.group is not group:
            group = score.group
            page.text(_LEFT, group.value.capitalize(), 7.5, color=_MUTED)
            page.y -= 0.17
        positive = score.group is ScoreGroup.ABOVE
        style = {"color": _ACCENT, "weight": "bold"} if positive else {}
        sign = "▲ " if positive else "   "
        mark = "" if score.result.calibrated else " (not calibrated)"
        page.text(_LEFT, f"{sign}{display_name(score.name)}{mark}", 8, **style)
        page.text(_BARS + _BAR_WIDTH + 0.15, score_sentence(score), 8, **style)
        if score.margin is not None:
            _bar(page, score.margin, positive)
        page.y -= _ROW
        if words := measured(batch.bundle.evaluation, score):
            page.y += 0.04
            page.text(_LEFT + 0.17, words, 7, color=_MUTED)
            page.y -= 0.17


_BARS, _BAR_WIDTH = 2.35, 2.1


def _bar(page: _Page, margin: float, positive: bool) -> None:
    axes = page.axes(_BARS, page.y - 0.13, _BAR_WIDTH, 0.12)
    axes.set_xlim(0.0, 100.0)
    axes.set_ylim(0.0, 1.0)
    end = position(margin)
    axes.barh(0.5, 100.0, 0.55, color=_TRACK)
    axes.barh(0.5, end - 50.0, 0.55, left=50.0, color=_ACCENT if positive else _BAR)
    axes.plot([50.0, 50.0], [0.0, 1.0], color=_INK, linewidth=1.0)


def _foot(page: _Page, result: ImageResult, batch: BatchResults) -> None:
    """Draw what the numbers rest on, and the notice, at the lower edge."""
    words = evaluation_headline(batch.bundle.evaluation)
    sides = (
        "Frontal by its header: the left of the picture is the patient's right, as such films are "
        "usually stored. "
        if result.view.frontal
        else ""
    )
    lines = textwrap.wrap(f"{sides}{words}", 130)
    page.y = min(page.y - 0.1, 0.62 + 0.13 * len(lines))
    for line in lines:
        page.text(_LEFT, line, 7, color=_MUTED)
        page.y -= 0.13
    page.y = 0.42
    page.text(_LEFT, NOT_A_DEVICE, 7.5, weight="bold")
