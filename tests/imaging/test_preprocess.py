import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hilum.domain.radiograph import Radiograph
from hilum.imaging.preprocess import Fit, Placement, Preprocessing

BEFORE_CLAHE = "4b115c4156364f192c7dce142031f642fe3eeebe249f2d097673b2e45ce6b5e2"

shapes = st.tuples(st.integers(130, 500), st.integers(130, 500))


def film(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), source="drawn.png")


@settings(max_examples=50, deadline=None)
@given(shapes)
def test_pad_keeps_the_aspect_and_centers_the_film(shape: tuple[int, int]) -> None:
    place = Preprocessing(size=224).placement(shape)
    assert max(place.height, place.width) == 224
    assert abs(place.height - 224 * shape[0] / max(shape)) <= 0.5
    assert abs(place.width - 224 * shape[1] / max(shape)) <= 0.5
    assert abs((224 - place.height - place.top) - place.top) <= 1
    assert abs((224 - place.width - place.left) - place.left) <= 1


def test_bars_are_black_and_the_film_fills_its_placement() -> None:
    prep = Preprocessing(size=64)
    raster = prep.raster(film(np.ones((100, 50))))
    place = prep.placement((100, 50))
    assert raster.shape == (64, 64)
    assert raster.dtype == np.uint8
    inside = raster[:, place.left : place.left + place.width]
    assert (inside == 255).all()
    assert raster.sum() == inside.sum()


def test_stretch_fills_the_square() -> None:
    prep = Preprocessing(size=64, fit=Fit.STRETCH)
    assert prep.placement((10, 1000)) == Placement(0, 0, 64, 64)
    assert (prep.raster(film(np.ones((40, 1000)))) == 255).all()


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_shrinking_by_a_whole_factor_is_the_mean_of_the_blocks(factor: int) -> None:
    pixels = np.random.default_rng(0).random((64 * factor, 64 * factor))
    blocks = pixels.reshape(64, factor, 64, factor).mean(axis=(1, 3))
    raster = Preprocessing(size=64).raster(film(pixels))
    assert np.abs(raster - 255 * blocks).max() <= 0.5 + 1e-3


def test_stretch_averages_the_side_that_shrinks_though_the_other_grows() -> None:
    stripes = np.zeros((32, 640))
    stripes[:, ::10] = 1.0
    raster = Preprocessing(size=64, fit=Fit.STRETCH).raster(film(stripes))
    assert (raster == round(255 / 10)).all()


def test_normalize_equals_the_formula() -> None:
    prep = Preprocessing(size=32)
    rasters = np.random.default_rng(1).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    batch = prep.normalize(rasters)
    assert batch.shape == (2, 3, 32, 32)
    assert batch.dtype == np.float32
    for channel in range(3):
        expected = (rasters / 255 - prep.mean[channel]) / prep.std[channel]
        np.testing.assert_allclose(batch[:, channel], expected, atol=1e-6)


def test_normalize_refuses_what_raster_did_not_make() -> None:
    prep = Preprocessing(size=32)
    with pytest.raises(ValueError, match="uint8"):
        prep.normalize(np.zeros((1, 32, 32), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(B, 32, 32\)"):
        prep.normalize(np.zeros((1, 31, 32), np.uint8))


@settings(max_examples=25, deadline=None)
@given(shapes, st.sampled_from([Fit.PAD, Fit.STRETCH]), st.integers(0, 10_000))
def test_a_bright_spot_comes_back_to_where_it_was(
    shape: tuple[int, int], fit: Fit, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    row, column = rng.integers(12, shape[0] - 12), rng.integers(12, shape[1] - 12)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 5.0**2))
    prep = Preprocessing(size=96, fit=fit)
    returned = prep.to_film(prep.raster(film(spot)).astype(np.float32), shape)
    assert returned.shape == shape
    found = np.unravel_index(int(returned.argmax()), shape)
    pixel = max(shape) / 96
    assert abs(found[0] - row) <= 1.5 * pixel
    assert abs(found[1] - column) <= 1.5 * pixel


def test_the_cell_of_a_coarse_map_covers_its_part_of_the_film() -> None:
    prep = Preprocessing(size=224)
    heat = np.zeros((7, 7), np.float32)
    heat[3, 5] = 2.0
    on_film = prep.to_film(heat, (1024, 512))  # the film spans columns 56 to 168 of the square
    row, column = np.unravel_index(int(on_film.argmax()), on_film.shape)
    assert row == pytest.approx(1024 / 2, abs=2)
    # The cell's center, column 176 of the square, lies right of the film: its edge is nearest.
    assert column == 511
    assert on_film.max() < 2.0


@pytest.mark.slow
def test_upsampling_equals_torch_with_align_corners_off() -> None:
    torch = pytest.importorskip("torch")
    heat = np.random.default_rng(2).random((7, 9)).astype(np.float32)
    prep = Preprocessing(size=256)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(heat)[None, None], (256, 256), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(prep.to_film(heat, (256, 256)), expected[0, 0], atol=1e-6)


def test_values_of_a_map_are_kept() -> None:
    flat = np.full((7, 7), 3.5, np.float32)
    np.testing.assert_allclose(Preprocessing().to_film(flat, (300, 411)), 3.5, rtol=1e-6)
    single = np.full((1, 1), 0.25, np.float32)
    np.testing.assert_allclose(Preprocessing().to_film(single, (300, 411)), 0.25, rtol=1e-6)


def test_the_hash_names_the_fields() -> None:
    prep = Preprocessing()
    assert Preprocessing.model_validate_json(prep.model_dump_json()).sha256() == prep.sha256()
    assert Preprocessing(size=256).sha256() != prep.sha256()
    assert Preprocessing(fit=Fit.STRETCH).sha256() != prep.sha256()


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 31},
        {"channels": 2},
        {"channels": 1},
        {"std": (0.2, 0.2, 0.0)},
        {"version": 3},
        {"color": True},
    ],
)
def test_fields_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing.model_validate(fields)


def test_one_channel() -> None:
    prep = Preprocessing(size=32, channels=1, mean=(0.5,), std=(0.25,))
    assert prep.normalize(np.full((1, 32, 32), 255, np.uint8)).max() == pytest.approx(2.0)


# CLAHE


def test_clahe_is_opencv_s_within_the_film_and_leaves_the_bars_black() -> None:
    pixels = 0.4 + 0.1 * np.random.default_rng(3).random((300, 200))
    plain, equalized = (
        Preprocessing(size=96, clahe_clip=clip).raster(film(pixels)) for clip in (0.0, 2.0)
    )
    inside = slice(16, 80)  # columns of the film
    expected = cv2.createCLAHE(2.0, (8, 8)).apply(plain[:, inside].copy())
    np.testing.assert_array_equal(equalized[:, inside], expected)
    assert not equalized[:, :16].any()
    assert not equalized[:, 80:].any()
    assert equalized[:, inside].std() > 2 * plain[:, inside].std()


def test_clahe_of_a_film_narrower_than_its_tiles() -> None:
    pixels = np.random.default_rng(4).random((640, 20))
    raster = Preprocessing(size=64, clahe_clip=2.0).raster(film(pixels))
    assert raster[:, 31:33].any()
    assert not raster[:, :31].any()


def test_clahe_counts_in_the_hash_only_where_it_is_on() -> None:
    # The hash of version 0.1, to which the thresholds of its bundles are bound.
    assert Preprocessing(clahe_clip=0.0).sha256() == BEFORE_CLAHE
    hashes = {Preprocessing(clahe_clip=clip).sha256() for clip in (0.0, 1.0, 2.0)}
    assert len(hashes) == 3
    assert "clahe_clip" in Preprocessing().model_dump()


@pytest.mark.parametrize("clip", [-1.0, 41.0, float("nan")])
def test_clip_limits_that_cannot_be_are_refused(clip: float) -> None:
    with pytest.raises(ValidationError):
        Preprocessing(clahe_clip=clip)


@given(
    st.sampled_from([64, 224, 320]),
    st.tuples(st.integers(3, 700), st.integers(3, 700)),
    st.tuples(st.integers(1, 11), st.integers(1, 11)),
    st.integers(0, 2**32 - 1),
)
def test_the_peak_on_the_film_is_that_of_the_whole_map(
    size: int, shape: tuple[int, int], cells: tuple[int, int], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    heatmap = generator.random(cells, dtype=np.float32) * (generator.random(cells) < 0.5)
    heatmap = heatmap.astype(np.float32)
    preprocessing = Preprocessing(size=size)
    whole = preprocessing.to_film(heatmap, shape).max()
    assert preprocessing.peak_on_film(heatmap, shape) == pytest.approx(whole, rel=1e-6, abs=1e-12)
