"""Where on the film a heatmap peaks, in the words a report uses for lung zones."""

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
    """The zones that raised the score most, strongest first; none where it is empty.

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
    peak = float(heatmap.max())
    frontal = view is not ViewPosition.LL
    found: dict[str, float] = {}
    for height, band in zip(_HEIGHTS, np.array_split(heatmap, 3, axis=0), strict=True):
        for side, zone in zip(_SIDES, np.array_split(band, 3, axis=1), strict=True):
            name = _name(height, side) if frontal else f"{height} zone"
            found[name] = max(found.get(name, 0.0), float(zone.max()))
    strongest = sorted(found, key=lambda name: -found[name])[:_MOST]
    return tuple(name for name in strongest if found[name] >= _SHARE * peak)


def _name(height: str, side: str) -> str:
    return "central zone" if (height, side) == ("mid", "central") else f"{side} {height} zone"
