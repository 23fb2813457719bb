"""Changes made on the training device are those made on the CPU, within rounding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from hilum.runs.recipe_parts import AugmentConfig
from hilum.training.data import augment, augment_device
from hilum.training.data.augment import Change

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
CONFIG = AugmentConfig(
    stretch=0.1, horizontal_flip=0.5, blur_sigma_px=3.0, noise=0.05, cutout=0.5, shift=0.1
)


def films(count: int, side: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 256, (count, side, side)).astype(np.uint8)
    return np.stack(
        [
            cv2.normalize(cv2.GaussianBlur(film, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)
            for film in drawn
        ]
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("side", [64, 95])
def test_a_batch_is_changed_as_its_films_are(device: str, side: int) -> None:
    rasters = films(16, side)
    changes = augment.draw(CONFIG, np.random.default_rng(1), 16)
    made = augment_device.apply(torch.from_numpy(rasters).to(device), changes)
    assert (made.dtype, made.shape, made.device.type) == (torch.uint8, (16, side, side), device)
    expected = np.stack(
        [augment.apply(film, change) for film, change in zip(rasters, changes, strict=True)]
    )
    # a half that is rounded the other way is a level, and contrast makes it two
    apart = np.abs(made.cpu().numpy().astype(int) - expected)
    assert apart.max() <= 3
    assert apart.mean() < 0.1


@pytest.mark.parametrize(
    "change",
    [
        Change(),
        Change(flip=True),
        Change(shift_x=0.25, shift_y=-0.125),
        Change(brightness=0.1, contrast=1.2, gamma=0.9),
        Change(noise=0.1, noise_at=12345),
        Change(cutout=0.2, cutout_x=0.05, cutout_y=0.9),
    ],
)
def test_whole_pixels_and_gray_levels_are_equal(change: Change) -> None:
    rasters = films(2, 64)
    made = augment_device.apply(torch.from_numpy(rasters), [change] * 2)
    expected = np.stack([augment.apply(film, change) for film in rasters])
    np.testing.assert_array_equal(made.numpy(), expected)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.7, 5.0])
def test_blur_is_opencv_s(sigma: float) -> None:
    rasters = films(2, 64)
    changes = [Change(blur_sigma_px=sigma), Change()]
    made = augment_device.apply(torch.from_numpy(rasters), changes).numpy().astype(int)
    assert np.abs(made[0] - augment.apply(rasters[0], changes[0])).max() <= 1
    np.testing.assert_array_equal(made[1], rasters[1])


@pytest.mark.parametrize("change", [Change(clahe=True), Change(jpeg_quality=50)])
def test_what_only_a_cpu_can_do_is_refused(change: Change) -> None:
    with pytest.raises(ValueError, match="without CLAHE and JPEG"):
        augment_device.apply(torch.zeros(1, 32, 32, dtype=torch.uint8), [change])


def test_every_film_needs_its_change() -> None:
    with pytest.raises(ValueError, match="2 films need as many changes"):
        augment_device.apply(torch.zeros(2, 32, 32, dtype=torch.uint8), [Change()])
