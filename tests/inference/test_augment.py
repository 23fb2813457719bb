"""Test-time augmentation: fixed, small, never a mirror, and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from hilum.domain.errors import UsageError
from hilum.domain.findings import nih14
from hilum.domain.radiograph import Radiograph
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.augment import views
from hilum.inference.engine import Engine
from hilum.phantom.film import draw_example

DRAWN = Radiograph(draw_example(None, seed=3).pixels, source="drawn")
FILM = Preprocessing(size=64).raster(DRAWN)


def test_views_are_fixed_and_begin_with_the_film() -> None:
    made = views(FILM, 8)
    np.testing.assert_array_equal(made[0], FILM)
    np.testing.assert_array_equal(made[:3], views(FILM, 3))
    assert len({view.tobytes() for view in made}) == 8


@pytest.mark.parametrize("place", [(20, 20), (20, 80), (80, 50)])
def test_views_move_a_place_a_little_and_never_mirror_it(place: tuple[int, int]) -> None:
    film = np.zeros((100, 100), np.uint8)
    film[place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3] = 200
    rows, columns = np.mgrid[:100, :100]
    for number, view in enumerate(views(film, 64).astype(float)):
        center = np.array([(rows * view).sum(), (columns * view).sum()]) / view.sum()
        moved = np.abs(center - place).max()
        assert moved == 0.0 if number == 0 else 0.0 < moved < 8.0


def test_logits_are_the_mean_and_heatmaps_those_of_the_film(
    tmp_path: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    small = Preprocessing(size=64, channels=1, mean=(0.5,), std=(0.25,))
    plain = Engine(tmp_path / "model.onnx", small, nih14())
    output = plain.augmented(5).ask(FILM)
    alone = plain.run(views(FILM, 5))
    np.testing.assert_allclose(output.logits.values[0], alone.logits.values.mean(axis=0))
    np.testing.assert_array_equal(output.heatmaps, alone.of(0).heatmaps)
    assert plain.views == 1
    np.testing.assert_array_equal(plain.ask(FILM).logits.values, alone.of(0).logits.values)
    for count in (0, 65):
        with pytest.raises(UsageError, match=f"views must be 1 to 64; got {count}"):
            plain.augmented(count)
