"""PNG figures by matplotlib: one palette, one frame, and the same values give the same bytes."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "BAND",
    "GUIDE",
    "INK",
    "ORANGE",
    "RUST",
    "SAND",
    "bare",
    "figure",
    "guide",
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


def bare(axes: Axes) -> None:
    """Leave the lower and the left side of a panel's frame."""
    axes.spines[["top", "right"]].set_visible(False)


def guide(axes: Axes, end: float, width: float = 0.7) -> None:
    """Draw the diagonal from 0 to `end` on both axes."""
    axes.plot([0, end], [0, end], color=GUIDE, linewidth=width, linestyle=(0, (4, 3)), zorder=0.5)
