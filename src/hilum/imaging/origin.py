"""What is known of a film before its bytes are decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode
from hilum.domain.radiograph import Radiograph

__all__ = ["Origin"]


@dataclass(frozen=True)
class Origin:
    """Where a film is from.

    Attributes:
        name: what the film is called.
        sha256: of its bytes, hex.
        codes: reasons to warn that the name or the bytes gave.
    """

    name: str
    sha256: str = ""
    codes: tuple[ReasonCode, ...] = ()

    def film(self, pixels: NDArray[np.float32], codes: tuple[ReasonCode, ...] = ()) -> Radiograph:
        """A film whose file says nothing beyond its pixels, with the reasons met in decoding."""
        return Radiograph(pixels, self.name, self.sha256, codes=(*self.codes, *codes))
