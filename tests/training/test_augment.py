"""Augmentation: drawn within its bounds, the same for the same seed, and as others would do it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from hilum.domain.errors import UsageError
from hilum.domain.findings import Finding, LabelSet, nih14
from hilum.runs.recipe_parts import AugmentConfig
from hilum.training.data import augment
from hilum.training.data.augment import GRAIN, Change, apply, draw, inverse_map, refuse_flip

STILL = dict.fromkeys(AugmentConfig.model_fields, 0.0)
ALL = AugmentConfig(
    stretch=0.1,
    horizontal_flip=0.5,
    clahe=0.5,
    blur_sigma_px=1.5,
    jpeg=0.5,
    noise=0.1,
    cutout=0.5,
)
FILM = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
SMOOTH = cv2.normalize(cv2.GaussianBlur(FILM, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)


def drawn(config: AugmentConfig, seed: int, count: int = 1) -> tuple[Change, ...]:
    return draw(config, np.random.default_rng(seed), count)


def test_no_change_changes_nothing() -> None:
    np.testing.assert_array_equal(apply(FILM, Change()), FILM)
    np.testing.assert_array_equal(apply(FILM, drawn(AugmentConfig(**STILL), 0)[0]), FILM)


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_change_stays_within_its_bounds(seed: int) -> None:
    for change in drawn(ALL, seed, 8):
        assert abs(change.angle_degrees) <= ALL.rotation_degrees
        assert abs(change.scale - 1) <= ALL.scale
        assert abs(change.stretch) <= ALL.stretch
        assert max(abs(change.shift_x), abs(change.shift_y)) <= ALL.shift
        assert abs(change.brightness) <= ALL.brightness
        assert abs(change.contrast - 1) <= ALL.contrast
        assert abs(change.gamma - 1) <= ALL.gamma
        assert 0 <= change.blur_sigma_px <= ALL.blur_sigma_px
        assert change.jpeg_quality is None or 35 <= change.jpeg_quality <= 95
        assert 0 <= change.noise <= ALL.noise
        assert 0 <= change.noise_at < GRAIN
        assert change.cutout == 0 or 0.1 <= change.cutout <= 0.25
        assert 0 <= min(change.cutout_x, change.cutout_y) <= max(change.cutout_x, change.cutout_y)


@pytest.mark.parametrize("option", ["horizontal_flip", "clahe", "jpeg", "cutout"])
def test_chances_are_kept(option: str) -> None:
    changes = drawn(AugmentConfig(**{**STILL, option: 0.25}), 0, 4000)
    held = {
        "horizontal_flip": [c.flip for c in changes],
        "clahe": [c.clahe for c in changes],
        "jpeg": [c.jpeg_quality is not None for c in changes],
        "cutout": [c.cutout > 0 for c in changes],
    }
    for name, happened in held.items():
        # four standard errors of a share of 1/4 among 4,000
        assert np.mean(happened) == pytest.approx(0.25 if name == option else 0, abs=0.028)


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_film(seed: int) -> None:
    films = [apply(FILM, drawn(ALL, seed)[0]) for _ in range(2)]
    np.testing.assert_array_equal(*films)
    assert (films[0].shape, films[0].dtype) == (FILM.shape, FILM.dtype)
    assert (apply(FILM, drawn(ALL, seed + 1)[0]) != films[0]).any()


@pytest.mark.parametrize(
    ("option", "touched"),
    [
        ("rotation_degrees", {"angle_degrees"}),
        ("scale", {"scale"}),
        ("stretch", {"stretch"}),
        ("shift", {"shift_x", "shift_y"}),
        ("horizontal_flip", {"flip"}),
        ("brightness", {"brightness"}),
        ("contrast", {"contrast"}),
        ("gamma", {"gamma"}),
        ("clahe", {"clahe"}),
        ("blur_sigma_px", {"blur_sigma_px"}),
        ("jpeg", {"jpeg_quality"}),
        ("noise", {"noise"}),
        ("cutout", {"cutout"}),
    ],
)
def test_an_option_changes_itself_and_nothing_else(option: str, touched: set[str]) -> None:
    assert option in AugmentConfig.model_fields
    without = drawn(ALL.model_copy(update={option: 0.0}), 5, 64)
    differing = {
        field.name
        for field in fields(Change)
        for one, other in zip(drawn(ALL, 5, 64), without, strict=True)
        if getattr(one, field.name) != getattr(other, field.name)
    }
    assert differing == touched


def test_a_change_can_be_written_down_and_done_again() -> None:
    for change in drawn(ALL, 3, 16):
        again = Change(**json.loads(json.dumps(asdict(change))))
        assert again == change
        np.testing.assert_array_equal(apply(FILM, again), apply(FILM, change))


def test_the_film_itself_is_left_alone() -> None:
    before = FILM.copy()
    before.flags.writeable = False  # as a film of a cache is
    for change in (Change(), *drawn(ALL, 0, 8)):
        apply(before, change)
    np.testing.assert_array_equal(FILM, before)


# geometry, beside torchvision and SciPy


@pytest.mark.parametrize(
    "change",
    [
        Change(angle_degrees=7),
        Change(scale=1.1),
        Change(shift_x=0.04, shift_y=-0.03),
        Change(angle_degrees=-12, scale=0.9, shift_x=0.05, shift_y=0.02),
    ],
)
@pytest.mark.slow
def test_the_warp_is_torchvision_s(change: Change) -> None:
    torch = pytest.importorskip("torch")
    v2 = pytest.importorskip("torchvision.transforms.v2")
    expected = v2.functional.affine(
        torch.from_numpy(SMOOTH)[None].float(),
        angle=-change.angle_degrees,  # torchvision turns clockwise
        translate=[change.shift_x * 64, change.shift_y * 64],
        scale=change.scale,
        shear=[0.0, 0.0],
        interpolation=v2.InterpolationMode.BILINEAR,
    )
    assert np.abs(apply(SMOOTH, change) - expected[0].numpy()).max() < 0.51


@pytest.mark.slow
def test_gray_levels_blur_and_jpeg_are_torchvision_s() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    film = torch.from_numpy(SMOOTH)[None]
    gamma = functional.adjust_gamma(film.float() / 255.0, 0.8) * 255.0
    assert np.abs(apply(SMOOTH, Change(gamma=0.8)) - gamma[0].numpy()).max() < 0.51
    blurred = functional.gaussian_blur(film.float(), [9, 9], [1.4, 1.4])[0].numpy()
    assert np.abs(apply(SMOOTH, Change(blur_sigma_px=1.4)) - blurred).max() < 1.01
    coded = functional.jpeg(film, 60)[0].numpy().astype(int)
    assert np.abs(apply(SMOOTH, Change(jpeg_quality=60)) - coded).max() <= 1


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_whole_warp_is_scipy_s(seed: int) -> None:
    config = AugmentConfig(**{**STILL, "rotation_degrees": 20, "scale": 0.2, "stretch": 0.2})
    change = drawn(config.model_copy(update={"shift": 0.1, "horizontal_flip": 0.5}), seed)[0]
    matrix = inverse_map(change)[::-1, [1, 0, 2]]  # SciPy's points are (row, column)
    linear, center = matrix[:, :2], np.full(2, 63 / 2)
    expected = affine_transform(
        SMOOTH.astype(float),
        linear,
        center - linear @ center + 64 * matrix[:, 2],
        order=1,
        mode="grid-constant",
    )
    assert np.abs(apply(SMOOTH, change) - expected).max() < 0.6


def test_a_stretch_widens_and_keeps_the_area() -> None:
    disc = np.zeros((129, 129), np.uint8)
    rows, columns = np.ogrid[:129, :129]
    disc[(rows - 64) ** 2 + (columns - 64) ** 2 <= 40**2] = 255
    wide = apply(disc, Change(stretch=0.2)) > 127
    width, height = wide.any(axis=0).sum(), wide.any(axis=1).sum()
    assert width / height == pytest.approx(1.2, abs=0.03)
    assert wide.sum() == pytest.approx((disc > 0).sum(), rel=0.02)


def test_a_flip_is_a_mirror() -> None:
    np.testing.assert_array_equal(apply(FILM, Change(flip=True)), FILM[:, ::-1])


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_left_stays_left_unless_asked_otherwise(seed: int) -> None:
    film = np.zeros((64, 64), np.uint8)
    film[16:48, 8:16] = 200
    changed = apply(film, drawn(AugmentConfig(), seed)[0])
    assert changed[:, :32].mean() > changed[:, 32:].mean()


def test_a_shift_moves_right_and_down_and_fills_with_black() -> None:
    moved = apply(FILM, Change(shift_x=0.25, shift_y=0.125))
    np.testing.assert_array_equal(moved[8:, 16:], FILM[:-8, :-16])
    assert not moved[:8].any()
    assert not moved[:, :16].any()


# intensity


@pytest.mark.parametrize(
    ("change", "gray"),
    [
        (Change(brightness=0.2), 151),  # 100 + 0.2 * 255
        (Change(contrast=0.5), 114),  # (100 / 255 - 0.5) * 0.5 + 0.5, of 255
        (Change(gamma=2.0), 39),  # (100 / 255) ** 2, of 255
        (Change(brightness=1.0), 255),
        (Change(brightness=-1.0), 0),
    ],
)
def test_gray_levels_by_hand(change: Change, gray: int) -> None:
    film = np.full((8, 8), 100, np.uint8)
    np.testing.assert_array_equal(apply(film, change), gray)


def test_noise_has_the_spread_asked_for() -> None:
    film = np.full((256, 256), 128, np.uint8)
    noisy = apply(film, Change(noise=0.05, noise_at=3)).astype(float)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.05)
    assert noisy.mean() == pytest.approx(128, abs=0.3)
    other = apply(film, Change(noise=0.05, noise_at=GRAIN - 1)).astype(float)
    assert abs(np.corrcoef(noisy.ravel(), other.ravel())[0, 1]) < 0.02


def test_blur_smooths_and_clahe_spreads() -> None:
    assert apply(FILM, Change(blur_sigma_px=1.5)).std() < 0.5 * FILM.std()
    dull = (SMOOTH // 4 + 96).astype(np.uint8)
    assert apply(dull, Change(clahe=True)).std() > 1.5 * dull.std()


def test_jpeg_leaves_its_traces_on_every_film() -> None:
    once = apply(SMOOTH, Change(jpeg_quality=40))
    assert 0 < np.abs(once.astype(int) - SMOOTH).mean() < 10
    again = apply(once, Change(jpeg_quality=40))
    assert np.abs(again.astype(int) - once).mean() < np.abs(once.astype(int) - SMOOTH).mean()


def test_cutout_covers_a_square_and_no_more() -> None:
    changed = apply(FILM, Change(cutout=0.25, cutout_x=0.5, cutout_y=0.25))
    assert (changed[8:24, 24:40] == 128).all()
    changed[8:24, 24:40] = FILM[8:24, 24:40]
    np.testing.assert_array_equal(changed, FILM)
    corner = apply(FILM, Change(cutout=0.25, cutout_x=1.0, cutout_y=0.0))
    assert (corner[:8, 56:] == 128).all()


# refusals


def test_a_mirror_is_refused_where_a_finding_names_a_side(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, mirror = LabelSet("two", ("Mass", "Edema")), AugmentConfig(horizontal_flip=0.5)
    refuse_flip(nih14(), mirror)
    found = {"Mass": Finding("Mass", "", ("RIGHT-sided mass",)), "Edema": Finding("Edema", "")}
    monkeypatch.setattr(augment, "find", found.__getitem__)
    with pytest.raises(UsageError, match=r"'Mass' names a side. Set augment.horizontal_flip=0"):
        refuse_flip(labels, mirror)
    refuse_flip(labels, AugmentConfig())
    found["Mass"] = Finding("Mass", "", ("Upright mass, cleft",))
    refuse_flip(labels, mirror)


def test_defaults_of_a_change_are_what_still_draws() -> None:
    still = drawn(AugmentConfig(**STILL), 1)[0]
    free = {"noise_at", "cutout_x", "cutout_y"}  # where, of things that do not happen
    assert replace(still, **{name: getattr(Change(), name) for name in free}) == Change()
