"""Numbers as the command line prints them: never without their interval."""

from __future__ import annotations

from hilum.domain.result import Interval
from hilum.evaluation.localise import Localisation

__all__ = ["pointing_line", "span"]


def span(number: Interval) -> str:
    """A number with its interval.

    >>> span(Interval(value=0.8, low=0.75, high=0.85))
    '0.800 [0.750, 0.850]'
    """
    if number.value is None:
        return f"none ({number.reason})"
    if number.low is None or number.high is None:
        return f"{number.value:.3f} (no interval)"
    return f"{number.value:.3f} [{number.low:.3f}, {number.high:.3f}]"


def pointing_line(localisation: Localisation) -> str:
    """The pointing game of all findings in one line, beside the image-free prior."""
    mean = localisation.mean
    if mean is None:
        return f"pointing game: no finding has two films with {localisation.reference}"
    return (
        f"pointing game against {localisation.reference}: {span(mean.hits)} of {mean.maps} maps "
        f"hit; an image-free position prior {span(mean.prior_hits)}"
    )
