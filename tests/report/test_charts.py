"""Charts: what is drawn is what was counted."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.report.parts.plots import bar, histogram, pie
from hilum.report.parts.results import (
    BatchTally,
    InputOutcome,
    Spread,
    spread,
)


def test_bar_draws_share_and_tick() -> None:
    drawn = bar(0.25, tick=0.5, marked=True)
    assert 'class="bar marked"' in drawn
    assert 'class="fill" y="2" width="25.00"' in drawn
    assert 'd="M50.00 0V10"' in drawn


def area(path: tuple[float, ...], large: int) -> float:
    """Area of a pie slice from its end points: the disc's share of the angle."""
    x0, y0, x1, y1 = path
    angle = math.atan2(x0 * y1 - y0 * x1, x0 * x1 + y0 * y1) % (2 * math.pi)
    assert large == int(angle > math.pi)
    return angle / (2 * math.pi)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_slices_have_their_share_of_the_disc(numbers: list[int]) -> None:
    drawn = pie([(f"s{i}", n) for i, n in enumerate(numbers)], "n")
    found = re.findall(r'slice-(\d)" d="M0 0L(\S+) (\S+)A98 98 0 (\d) 1 (\S+) (\S+)Z"', drawn)
    total = sum(numbers)
    if len([n for n in numbers if n]) < 2:
        assert drawn.count("<circle") == 1
        return
    for index, x0, y0, large, x1, y1 in found:
        ends = (float(x0), float(y0), float(x1), float(y1))
        assert area(ends, int(large)) == pytest.approx(numbers[int(index)] / total, abs=1e-4)
    assert [int(slice_[0]) for slice_ in found] == [i for i, n in enumerate(numbers) if n]


def test_labels_are_escaped() -> None:
    assert "<b>" not in pie([("<b>", 1)], '"><b>')


@given(st.lists(st.floats(0, 1), max_size=40), st.one_of(st.none(), st.floats(0, 1)))
@settings(max_examples=50, deadline=None)
def test_bins_are_numpys(batch_values: list[float], threshold: float | None) -> None:
    one = spread("Mass", batch_values, threshold)
    assert one.upper >= max([*batch_values, (threshold or 0.0) if batch_values else 0.0])
    # numpy rounds edges where it may; values on one may fall to either side
    expected, edges = np.histogram(batch_values, bins=20, range=(0, one.upper))
    on_edge = any(np.isclose(v, edges, rtol=1e-9, atol=0).any() for v in batch_values)
    assert sum(one.counts) == len(batch_values) == one.n
    if not on_edge:
        assert list(one.counts) == expected.tolist()


def test_histogram_heights_are_proportional_and_the_peak_is_written() -> None:
    drawn = histogram(Spread("Mass", 6, 0.1, 0.5, (4, 0, 2), 0.25))
    assert [float(h) for h in re.findall(r'height="([\d.]+)"', drawn)] == [84.0, 42.0]
    assert ">4</text>" in drawn
    assert ">50%</text>" in drawn
    assert 'class="tick" d="M130.00 ' in drawn
    assert 'aria-label="Mass: 6 films, median 10.0%, threshold 25.0%"' in drawn


def test_a_histogram_of_nothing_says_so() -> None:
    drawn = histogram(spread("Mass", [], 0.5))
    assert "no film scored" in drawn
    assert "nan" not in drawn


def test_counts_of_the_mixed_batch(mixed) -> None:
    tally = BatchTally.of(mixed.results, mixed.labels)
    assert tally.outcomes() == [
        (InputOutcome.POSITIVE, 2),
        (InputOutcome.NEGATIVE, 1),
        (InputOutcome.UNSCORED, 3),
    ]
    counted = {c.finding: (c.positive, c.called) for c in tally.findings()}
    assert counted == {"Atelectasis": (2, 3), "Effusion": (1, 3), "Hernia": (1, 3)}
    assert tally.findings_a_film() == [(0, 1), (1, 0), (2, 2)]
