"""The changes of `augment`, made to a whole batch on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hilum.training.data import augment
from hilum.training.data.augment import Change

__all__ = ["apply"]


@torch.no_grad()
def apply(rasters: Tensor, changes: Sequence[Change]) -> Tensor:
    """Return the changed films: (B, S, S) uint8 in and out, on the device of `rasters`.

    Each step ends in integer gray levels, as in `augment.apply`; rounding may differ by one level.

    Args:
        rasters: (B, S, S) uint8.
        changes: one for each film, without CLAHE and JPEG.

    Raises:
        ValueError: for a different number of changes, or one with CLAHE or JPEG.

    Example:
        >>> film = torch.full((1, 32, 32), 100, dtype=torch.uint8)
        >>> int(apply(film, [Change(brightness=0.2)])[0, 16, 16])
        151
    """
    if len(changes) != len(rasters) or any(c.clahe or c.jpeg_quality for c in changes):
        raise ValueError(
            f"{len(rasters)} films need as many changes, without CLAHE and JPEG; got {len(changes)}"
        )
    films = _warped(rasters, changes)
    table = torch.from_numpy(augment.tables(changes)).to(rasters.device)
    films = table.gather(1, films.flatten(1).long()).view_as(films).float()
    if any(c.blur_sigma_px > augment.BLUR_FROM_PX for c in changes):
        films = _blurred(films, changes)
    if any(c.noise > 0.0 for c in changes):
        films = _noisy(films, changes)
    for film, change in zip(films, changes, strict=True):
        if change.cutout > 0.0:
            film[augment.cutout_box(change, len(film))] = augment.CUTOUT_GRAY
    return films.to(torch.uint8)


def _warped(rasters: Tensor, changes: Sequence[Change]) -> Tensor:
    """Return integer gray levels as float32. affine_grid's unit is half a side, from the center."""
    count, side = rasters.shape[:2]
    maps = np.stack([augment.inverse_map(change) for change in changes])
    maps[:, :, 2] *= 2.0
    theta = torch.from_numpy(maps.astype(np.float32)).to(rasters.device)
    grid = functional.affine_grid(theta, [count, 1, side, side], align_corners=False)
    films = functional.grid_sample(rasters[:, None].float(), grid, align_corners=False)
    return films[:, 0].round()


def _blurred(films: Tensor, changes: Sequence[Change]) -> Tensor:
    """Blur each film with its own Gaussian: rows, then columns, edges mirrored."""
    kernels = torch.from_numpy(_kernels(changes)).to(films.device)
    radius = kernels.shape[1] // 2
    padded = functional.pad(films[None], (radius,) * 4, mode="reflect")
    along = functional.conv2d(padded, kernels[:, None, None, :], groups=len(films))
    down = functional.conv2d(along, kernels[:, None, :, None], groups=len(films))
    return down[0].round()


def _kernels(changes: Sequence[Change]) -> NDArray[np.float32]:
    """Return (B, K) weights; a film that is not blurred has one weight of 1 in the middle."""
    radii = [round(3.0 * c.blur_sigma_px) for c in changes]
    place = np.arange(-max(radii), max(radii) + 1)
    kernels = np.zeros((len(changes), len(place)))
    for kernel, radius, change in zip(kernels, radii, changes, strict=True):
        if change.blur_sigma_px > augment.BLUR_FROM_PX:
            kernel[:] = np.exp(-0.5 * (place / change.blur_sigma_px) ** 2) * (abs(place) <= radius)
        else:
            kernel[place == 0] = 1.0
    return (kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32)


def _noisy(films: Tensor, changes: Sequence[Change]) -> Tensor:
    side = films.shape[1]
    strip = torch.from_numpy(augment.grain(side)).to(films.device)
    noise = torch.stack([strip[c.noise_at :][: side * side] for c in changes]).view_as(films)
    spread = torch.tensor([255.0 * c.noise for c in changes], device=films.device)
    return (films + spread[:, None, None] * noise).round().clamp(0.0, 255.0)
