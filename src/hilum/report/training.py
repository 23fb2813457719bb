"""The learning curves of a run as one picture."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.figures import bare, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

TRAIN, TUNE = "#1f5f8b", "#c1592c"
PARTS = ("#3b3b3b", "#4c8c4a", "#8a5a9e", "#b8860b", "#3f8f8f", "#a04050")
STYLE = {"axes.edgecolor": "black", "text.color": "black"}
SHADES = ("#f3f1ec", "#ffffff")
KEPT: dict[str, Any] = {"color": "0.55", "linestyle": (0, (2, 2)), "linewidth": 1.0}
"""Line at the epoch whose weights were kept."""
DEEPEST = 1000.0
"""Range of the rates' axis below a peak: a cosine falls to nothing."""


class _Stretch(NamedTuple):
    """One part's rates in one phase."""

    part: str
    epochs: tuple[float, ...]
    rates: tuple[float, ...]


def draw_curves(
    lines: list[dict[str, Any]], best_epoch: int, path: Path, rates: Path | None = None
) -> None:
    """Draw loss on train and tune, macro AUROC on tune, and learning rates, as PNG.

    Phases are shaded and named, and the kept epoch is marked in every panel, so that a phase that
    did nothing, a rate that never moved or an epoch that was kept too late can be seen. AUROC is
    that of the tune split, on which the epoch was chosen: it flatters.

    Args:
        lines: those of log.jsonl.
        best_epoch: the epoch whose weights were kept.
        path: where to write.
        rates: learning_rates.csv; without it that panel is left out.
    """
    stretches = _stretches(rates) if rates is not None and rates.exists() else []
    panels = 3 if stretches else 2
    with figure(path, (4.4 * panels, 3.8), 130, STYLE) as drawing:
        axes: list[Axes] = list(drawing.subplots(1, panels))
        _losses(axes[0], lines)
        _areas(axes[1], lines, best_epoch)
        if stretches:
            _rates(axes[2], stretches)
        for axis in axes:
            _dress(axis, lines, best_epoch)
        drawing.supxlabel(NOT_A_DEVICE, fontsize=7, color="0.35")


def _losses(axis: Axes, lines: list[dict[str, Any]]) -> None:
    for split, color in (("train", TRAIN), ("tune", TUNE)):
        _line(axis, lines, f"{split}_loss", {"color": color, "label": split})
    axis.plot([], [], label="kept epoch", **KEPT)
    axis.legend(frameon=False, fontsize=9)
    _title(axis, "Loss")


def _areas(axis: Axes, lines: list[dict[str, Any]], best_epoch: int) -> None:
    _line(axis, lines, "tune_auroc", {"color": TUNE})
    kept = {line["epoch"]: line.get("tune_auroc") for line in lines}.get(best_epoch)
    if kept is not None:
        label = f"kept: epoch {best_epoch}, {kept:.3f}"
        axis.plot([best_epoch], [kept], marker="o", linestyle="", color=TUNE, label=label)
        axis.legend(frameon=False, fontsize=9)
    _title(axis, "Macro AUROC on tune")


def _rates(axis: Axes, stretches: list[_Stretch]) -> None:
    parts = list(dict.fromkeys(one.part for one in stretches))
    for one in stretches:
        color = PARTS[parts.index(one.part) % len(PARTS)]
        again = any(line.get_label() == one.part for line in axis.get_lines())
        label = "_" if again else one.part
        axis.plot(one.epochs, one.rates, color=color, label=label, linewidth=1.6)
    peaks = [max(one.rates) for one in stretches]
    axis.set_yscale("log")
    axis.set_ylim(min(peaks) / DEEPEST, max(peaks) * 2.0)
    axis.legend(frameon=False, fontsize=9)
    _title(axis, "Learning rate")


def _title(axis: Axes, text: str) -> None:
    axis.set_title(text, loc="left", pad=20, fontsize=11)


def _line(axis: Axes, lines: list[dict[str, Any]], name: str, style: dict[str, Any]) -> None:
    points = [(line["epoch"], line[name]) for line in lines if line.get(name) is not None]
    if points:
        x, y = zip(*points, strict=True)
        axis.plot(x, y, marker="." if len(points) < 40 else None, linewidth=1.6, **style)


def _dress(axis: Axes, lines: list[dict[str, Any]], best_epoch: int) -> None:
    """Draw phases as shaded stretches with their names, and the kept epoch as a line."""
    from matplotlib.ticker import MaxNLocator

    for place, (phase, own) in enumerate(groupby(lines, key=lambda line: line["phase"])):
        epochs = [line["epoch"] for line in own]
        begin, end = epochs[0] - 0.5, epochs[-1] + 0.5
        axis.axvspan(begin, end, color=SHADES[place % len(SHADES)], zorder=0, linewidth=0)
        axis.text(
            (begin + end) / 2,
            1.0,
            phase,
            transform=axis.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=8,
            color="0.45",
        )
    axis.axvline(best_epoch, **KEPT)
    axis.set_xlim(0.5, max(line["epoch"] for line in lines) + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel("epoch")
    bare(axis)
    axis.grid(alpha=0.2)
    axis.tick_params(labelsize=9)


def _stretches(path: Path) -> list[_Stretch]:
    """Return the rates of learning_rates.csv; step n of m of epoch e lies at `e - 1/2 + n/m`.

    A rate of 0, where a cosine ends, has no place on a logarithmic axis and is left out.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    last: dict[str, int] = {}
    for row in rows:
        last[row["epoch"]] = max(last.get(row["epoch"], 0), int(row["step"]))
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        rate = float(row["rate"])
        if rate > 0.0:
            at = int(row["epoch"]) - 0.5 + int(row["step"]) / last[row["epoch"]]
            points.setdefault((row["phase"], row["part"]), []).append((at, rate))
    return [_Stretch(part, *zip(*own, strict=True)) for (_, part), own in points.items()]
