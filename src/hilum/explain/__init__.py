"""Heatmaps drawn over the film, and the zones they peak in.

A heatmap shows which regions raised a finding's score. It is supporting evidence, never the
location of disease.

Evidence: `request` (which maps), `region` (the zones they peak in). Drawing: `ramp` (colors),
`map_layer` (a map to lay over the film), `overlay` (colors over the film), `picture` (tiles and
words), `caption`, `files` (PNG and JPEG). Check: `sanity`, with the
untrained networks of `layers`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.explain.caption import Caption
    from hilum.explain.picture import render
    from hilum.explain.ramp import Style
    from hilum.explain.region import regions
    from hilum.explain.request import HeatmapRequest
    from hilum.explain.sanity import check_sanity, rank_correlation

__all__ = [
    "Caption",
    "HeatmapRequest",
    "Style",
    "check_sanity",
    "rank_correlation",
    "regions",
    "render",
]

_PLACES = {
    "Caption": "hilum.explain.caption",
    "HeatmapRequest": "hilum.explain.request",
    "Style": "hilum.explain.ramp",
    "check_sanity": "hilum.explain.sanity",
    "rank_correlation": "hilum.explain.sanity",
    "regions": "hilum.explain.region",
    "render": "hilum.explain.picture",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that a part does not load the rest."""
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)
