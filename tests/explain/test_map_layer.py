"""Maps as layers: the file holds the levels of `heatmap()`, in place on the film."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hilum.explain.files import indexed_png_bytes
from hilum.explain.map_layer import MAP_SIDE, layer_shape, map_layer
from hilum.explain.overlay import levels
from hilum.explain.ramp import layer_palette
from hilum.imaging.preprocess import Fit, Preprocessing

SHAPES = [(1024, 1024), (2500, 2048), (1841, 1955), (300, 251), (1000, 333)]


def cells(seed: int = 0, side: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side), dtype=np.float32)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit", list(Fit))
def test_a_layer_read_back_has_the_levels_of_the_map_on_the_film(
    shape: tuple[int, int], fit: Fit
) -> None:
    preprocessing = Preprocessing(fit=fit, version=2 if fit in (Fit.CROP, Fit.CORNER) else 1)
    with opened(map_layer(cells(), preprocessing, shape)) as layer:
        assert layer.mode == "P"
        stored = np.asarray(layer)
    assert stored.shape == layer_shape(shape)
    on_film = preprocessing.to_film(cells(), shape)
    side = max(preprocessing.seen(shape)[2:])
    allowed = 1.0 if side > 2 * MAP_SIDE else 3.5  # a map on fewer pixels has flatter peaks
    rows = (np.arange(stored.shape[0]) + 0.5) * shape[0] / stored.shape[0] - 0.5
    columns = (np.arange(stored.shape[1]) + 0.5) * shape[1] / stored.shape[1] - 0.5
    sampled = bilinear(bilinear(on_film, rows).T, columns).T
    apart = np.abs(stored - 255.0 * sampled / on_film.max())
    if fit is Fit.CROP:  # a pixel of the layer on the edge of what was seen may be on either side
        top, left, height, width = preprocessing.seen(shape)
        inside = (np.abs(rows - top) > 4) & (np.abs(rows - top - height) > 4)
        beside = (np.abs(columns - left) > 4) & (np.abs(columns - left - width) > 4)
        apart = apart[inside][:, beside]
    assert apart.max() <= allowed


def bilinear(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    at = np.clip(at, 0, len(values) - 1)
    lower = np.minimum(at.astype(int), len(values) - 2)
    share = (at - lower)[:, None]
    return values[lower] * (1 - share) + values[lower + 1] * share


@pytest.mark.parametrize("shape", SHAPES)
def test_a_layer_stretched_over_the_film_lies_within_a_pixel_of_the_map(
    shape: tuple[int, int],
) -> None:
    preprocessing = Preprocessing()
    heat = np.zeros((7, 7), np.float32)
    heat[2, 4] = 1.0
    with opened(map_layer(heat, preprocessing, shape)) as layer:
        size = (shape[1], shape[0])
        stretched = np.asarray(
            Image.fromarray(np.asarray(layer)).resize(size, Image.Resampling.BILINEAR), float
        )
    wanted = levels(preprocessing.to_film(heat, shape)).astype(float)
    screen = 1024 / max(shape)  # as it is seen on the page, and on a film of 1,024 px
    for axis in (0, 1):
        assert abs(center(stretched, axis) - center(wanted, axis)) * min(1.0, screen) < 0.5


def center(values: np.ndarray, axis: int) -> float:
    weights = values.sum(axis=1 - axis)
    return float(weights @ np.arange(len(weights)) / weights.sum())


def test_the_film_s_own_placement_counts() -> None:
    """A film of 2,500 x 2,048 stands in 224 x 184 pixels; one of the layer's size in 224 x 183."""
    preprocessing = Preprocessing()
    shape = (2500, 2048)
    assert preprocessing.placement(shape).width != preprocessing.placement(layer_shape(shape)).width
    on_film = preprocessing.to_film(cells(), shape, layer_shape(shape))
    assert not np.array_equal(on_film, preprocessing.to_film(cells(), layer_shape(shape)))


def test_an_empty_map_is_clear() -> None:
    with opened(map_layer(np.zeros((7, 7), np.float32), Preprocessing(), (400, 300))) as layer:
        assert np.asarray(layer.convert("RGBA"))[..., 3].max() == 0


def test_colors_and_alpha_are_in_the_file_and_nothing_else() -> None:
    numbers = np.arange(256, dtype=np.uint8).reshape(16, 16)
    data = indexed_png_bytes(numbers, layer_palette())
    with opened(data) as image:
        assert np.array_equal(np.asarray(image), numbers)
        colors = np.asarray(image.convert("RGBA")).reshape(-1, 4)
        assert set(image.info) <= {"transparency"}
    assert np.array_equal(colors, layer_palette())
    assert data == indexed_png_bytes(numbers, layer_palette())


def test_a_layer_is_small() -> None:
    assert len(map_layer(cells(side=16), Preprocessing(size=512), (1024, 1024))) < 40_000
