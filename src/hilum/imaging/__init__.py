"""Reading of film files, by content and never by suffix, and the network's input from a film."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.domain.radiograph import Radiograph
    from hilum.imaging.gate import GateRules, screened
    from hilum.imaging.preprocess import Preprocessing
    from hilum.imaging.read import read_dataset, read_image

__all__ = [
    "GateRules",
    "Preprocessing",
    "Radiograph",
    "read_dataset",
    "read_image",
    "screened",
]

_PLACES = {
    "GateRules": "hilum.imaging.gate",
    "Preprocessing": "hilum.imaging.preprocess",
    "Radiograph": "hilum.domain.radiograph",
    "read_dataset": "hilum.imaging.read",
    "read_image": "hilum.imaging.read",
    "screened": "hilum.imaging.gate",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that a part does not load the rest."""
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)
