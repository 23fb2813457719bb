"""Fingerprint of a film in 256 bits, so that copies of it can be found among many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.inspection import Variant

__all__ = ["WORDS", "as_variant", "fingerprint", "has_contrast"]

WORDS = 4
"""Words of 64 bits in one hash. A hash of 64 bits in all is useless on chest films: within 10 bits
it takes thousands of different patients for one film."""
_HASH_SIDE = 16
_FLAT = 1.0


def as_variant(pixels: NDArray[np.uint8], variant: Variant) -> NDArray[np.uint8]:
    """Return the film in a variant; a variant of a variant is the film again.

    >>> as_variant(np.array([[0, 9]], np.uint8), Variant.MIRRORED).tolist()
    [[9, 0]]
    """
    if variant is Variant.MIRRORED:
        return np.ascontiguousarray(pixels[:, ::-1])
    return 255 - pixels if variant is Variant.INVERTED else pixels


def has_contrast(pixels: NDArray[np.uint8]) -> bool:
    """Return whether there is contrast to compare: all blank films look alike."""
    return float(pixels.std()) > _FLAT


def fingerprint(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Perceptual hash of a film and of its variants.

    The signs, about their median, of the 16 x 16 lowest frequencies of the film at 64 x 64 px
    (`imagehash.phash` with `hash_size=16`). JPEG at quality 50, another size or another contrast
    turn at most 4 of the 256 bits; a mirrored film turns about half, an inverted one nearly all,
    so those variants have hashes of their own.

    Args:
        pixels: (256, 256), see `hilum.imaging.preprocess`.

    Returns:
        (3, 4) uint64: a row for each `Variant`, in its order.
    """
    from imagehash import phash
    from PIL import Image

    bits = [
        phash(Image.fromarray(as_variant(pixels, v)), hash_size=_HASH_SIDE).hash for v in Variant
    ]
    return np.packbits(np.array(bits).reshape(len(Variant), -1), axis=1).view(np.uint64)
