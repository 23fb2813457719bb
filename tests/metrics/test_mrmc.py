"""Readers and cases both random: published figures, and the error rate where nothing differs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from hilum.metrics.delong import delong
from hilum.metrics.mrmc import against_one, obuchowski_rockette, panel_size

PRINTED = [[0.9196, 0.8588, 0.9039, 0.9731, 0.8298], [0.9478, 0.9053, 0.9217, 0.9994, 0.9300]]
"""Wilcoxon areas of 5 readers, 2 modalities, 45 positive and 69 negative cases (Van Dyke 1993)."""
HALF_WINS = 2 * 45 * 69
VAN_DYKE = np.round(np.array(PRINTED) * HALF_WINS) / HALF_WINS
"""The same in full: an area is a whole number of half wins."""
VARIANCE, COV1, COV2, COV3 = 8.0228827e-4, 3.4661371e-4, 3.4407483e-4, 2.3902837e-4
"""Jackknife covariances of the same. Source of both and of the figures below: RJafroc's book,
chapter "Obuchowski Rockette Applications", hand calculation of dataset02."""


def of_kinds(variance: float, cov1: float, cov2: float, cov3: float) -> NDArray[np.float64]:
    modality, reader = np.arange(10) // 5, np.arange(10) % 5
    same_m, same_r = modality[:, None] == modality, reader[:, None] == reader
    one = np.where(same_r, variance, cov2)
    other = np.where(same_r, cov1, cov3)
    return np.where(same_m, one, other)


def test_van_dyke_by_the_published_figures() -> None:
    covariance = of_kinds(VARIANCE, COV1, COV2, COV3)
    found = obuchowski_rockette(VAN_DYKE, covariance)
    assert VAN_DYKE[0, 1] == pytest.approx(0.8587762, abs=5e-8)
    assert found.f == pytest.approx(4.456, abs=5e-4)
    assert found.df == pytest.approx(15.26, abs=5e-3)
    assert found.p == pytest.approx(0.05167, abs=5e-6)
    assert found.difference == pytest.approx(0.0438, abs=5e-5)
    assert (found.low, found.high) == pytest.approx((-0.0003589, 0.0879595), abs=5e-7)
    fixed = obuchowski_rockette(VAN_DYKE, covariance, fixed_readers=True)
    assert fixed.f == pytest.approx(5.476, abs=5e-4)
    assert fixed.p == pytest.approx(0.01928, abs=5e-6)
    assert (fixed.low, fixed.high) == pytest.approx((0.007115, 0.08049), abs=5e-6)


def test_one_modality_by_the_published_standard_error() -> None:
    """Readers of one modality against a fixed number: RJafroc's StdErr and DFi of trt0 and trt1."""
    for row, cov2, error, df in ((0, 4.840e-4, 0.03317, 12.74), (1, 2.042e-4, 0.02157, 12.71)):
        found = against_one(VAN_DYKE[row] - 0.5, np.full((5, 5), cov2))
        assert found.df == pytest.approx(df, rel=2e-3)
        assert found.high is not None
        assert found.difference is not None
        from scipy.stats import t

        half = (found.high - found.difference) / t.ppf(0.975, found.df)
        assert half == pytest.approx(error, rel=1e-3)


def panel(rng: np.random.Generator, readers: int, cases: int) -> tuple[NDArray[np.bool_], NDArray]:
    """Ratings of readers as good on average as the model, with cases that are hard for all."""
    truth = np.arange(cases) < cases // 2
    hard = rng.normal(size=cases)
    skill = 1.5 + 0.25 * rng.normal(size=readers)
    rows = [s * truth + 0.7 * hard + 0.7 * rng.normal(size=cases) for s in (*skill, 1.5)]
    return truth, np.stack(rows)


def rejected(readers: int, cases: int, repetitions: int) -> tuple[float, float]:
    """Share of studies that call equal readers and model different: with Hillis, and paired."""
    rng = np.random.default_rng(11)
    # a reader's mean area is below the model's, as areas bend: what is true on average
    bend = float(np.mean(norm.cdf((1.5 + 0.25 * rng.normal(size=200_000)) / 1.4)))
    shift = bend - float(norm.cdf(1.5 / 1.4))
    hits = np.zeros(2)
    for _ in range(repetitions):
        truth, scores = panel(rng, readers, cases)
        found = delong(truth, scores)
        c = found.covariance
        gaps = found.values[:-1] - found.values[-1] - shift
        cov = c[:-1, :-1] - c[:-1, -1:] - c[-1:, :-1] + c[-1, -1]
        hits += against_one(gaps, cov).p < 0.05, against_one(gaps, 0.0 * cov).p < 0.05
    return tuple(hits / repetitions)


def test_equal_panels_are_called_different_in_one_of_twenty() -> None:
    repetitions = 120
    share, without_cases = rejected(6, 80, repetitions)
    error = 3 * math.sqrt(0.05 * 0.95 / repetitions)
    assert share <= 0.05 + error
    assert without_cases > 0.05 + error  # cases taken as fixed: the test can fail


@pytest.mark.exhaustive
def test_equal_panels_in_4000_studies() -> None:
    share, _ = rejected(6, 120, 4000)
    assert share == pytest.approx(0.05, abs=0.02)


def test_shapes_and_ends() -> None:
    with pytest.raises(ValueError, match="two modalities and two readers or more"):
        obuchowski_rockette(np.zeros((1, 4)), np.eye(4))
    with pytest.raises(ValueError, match="two readers or more"):
        against_one(np.zeros(1), np.eye(1))
    same = against_one(np.full(3, 0.1), np.zeros((3, 3)))
    assert same.p < 1e-12
    three = obuchowski_rockette(np.random.default_rng(0).random((3, 4)), np.eye(12))
    assert three.difference is None
    assert 0.0 <= three.p <= 1.0


def test_a_panel_of_the_size_asked_for_decides_in_four_of_five_studies() -> None:
    """Readers and cases drawn anew: the upper bound stays below the margin in 80 % of studies."""
    rng = np.random.default_rng(2)
    apart, chance, cov2, cases, margin = 0.02, 0.04**2, 0.03**2, 100, 0.08

    def share(readers: int, many: int) -> float:
        times = many / cases
        covariance = np.full((readers, readers), cov2) + np.eye(readers) * chance
        shown = 0
        for _ in range(400):
            own = rng.normal(0, apart, readers) + rng.normal(0, math.sqrt(chance / times), readers)
            found = against_one(own + rng.normal(0, math.sqrt(cov2 / times)), covariance / times)
            shown += found.high is not None and found.high < margin
        return shown / 400

    # differences with exactly the variance that such readers have
    unit = np.array([-1.0, 0.0, 1.0, -0.5, 0.5])
    measured = unit / unit.std(ddof=1) * math.sqrt(apart**2 + chance)
    covariance = np.full((5, 5), cov2) + np.eye(5) * chance
    size = panel_size(measured, covariance, cases, margin)
    assert size is not None
    assert size.readers == 5
    assert 0.74 < share(size.readers, size.cases) < 0.92
    assert share(size.readers, size.cases // 3) < 0.6
    assert panel_size(measured + margin, covariance, cases, margin) is None
