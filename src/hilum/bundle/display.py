"""A film and its analysis shown to whoever works in Python: as one line, or as HTML."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.analysis import Analysis
from hilum.domain.documents.results import FindingResult
from hilum.domain.findings import display_name
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.radiograph import Radiograph

__all__ = ["line", "to_html"]

_SIDE = 288
"""Pixels of the longer side of a picture: both together stay below 200 kB."""
_QUALITY = 82
_NAME_AT_MOST = 60
_POSITIVE, _OTHER = "#d9480f", "#4a7fb5"
"""Bar colors that stand out on white and on black alike."""
_CELL = "padding:1px 8px;text-align:left;border:0;background:transparent;white-space:nowrap"
_QUIET = "opacity:.75;font-size:12px"


def line(film: Radiograph, analysis: Analysis) -> str:
    """Return one line for a `repr`: the film, how many findings are positive, and the top one.

    The top finding is the most probable positive one, else the most probable of all.
    """
    positives = len(analysis.positives)
    count = "1 positive" if positives == 1 else f"{positives or 'no'} positives"
    parts = [repr(_clipped(film.source)), count]
    name = _top(analysis)
    if name is not None:
        parts.append(f"top {name} {_decision(analysis.findings[name])}")
    return f"Prediction({', '.join(parts)})"


def to_html(
    film: Radiograph, analysis: Analysis, heatmap: Callable[[str], NDArray[np.float32]]
) -> str:
    """Return HTML for a notebook: the film, the heatmap of its top finding, and a bar a finding.

    Pictures are inside, no script is, and every name is escaped. It reads on a light and on a dark
    page, since text keeps the page's own color.

    Args:
        film: the film.
        analysis: what was found on it.
        heatmap: gives the (H, W) map of a finding on the film.
    """
    small = _reduced(film)
    pictures = [_figure(_gray(small), "Film", "the film")]
    name = _top(analysis)
    if name is not None:
        pictures.append(_explained(small, heatmap(name), name))
    rows = "".join(_row(found, analysis.findings[found]) for found in _ordered(analysis))
    marked = any(not finding.calibrated for finding in analysis.findings.values())
    notes = [
        "Bar: probability. Tick: threshold." + (" *: not calibrated." if marked else ""),
        NOT_A_DEVICE,
    ]
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.4">'
        f"<div><b>{escape(_clipped(film.source))}</b> {_about(film, analysis)}</div>"
        '<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start;margin:6px 0">'
        f'{"".join(pictures)}<table style="border-collapse:collapse;margin:0;font:inherit;'
        f'color:inherit">{rows}</table></div>'
        + "".join(f'<div style="{_QUIET}">{escape(note)}</div>' for note in notes)
        + "</div>"
    )


def _clipped(name: str) -> str:
    return name if len(name) <= _NAME_AT_MOST else f"{name[: _NAME_AT_MOST - 1]}…"


def _ordered(analysis: Analysis) -> list[str]:
    """Positive findings first, each group with the most probable first."""
    found = analysis.findings
    return sorted(found, key=lambda name: (not found[name].positive, -found[name].probability))


def _top(analysis: Analysis) -> str | None:
    return next(iter(_ordered(analysis)), None)


def _decision(finding: FindingResult) -> str:
    if finding.threshold is None:
        return f"{finding.probability:.2f}, no threshold"
    sign = ">=" if finding.positive else "<"
    near = abs(finding.probability - finding.threshold) < 0.01
    digits = 4 if near else 2  # "0.03 < 0.03" would puzzle
    return f"{finding.probability:.{digits}f} {sign} {finding.threshold:.{digits}f}"


def _about(film: Radiograph, analysis: Analysis) -> str:
    """What is known of the film, beside its name."""
    rows, columns = film.shape
    words = [f"{columns} × {rows} px", *(code.value for code in analysis.codes)]
    return f'<span style="{_QUIET}">{escape(" · ".join(words))}</span>'


def _reduced(film: Radiograph) -> Radiograph:
    """The film at the size of a picture; one that is small already is not enlarged."""
    import cv2

    return Radiograph(_shrunk(film.pixels, cv2.INTER_AREA), source=film.source, view=film.view)


def _shrunk(pixels: NDArray[np.float32], how: int) -> NDArray[np.float32]:
    import cv2

    rows, columns = pixels.shape
    shrink = min(1.0, _SIDE / max(rows, columns))
    size = (max(1, round(columns * shrink)), max(1, round(rows * shrink)))
    if shrink == 1.0:
        return pixels
    smaller = np.asarray(cv2.resize(pixels, size, interpolation=how), np.float32)
    return smaller.clip(0.0, pixels.max())


def _gray(film: Radiograph) -> NDArray[np.uint8]:
    from hilum.explain.overlay import grays

    return grays(film)


def _explained(film: Radiograph, heatmap: NDArray[np.float32], name: str) -> str:
    """The film with the heatmap of a finding, and what it is."""
    import cv2

    from hilum.explain.overlay import overlay

    drawn = overlay(film, _shrunk(heatmap, cv2.INTER_AREA))
    shown = display_name(name)
    words = f"No region raised {shown}" if drawn.empty else f"Regions that raised {shown}"
    return _figure(drawn.rgb, f"{words} (evidence, not the location of disease)", words)


def _figure(pixels: NDArray[np.uint8], caption: str, alt: str) -> str:
    from hilum.explain.files import jpeg_bytes

    data = base64.b64encode(jpeg_bytes(pixels, _QUALITY)).decode("ascii")
    rows, columns = pixels.shape[:2]
    return (
        f'<figure style="margin:0;width:{columns}px;max-width:100%">'
        f'<img alt="{escape(alt)}" width="{columns}" height="{rows}" '
        f'style="display:block;max-width:100%" src="data:image/jpeg;base64,{data}">'
        f'<figcaption style="{_QUIET}">{escape(caption)}</figcaption></figure>'
    )


def _row(name: str, finding: FindingResult) -> str:
    """One finding: its name, a bar with the threshold's tick, and the numbers."""
    weight = "font-weight:700" if finding.positive else "font-weight:400"
    color = _POSITIVE if finding.positive else _OTHER
    threshold = finding.threshold
    tick = (
        ""
        if threshold is None
        else f'<span style="position:absolute;left:calc({100 * threshold:.2f}% - 1px);top:-2px;'
        'bottom:-2px;width:2px;background:currentColor"></span>'
    )
    bar = (
        '<span style="position:relative;display:inline-block;width:160px;height:9px;'
        'background:rgba(128,128,128,.25)">'
        f'<span style="position:absolute;left:0;top:0;bottom:0;background:{color};'
        f'width:{100 * finding.probability:.2f}%"></span>{tick}</span>'
    )
    mark = "" if finding.calibrated else "*"
    cells = (
        escape(f"{display_name(name)}{mark}"),
        bar,
        escape(_decision(finding).replace(">=", "≥")),
    )
    inside = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="{weight}">{inside}</tr>'
