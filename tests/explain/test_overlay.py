"""Overlays: no evidence leaves the film alone, hot is high, anatomy stays readable."""

from __future__ import annotations

import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from hilum.domain.radiograph import Radiograph
from hilum.explain.files import png_bytes
from hilum.explain.overlay import overlay, preview
from hilum.explain.ramp import Style


def film_of(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), source="film.png")


def ramp(rows: int = 40, columns: int = 60) -> Radiograph:
    return film_of(np.linspace(0, 1, rows * columns).reshape(rows, columns))


maps = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.floats(0, 2.0**99, width=32),
)


@given(heat=maps)
@settings(max_examples=50, deadline=None)
def test_any_valid_map_gives_an_overlay_of_the_films_size(heat: np.ndarray) -> None:
    film = film_of(np.full(heat.shape, 0.5))
    drawn = overlay(film, heat)
    assert drawn.rgb.shape == (*heat.shape, 3)
    assert drawn.rgb.dtype == np.uint8
    assert drawn.empty == (heat.max() < np.finfo(np.float32).tiny)


@given(heat=maps, scale=st.sampled_from([0.25, 2.0, 1024.0]))
@settings(max_examples=25, deadline=None)
def test_colors_do_not_depend_on_the_maps_scale(heat: np.ndarray, scale: float) -> None:
    heat = np.where(heat > 2.0**-90, heat, 0).astype(np.float32)
    film = film_of(np.full(heat.shape, 0.3))
    assert np.array_equal(overlay(film, heat).rgb, overlay(film, heat * np.float32(scale)).rgb)


def test_no_evidence_is_the_plain_film_and_says_so() -> None:
    film = ramp()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = overlay(film, np.zeros(film.shape, np.float32))
    assert drawn.empty
    gray = np.rint(film.pixels * 255).astype(np.uint8)
    assert np.array_equal(drawn.rgb, np.repeat(gray[:, :, None], 3, axis=2))


def test_the_smallest_peak_there_is_does_not_overflow() -> None:
    heat = np.zeros((3, 3), np.float32)
    heat[1, 1] = np.finfo(np.float32).tiny
    drawn = overlay(film_of(np.full((3, 3), 0.5)), heat)
    assert drawn.rgb[1, 1, 0] > drawn.rgb[1, 1, 2] + 50


def test_the_film_is_untouched_where_nothing_raised_the_score() -> None:
    film = ramp()
    heat = np.zeros(film.shape, np.float32)
    heat[:, 30:] = 1.0
    drawn = overlay(film, heat)
    gray = np.rint(film.pixels * 255).astype(np.uint8)
    assert np.array_equal(drawn.rgb[:, :30], np.repeat(gray[:, :30, None], 3, axis=2))
    assert (drawn.rgb[:, 30:, 0] > drawn.rgb[:, 30:, 2]).all()


@pytest.mark.parametrize("gray", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_hot_turns_from_yellow_to_red_and_alpha_grows(gray: float) -> None:
    """On any gray: never blue, ever less green against red, ever farther from the film."""
    film = film_of(np.full((1, 256), gray))
    heat = np.linspace(0, 1, 256, dtype=np.float32)[None]
    rgb = overlay(film, heat, Style.HOT).rgb[0].astype(int)
    red, green, blue = rgb.T
    assert (red >= green - 1).all()
    assert (green >= blue - 1).all()
    redness = red - green
    assert redness[-1] > redness[160] > redness[90]
    saturation = red - blue
    assert saturation[-1] > 60
    assert (np.diff(saturation[:200]) >= -2).all()  # two channels, each rounded


@pytest.mark.parametrize("style", [Style.PLASMA, Style.HOT])
@pytest.mark.parametrize("level", [0.3, 0.6, 1.0])
def test_anatomy_stays_readable_under_the_color(level: float, style: Style) -> None:
    """Brighter film stays brighter, and at least 30 % of its contrast is left."""
    film = film_of(np.linspace(0, 1, 256)[None])
    heat = np.full((1, 256), level, np.float32)
    heat[0, 0] = 1.0
    luma = overlay(film, heat, style).rgb[0, 1:].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) >= 0).all()
    assert luma[-1] - luma[0] > 0.3 * 255


@pytest.mark.parametrize(
    "heat",
    [
        np.zeros((2, 3), np.float32),
        np.array([[0, -1], [0, 0]], np.float32),
        np.array([[0, np.nan], [0, 0]], np.float32),
        np.array([[0, np.inf], [0, 0]], np.float32),
    ],
)
def test_a_wrong_map_is_refused(heat: np.ndarray) -> None:
    with pytest.raises(ValueError, match="heatmap must"):
        overlay(film_of(np.zeros((2, 2))), heat)


def test_every_style_draws() -> None:
    for style in Style:
        assert not overlay(ramp(), np.ones((40, 60), np.float32), style).empty


def test_png_keeps_pixels_and_carries_nothing_else() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    data = png_bytes(rgb)
    assert data == png_bytes(rgb)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), rgb)
        assert image.info == {}
    kinds = {data[i + 4 : i + 8] for i in _chunks(data)}
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}


def test_png_is_the_same_from_every_place_in_memory() -> None:
    """ISA-L hashes the address of its state where it begins a stream; see `_deflated`."""
    drawn = np.random.default_rng(1).integers(0, 256, (20, 1, 1, 3), dtype=np.uint8)
    pictures = list(np.broadcast_to(drawn, (20, 6, 8, 3)))
    begun = threading.Barrier(200, timeout=60)

    def files(_: int) -> tuple[bytearray, tuple[bytes, ...]]:
        begun.wait()  # each thread has a stack of its own, as they are there together
        filler = bytearray(65_536)  # and each its own place in the heap, as this stays
        return filler, tuple(png_bytes(picture) for picture in pictures)

    with ThreadPoolExecutor(begun.parties) as threads:
        found = list(threads.map(files, range(begun.parties)))
    assert len({file for _, file in found}) == 1


def _chunks(data: bytes) -> list[int]:
    found, at = [], 8
    while at < len(data):
        found.append(at)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2048, 1024), (512, 1024)), ((90, 100), (100, 90)), ((3000, 2), (1, 1024))],
)
def test_preview_keeps_the_aspect_and_never_enlarges(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    data = preview(film_of(np.full(shape, 0.5)))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert image.mode == "L"
        assert image.size == expected
        assert "exif" not in image.info
        assert abs(float(np.asarray(image).mean()) - 128) < 2


def test_a_peak_below_the_normal_numbers_is_no_evidence() -> None:
    heat = np.full((3, 3), 1e-44, np.float32)
    assert overlay(film_of(np.full((3, 3), 0.5)), heat).empty
