"""Zones of the film where a heatmap peaks, named as in reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.radiograph import ViewPosition
from hilum.explain.overlay import is_empty

__all__ = ["regions"]

# A zone is named when its own peak reaches this share of the map's peak...
_SHARE = 0.75
# ...and no more than these: a list of half the film says nothing.
_MOST = 3

_HEIGHTS = ("upper", "mid", "lower")
_SIDES = ("right", "central", "left")


def regions(heatmap: NDArray[np.float32], view: ViewPosition) -> tuple[str, ...]:
    """Return the zones that raised the score most, strongest first; none where it is empty.

    The film is cut into thirds both ways, and a zone is named when its highest value is at least
    three quarters of the map's. The patient's right is on the left of a frontal film. A film
    whose view is unknown is read as frontal, which is what a bundle scores; a lateral has no
    sides, so only heights are named.

    Thirds of the film are not lungs: the words say where in the picture the score came from, not
    where disease is, and a mirrored film is named the wrong way round.

    Args:
        heatmap: (H, W) float32, finite, >= 0, H and W at least 3.
        view: how the film was taken.

    Example:
        >>> heat = np.zeros((9, 9), np.float32)
        >>> heat[7, 8], heat[8, 4] = 2.0, 1.9
        >>> regions(heat, ViewPosition.PA)
        ('left lower zone', 'central lower zone')
    """
    if is_empty(heatmap):
        return ()
    frontal = view is not ViewPosition.LL
    zones = np.maximum.reduceat(heatmap, _thirds(heatmap.shape[0]), axis=0)
    zones = np.maximum.reduceat(zones, _thirds(heatmap.shape[1]), axis=1)
    peak = float(zones.max())
    found: dict[str, float] = {}
    for height, band in zip(_HEIGHTS, zones.tolist(), strict=True):
        for side, highest in zip(_SIDES, band, strict=True):
            name = _name(height, side) if frontal else f"{height} zone"
            found[name] = max(found.get(name, 0.0), highest)
    strongest = sorted(found, key=lambda name: -found[name])[:_MOST]
    return tuple(name for name in strongest if found[name] >= _SHARE * peak)


def _name(height: str, side: str) -> str:
    return "central zone" if (height, side) == ("mid", "central") else f"{side} {height} zone"


def _thirds(extent: int) -> list[int]:
    """Return the starts of three parts that differ by at most one line, the longer ones first.

    >>> _thirds(9), _thirds(10), _thirds(11)
    ([0, 3, 6], [0, 4, 7], [0, 4, 8])
    """
    return [0, (extent + 2) // 3, (extent + 2) // 3 + (extent + 1) // 3]
