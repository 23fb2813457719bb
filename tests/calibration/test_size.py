"""The stated number of films gives intervals of the stated width, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.calibration.size import films_for_ratio
from hilum.evaluation.entries import Entries
from hilum.evaluation.subgroups import observed_expected


@pytest.mark.parametrize(("prevalence", "factor"), [(0.05, 1.25), (0.3, 1.1)])
def test_intervals_have_the_stated_width_and_cover(prevalence: float, factor: float) -> None:
    rng = np.random.default_rng(0)
    n = films_for_ratio(prevalence, factor)
    films = np.arange(n)
    widths: list[float] = []
    covered = 0
    for _ in range(200):
        y = rng.random(n) < prevalence
        entries = Entries(films, films, y, np.full(n, prevalence), np.full(n, prevalence))
        found = observed_expected(entries)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        widths.append(float(np.sqrt(found.high / found.low)))
        covered += found.low <= 1.0 <= found.high
    assert np.median(widths) == pytest.approx(factor, rel=0.02)
    assert covered >= 180


def test_what_cannot_be_is_refused() -> None:
    for prevalence, factor in ((0.0, 1.2), (1.0, 1.2), (0.1, 1.0)):
        with pytest.raises(ValueError, match="must be in"):
            films_for_ratio(prevalence, factor)
