"""The learning curves of a run as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["draw_curves"]


def draw_curves(epochs: list[dict[str, Any]], best_epoch: int, path: Path) -> None:
    """Loss on train and tune, and macro AUROC on tune with the chosen epoch marked, as PNG.

    Args:
        epochs: the lines of log.jsonl.
        best_epoch: the epoch whose weights were kept.
        path: where to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.4), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    x = [line["epoch"] for line in epochs]
    left.plot(x, [line["train_loss"] for line in epochs], label="train", color="#1f5f8b")
    left.plot(x, [line["tune_loss"] for line in epochs], label="tune", color="#c1592c")
    left.set(title="Masked BCE", xlabel="epoch")
    left.legend(frameon=False)
    right.plot(x, [line["tune_auroc"] for line in epochs], color="#c1592c", marker=".")
    right.axvline(best_epoch, color="0.6", linestyle=":", label=f"kept: epoch {best_epoch}")
    right.set(title="Macro AUROC on tune", xlabel="epoch")
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.2)
    figure.savefig(path, metadata={"Software": None})
