"""PNG figures by matplotlib: one palette, one frame, and the same values give the same bytes."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

__all__ = [
    "ACCENT",
    "BAND",
    "GUIDE",
    "INK",
    "ORANGE",
    "RUST",
    "SAND",
    "area",
    "bare",
    "figure",
    "guide",
    "heading",
    "legend",
    "mark",
    "stroke",
]

INK = "#1f2933"
"""Text, and the second curve of a panel."""
ACCENT = "#0b6e8f"
"""The model's own curve, after calibration where there are two."""
BAND = "#d8e3ea"
"""Range of what chance would show."""
GUIDE = "#9aa5b1"
"""Frames, diagonals and grids."""
ORANGE = "#c8811f"
"""The curve before calibration."""
SAND = "#d08c3f"
"""The second of two groups."""
RUST = "#b4532a"
"""The third curve of a panel."""


@contextmanager
def figure(
    path: Path, size: tuple[float, float], dpi: int, style: Mapping[str, object]
) -> Generator[Figure]:
    """Give a figure to draw on, and write it as PNG at the end.

    Args:
        path: the PNG.
        size: width and height in inches.
        dpi: pixels an inch.
        style: matplotlib's settings beside the shared colors, such as the size of letters.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[str, object] = {"axes.edgecolor": GUIDE, "text.color": INK, **style}
    with mpl.rc_context(settings):  # pyright: ignore[reportArgumentType]
        drawn = Figure(figsize=size, dpi=dpi, layout="constrained")
        canvas = FigureCanvasAgg(drawn)
        yield drawn
        # the writer's name and version would change the bytes
        canvas.print_png(path, metadata={"Software": None})


def stroke(color: str, words: str, dashes: tuple[int, tuple[int, ...]] = (0, ())) -> Line2D:
    """Return the key of a line for `legend`."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, linestyle=dashes, linewidth=1.3, label=words)


def mark(color: str, words: str) -> Line2D:
    """Return the key of a hollow circle for `legend`."""
    from matplotlib.lines import Line2D

    style: dict[str, object] = {"marker": "o", "markersize": 4, "markerfacecolor": "white"}
    return Line2D([], [], color=color, linestyle="", label=words, **style)  # pyright: ignore


def area(color: str, words: str) -> Patch:
    """Return the key of a filled area for `legend`."""
    from matplotlib.patches import Patch

    return Patch(facecolor=color, edgecolor="none", label=words)


def legend(drawing: Figure, keys: Sequence[Artist], foot: str, columns: int) -> None:
    """Name what all panels share, once, below them: keys first, then words.

    Args:
        drawing: the figure.
        keys: of `stroke`, `mark` and `area`.
        foot: the words, in lines.
        columns: of the keys.
    """
    made = drawing.legend(
        handles=list(keys),
        loc="outside lower center",
        ncols=min(columns, len(keys)),
        frameon=False,
        fontsize=7.5,
        handlelength=2.0,
        columnspacing=1.6,
        title=foot,
        title_fontsize=7,
    )
    made.set_alignment("center")


def heading(axes: Axes, name: str, note: str) -> None:
    """Set the name of a finding above a panel, and smaller words below it, outside the curves."""
    axes.set_title(note, fontsize=6.5, loc="left", pad=3, linespacing=1.25)
    lines = note.count("\n") + 1
    place = {"xytext": (0, 4.5 + 7.7 * lines), "textcoords": "offset points"}
    style = {"fontsize": 8.5, "fontweight": "bold", "va": "bottom", "annotation_clip": False}
    axes.annotate(name.replace("_", " "), (0, 1), xycoords="axes fraction", **place, **style)  # pyright: ignore


def bare(axes: Axes) -> None:
    """Leave the lower and the left side of a panel's frame."""
    axes.spines[["top", "right"]].set_visible(False)


def guide(axes: Axes, end: float, width: float = 0.7) -> None:
    """Draw the diagonal from 0 to `end` on both axes."""
    axes.plot([0, end], [0, end], color=GUIDE, linewidth=width, linestyle=(0, (4, 3)), zorder=0.5)
