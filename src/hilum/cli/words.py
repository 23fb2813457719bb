"""Numbers as the command line prints them: never without their interval."""

from __future__ import annotations

from hilum.domain.documents.heatmaps import Localization

__all__ = ["pointing_line"]


def pointing_line(localisation: Localization) -> str:
    """The pointing game of all findings in one line, beside the image-free prior."""
    mean = localisation.mean
    if mean is None:
        return f"pointing game: no finding has two films with {localisation.reference}"
    return (
        f"pointing game against {localisation.reference}: {mean.hits.in_words()} of {mean.maps} "
        f"maps hit; an image-free position prior {mean.prior_hits.in_words()}"
    )
