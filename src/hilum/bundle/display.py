"""How a prediction is shown to whoever works in Python: as a dict, a table, a line, or HTML."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import NOT_A_DEVICE
from hilum.domain.radiograph import Radiograph

if TYPE_CHECKING:
    import pandas as pd

    from hilum.bundle.prediction import Prediction
    from hilum.domain.documents.results import FindingResult

__all__ = ["line", "to_dict", "to_frame", "to_html"]

_SIDE = 288
"""Pixels of the longer side of a picture: both together stay below 200 kB."""
_QUALITY = 82
_NAME_AT_MOST = 60
_POSITIVE, _OTHER = "#d9480f", "#4a7fb5"
"""Bar colors that stand out on white and on black alike."""
_CELL = "padding:1px 8px;text-align:left;border:0;background:transparent;white-space:nowrap"
_QUIET = "opacity:.75;font-size:12px"


def to_dict(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as plain values that JSON can hold; pixels and maps are left out.

    The patient's id is left out too.

    Returns:
        `film`, `sha256`, `shape`, `view`, `status`, `codes`, `precision`, `runtime`, `views`,
        `positives` (most probable first), and `findings`: for each the fields of `FindingResult`.
    """
    film = prediction.film
    return {
        "film": film.source,
        "sha256": film.sha256,
        "shape": list(film.shape),
        "view": film.view.value,
        "status": prediction.status.value,
        "codes": [code.value for code in prediction.codes],
        "precision": str(prediction.precision),
        "runtime": prediction.runtime,
        "views": prediction.views,
        "positives": list(prediction.positives),
        "findings": {
            name: finding.model_dump(mode="json") for name, finding in prediction.findings.items()
        },
    }


def to_frame(prediction: Prediction) -> pd.DataFrame:
    """Return a table with a row for each finding; tables of several films can be concatenated.

    Returns:
        Columns `film`, `finding`, `probability` (float), `threshold` (float, NaN where the bundle
        has none), `positive` (nullable boolean, missing without a threshold), `calibrated`.
    """
    import pandas as pd

    found = prediction.findings
    return pd.DataFrame(
        {
            "film": pd.Series([prediction.film.source] * len(found), dtype="object"),
            "finding": pd.Series(list(found), dtype="object"),
            "probability": pd.Series([f.probability for f in found.values()], dtype="float64"),
            "threshold": pd.Series([f.threshold for f in found.values()], dtype="float64"),
            "positive": pd.Series([f.positive for f in found.values()], dtype="boolean"),
            "calibrated": pd.Series([f.calibrated for f in found.values()], dtype="bool"),
        }
    )


def line(prediction: Prediction) -> str:
    """Return one line for a `repr`: the film, how many findings are positive, and the top one.

    The top finding is the most probable positive one, else the most probable of all.
    """
    positives = len(prediction.positives)
    count = "1 positive" if positives == 1 else f"{positives or 'no'} positives"
    parts = [repr(_clipped(prediction.film.source)), count]
    name = _top(prediction)
    if name is not None:
        parts.append(f"top {name} {_decision(prediction.findings[name])}")
    return f"Prediction({', '.join(parts)})"


def to_html(prediction: Prediction) -> str:
    """Return HTML for a notebook: the film, the heatmap of its top finding, and a bar a finding.

    Pictures are inside, no script is, and every name is escaped. It reads on a light and on a dark
    page, since text keeps the page's own color.
    """
    film = _reduced(prediction.film)
    pictures = [_figure(_gray(film), "Film", "the film")]
    name = _top(prediction)
    if name is not None:
        pictures.append(_explained(prediction, film, name))
    rows = "".join(_row(found, prediction.findings[found]) for found in _ordered(prediction))
    marked = any(not finding.calibrated for finding in prediction.findings.values())
    notes = [
        "Bar: probability. Tick: threshold." + (" *: not calibrated." if marked else ""),
        NOT_A_DEVICE,
    ]
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.4">'
        f"<div><b>{escape(_clipped(prediction.film.source))}</b> {_about(prediction)}</div>"
        '<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start;margin:6px 0">'
        f'{"".join(pictures)}<table style="border-collapse:collapse;margin:0;font:inherit;'
        f'color:inherit">{rows}</table></div>'
        + "".join(f'<div style="{_QUIET}">{escape(note)}</div>' for note in notes)
        + "</div>"
    )


def _clipped(name: str) -> str:
    return name if len(name) <= _NAME_AT_MOST else f"{name[: _NAME_AT_MOST - 1]}…"


def _ordered(prediction: Prediction) -> list[str]:
    """Positive findings first, each group with the most probable first."""
    found = prediction.findings
    return sorted(found, key=lambda name: (not found[name].positive, -found[name].probability))


def _top(prediction: Prediction) -> str | None:
    return next(iter(_ordered(prediction)), None)


def _decision(finding: FindingResult) -> str:
    if finding.threshold is None:
        return f"{finding.probability:.2f}, no threshold"
    sign = ">=" if finding.positive else "<"
    near = abs(finding.probability - finding.threshold) < 0.01
    digits = 4 if near else 2  # "0.03 < 0.03" would puzzle
    return f"{finding.probability:.{digits}f} {sign} {finding.threshold:.{digits}f}"


def _about(prediction: Prediction) -> str:
    """What is known of the film, beside its name."""
    rows, columns = prediction.film.shape
    words = [f"{columns} × {rows} px", *(code.value for code in prediction.codes)]
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


def _explained(prediction: Prediction, film: Radiograph, name: str) -> str:
    """The film with the heatmap of a finding, and what it is."""
    import cv2

    from hilum.explain.overlay import overlay

    drawn = overlay(film, _shrunk(prediction.heatmap(name), cv2.INTER_AREA))
    words = f"No region raised {name}" if drawn.empty else f"Regions that raised {name}"
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
    cells = (escape(f"{name}{mark}"), bar, escape(_decision(finding).replace(">=", "≥")))
    inside = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="{weight}">{inside}</tr>'
