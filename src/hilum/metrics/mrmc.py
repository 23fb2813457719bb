"""Many readers, many cases: is a difference more than these readers and these cases?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mrmc", "PanelSize", "against_one", "obuchowski_rockette", "panel_size"]

_POWER = 0.8
_MOST_READERS = 100
_MOST_TIMES = 10


@dataclass(frozen=True)
class Mrmc:
    """A test over readers and cases.

    Attributes:
        difference: mean over readers; of more than two modalities None.
        low, high: its 95 % interval; None where there is none.
        f: F statistic, for one difference the square of t.
        df: denominator degrees of freedom by Hillis; infinite where readers do not differ.
        p: that there is no difference.
    """

    difference: float | None
    low: float | None
    high: float | None
    f: float
    df: float
    p: float


def obuchowski_rockette(
    values: NDArray[np.float64], covariance: NDArray[np.float64], *, fixed_readers: bool = False
) -> Mrmc:
    """Compare modalities that the same readers read on the same cases.

    The covariance over cases is averaged by kind: of one reader in two modalities (cov1), of two
    readers in one (cov2), of two in two (cov3). With random readers and cases
    `F = MS(T) / (MS(TR) + R max(cov2 - cov3, 0))`, with Hillis' degrees of freedom; with fixed
    readers the result speaks of these readers only.

    Args:
        values: (T, R) a number such as the AUROC of each modality and reader; T, R >= 2.
        covariance: (T R, T R) over cases, rows and columns in the order of `values.ravel()`.
        fixed_readers: whether the readers are all that matter.

    Raises:
        ValueError: for fewer than two modalities or readers, or another shape.

    Source: Obuchowski and Rockette 1995; Hillis 2007 (10.1002/sim.2532).

    >>> values = np.array([[0.9, 0.8, 0.85], [0.95, 0.84, 0.88]])
    >>> found = obuchowski_rockette(values, np.eye(6) * 1e-3 + 5e-4)
    >>> round(found.difference, 3), round(found.df, 1), found.p > 0.001
    (0.04, 2.0, True)
    """
    modalities, readers = values.shape
    if modalities < 2 or readers < 2 or covariance.shape != (values.size, values.size):
        raise ValueError(
            "two modalities and two readers or more are needed, with the covariance of all; "
            f"got {values.shape} and {covariance.shape}"
        )
    modality, reader = (np.arange(values.size) // readers), (np.arange(values.size) % readers)
    same_modality = modality[:, None] == modality
    same_reader = reader[:, None] == reader

    def mean(kept: NDArray[np.bool_]) -> float:
        return float(covariance[kept].mean())

    variance, cov1 = mean(same_modality & same_reader), mean(~same_modality & same_reader)
    cov2, cov3 = mean(same_modality & ~same_reader), mean(~same_modality & ~same_reader)
    means = values.mean(axis=1)
    ms_t = readers * float(means.var(ddof=1))
    rest = values - means[:, None] - values.mean(axis=0) + values.mean()
    free = (modalities - 1) * (readers - 1)
    ms_tr = float((rest**2).sum()) / free
    if fixed_readers:
        error = variance - cov1 + (readers - 1) * max(cov2 - cov3, 0.0)
        df = math.inf
    else:
        error = ms_tr + readers * max(cov2 - cov3, 0.0)
        df = math.inf if ms_tr == 0.0 else error**2 * free / ms_tr**2
    test = _f_test(ms_t, error, modalities - 1, df)
    if modalities > 2:
        return Mrmc(None, None, None, *test)
    return _with_interval(float(means[1] - means[0]), 2.0 * error / readers, test)


def against_one(differences: NDArray[np.float64], covariance: NDArray[np.float64]) -> Mrmc:
    """Compare readers with one model that all are measured against on the same cases.

    `t = mean / sqrt((MS(R) + R max(cov2, 0)) / R)` over the readers' differences, with Hillis'
    degrees of freedom: readers and cases are random, the model is the one that it is.

    Args:
        differences: (R,) each reader's number less the model's; R >= 2.
        covariance: (R, R) of the differences over cases.

    Raises:
        ValueError: for fewer than two readers, or another shape.

    Source: Hillis 2005 (10.1002/sim.2024), one modality.

    >>> found = against_one(np.array([0.02, 0.05, 0.08]), np.full((3, 3), 1e-4) + np.eye(3) * 1e-4)
    >>> round(found.difference, 3), found.low < 0.05 < found.high
    (0.05, True)
    """
    readers = len(differences)
    if readers < 2 or covariance.shape != (readers, readers):
        raise ValueError(
            "two readers or more are needed, with the covariance of their differences; "
            f"got {differences.shape} and {covariance.shape}"
        )
    cov2 = float(covariance[~np.eye(readers, dtype=np.bool_)].mean())
    ms_r = float(differences.var(ddof=1))
    error = ms_r + readers * max(cov2, 0.0)
    df = math.inf if ms_r == 0.0 else error**2 * (readers - 1) / ms_r**2
    mean = float(differences.mean())
    return _with_interval(mean, error / readers, _f_test(readers * mean**2, error, 1, df))


@dataclass(frozen=True)
class PanelSize:
    """A panel that would decide.

    Attributes:
        readers: how many.
        cases: that each of them reads, in the mix of the present ones.
    """

    readers: int
    cases: int


def panel_size(
    differences: NDArray[np.float64],
    covariance: NDArray[np.float64],
    cases: int,
    margin: float | None,
) -> PanelSize | None:
    """Return the smallest panel that shows the second to be no worse, or better, in 80 % of cases.

    With R readers and n times as many cases the mean difference has the variance
    `V = (s2 + (v - cov2) / n) / R + cov2 / n`, where s2 is what readers differ by beyond chance
    and v the mean variance. Enough is `(t + z_80) sqrt(V) <= margin - difference`, t with R - 1
    degrees of freedom; a difference in favor of the second counts as none. To show that it is
    better, enough is `(t + z_80) sqrt(V) <= -difference`. Readers are added, up to 100, while no
    number of cases is enough or more than ten times the present ones would be.

    Args:
        differences: (R,) each reader's number less the model's, or less the same reader's second
            one; R >= 2.
        covariance: (R, R) of the differences over cases.
        cases: that they were measured on.
        margin: how much worse still counts as no worse; None to show that it is better.

    Returns:
        None where the measured difference leaves no room, or no such panel is enough.

    Source: Hillis, Obuchowski and Berbaum 2011 (10.1016/j.acra.2010.09.007), one modality.

    >>> panel_size(np.array([0.0, 0.02, -0.02]), np.eye(3) * 4e-3 + 1e-3, 100, 0.1)
    PanelSize(readers=3, cases=618)
    >>> panel_size(np.array([-0.1, -0.08, -0.12]), np.eye(3) * 4e-3 + 1e-3, 100, None)
    PanelSize(readers=3, cases=618)
    """
    from scipy import stats

    readers, mean = len(differences), float(differences.mean())
    variance = float(np.diag(covariance).mean())
    cov2 = max(float(covariance[~np.eye(readers, dtype=np.bool_)].mean()), 0.0)
    chance = max(variance - cov2, 0.0)
    apart = max(float(differences.var(ddof=1)) - chance, 0.0)
    room = -mean if margin is None else margin - max(mean, 0.0)
    if room <= 0.0:
        return None
    best: PanelSize | None = None
    for panel in range(readers, _MOST_READERS + 1):
        reach = float(stats.t.ppf(0.975, panel - 1)) + float(stats.norm.ppf(_POWER))
        left = (room / reach) ** 2 - apart / panel
        if left <= 0.0:
            continue
        needed = PanelSize(panel, math.ceil(cases * (chance / panel + cov2) / left))
        best = best or needed
        if needed.cases <= _MOST_TIMES * cases:
            return needed
    return best


def _f_test(ms: float, error: float, free: int, df: float) -> tuple[float, float, float]:
    """Return the statistic, its degrees of freedom and p."""
    from scipy import stats

    if error <= 0.0:
        return (math.inf, df, 0.0) if ms > 0.0 else (0.0, df, 1.0)
    f = ms / error
    p = stats.chi2.sf(free * f, free) if math.isinf(df) else stats.f.sf(f, free, df)
    return f, df, float(p)


def _with_interval(mean: float, variance: float, test: tuple[float, float, float]) -> Mrmc:
    from scipy import stats

    f, df, p = test
    if variance <= 0.0:
        return Mrmc(mean, None, None, f, df, p)
    limit = float(stats.norm.ppf(0.975) if math.isinf(df) else stats.t.ppf(0.975, df))
    half = limit * math.sqrt(variance)
    return Mrmc(mean, mean - half, mean + half, f, df, p)
