"""The learning curves are a picture, the same every time, whatever the log lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hilum.report.training import draw_curves
from hilum.training.tables import RateTable


def line(epoch: int, phase: str, **said: Any) -> dict[str, Any]:
    known = {"train_loss": 1.0 / epoch, "tune_loss": 1.1 / epoch, "tune_auroc": 1 - 0.5 / epoch}
    return {"epoch": epoch, "phase": phase, **known, **said}


LINES = [line(1, "head"), line(2, "all"), line(3, "all"), line(4, "all", tune_auroc=0.6)]


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    table = RateTable(tmp_path / "learning_rates.csv")
    for epoch, phase in ((1, "head"), (2, "all"), (3, "all"), (4, "all")):
        for step in range(1, 6):
            parts = {"head": 1e-3} if phase == "head" else {"head": 1e-3, "backbone": 1e-5}
            table.add(epoch, step, phase, parts)
    table.add(4, 6, "all", {"head": 0.0, "backbone": 0.0})  # where a cosine ends
    table.flush()
    return table.path


def test_it_is_the_same_picture_every_time(tmp_path: Path, rates: Path) -> None:
    for name in ("one.png", "two.png"):
        draw_curves(LINES, 3, tmp_path / name, rates)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_the_kept_epoch_and_the_rates_show(tmp_path: Path, rates: Path) -> None:
    draw_curves(LINES, 3, tmp_path / "with.png", rates)
    draw_curves(LINES, 2, tmp_path / "other.png", rates)
    draw_curves(LINES, 3, tmp_path / "without.png")
    draw_curves(LINES, 3, tmp_path / "missing.png", tmp_path / "none.csv")
    with_rates, other = drawn(tmp_path / "with.png"), drawn(tmp_path / "other.png")
    assert with_rates.shape == other.shape
    assert (with_rates != other).any()
    assert with_rates.shape[1] == pytest.approx(1.5 * drawn(tmp_path / "without.png").shape[1], 2)
    assert (tmp_path / "without.png").read_bytes() == (tmp_path / "missing.png").read_bytes()


@pytest.mark.parametrize(
    "lines",
    [
        [line(1, "all")],
        [line(1, "all", tune_auroc=None), line(2, "all", tune_auroc=None)],
        [line(1, "all", tune_loss=None, tune_auroc=None)],
    ],
)
def test_what_was_not_computed_is_left_out(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    draw_curves(lines, 1, tmp_path / "curves.png")
    assert drawn(tmp_path / "curves.png").std() > 5
