"""Do heatmaps depend on the learned weights, and on the finding they are made for?

A map that stays as it was when the weights are drawn anew, or that is the same for every finding,
shows the film's edges and the lungs' place, whatever the network does (Adebayo et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.heatmaps import CascadeStep, MapLikeness, Sanity
from hilum.explain.layers import Layer, cascade, layers, write_untrained
from hilum.metrics.resampling import interval, patient_resamples, share

__all__ = [
    "CheckedMap",
    "SanityRun",
    "check_sanity",
    "normalized",
    "rank_correlation",
    "structural_similarity",
]

Maps = Callable[[Path], NDArray[np.float32]]
"""Function from a network's file to its heatmaps of the films, (N, L, h, w)."""

STEPS = 8
"""Steps of the cascade, the head's own first."""
RESAMPLES = 1000
PAIRS = 50
"""Random pairs of maps behind the baseline, of each finding, as in Arun et al. 2021."""
LIMIT = 0.9
"""Mean SSIM of two findings' maps of one film from which they count as the same map."""


@dataclass(frozen=True)
class CheckedMap:
    """A map to check: of which film, of whom, of which finding.

    Attributes:
        row, column: of the maps' (N, L, h, w) array.
        patient_id: whose film.
    """

    row: int
    column: int
    patient_id: str


@dataclass(frozen=True)
class SanityRun:
    """Network, films and seed of a sanity check.

    Attributes:
        network: the `.onnx` file.
        model: its name.
        findings: how many it has.
        precision, provenance: as in the result.
        split: the films.
        notes: what to say of them.
        seed: of weights, pairs and resamples.
    """

    network: Path
    model: str
    findings: int
    precision: str
    provenance: dict[str, str]
    split: SplitFacts
    notes: tuple[str, ...]
    seed: int


def check_sanity(
    run: SanityRun,
    maps: Maps,
    requested: Sequence[CheckedMap],
    advance: Callable[[int, int], None] | None = None,
) -> Sanity:
    """Draw the network's layers anew, from the head down to the stem, and compare its maps.

    Passes when the maps of the network with every layer untrained are less like the trained one's
    than maps of two different films are like each other (Arun et al. 2021), and when the maps of
    two findings of one film differ.

    Args:
        run: what is checked.
        maps: scores the films with a network.
        requested: the maps to compare, of findings that the films have.
        advance: called with (done, total) networks.

    Raises:
        ValueError: when no two patients have maps of the same finding with anything in them.
    """
    trained = maps(run.network)
    kept = [one for one in requested if trained[one.row, one.column].any()]
    others = _random_pairs(trained, kept, run.seed)
    if not others:
        raise ValueError("two patients with the same finding must have maps that are not empty")
    steps = tuple(_cascaded(run, maps, trained, kept, advance))
    baseline = _likeness(others, run.seed)
    both = _pairs_of_findings(trained, kept)
    two = _likeness(both, run.seed) if both else None
    return Sanity(
        model=run.model,
        split=run.split,
        interval=f"95 %: {RESAMPLES} resamples of patients, percentiles",
        seed=run.seed,
        resamples=RESAMPLES,
        precision=run.precision,
        provenance=run.provenance,
        notes=run.notes,
        maps=len(kept),
        empty=len(requested) - len(kept),
        baseline=baseline,
        steps=steps,
        depends_on_weights=_below(steps[-1].likeness, baseline.ssim.value),
        two_findings=two,
        limit=LIMIT,
        depends_on_finding=None if two is None else _below(two, LIMIT),
    )


def _cascaded(
    run: SanityRun,
    maps: Maps,
    trained: NDArray[np.float32],
    kept: Sequence[CheckedMap],
    advance: Callable[[int, int], None] | None,
) -> Iterator[CascadeStep]:
    """Yield the maps of ever less trained networks, compared with the trained one."""
    parts = cascade(layers(run.network, run.findings), STEPS)
    untrained: list[Layer] = []
    with TemporaryDirectory() as folder:
        network = Path(folder) / "untrained.xml"
        for number, part in enumerate(parts, start=1):
            untrained += part
            write_untrained(run.network, untrained, run.seed, network)
            made = maps(network)
            pairs = [(trained[o.row, o.column], made[o.row, o.column], o.patient_id) for o in kept]
            yield CascadeStep(
                down_to=part[-1].name,
                layers=len(untrained),
                empty=sum(not after.any() for _, after, _ in pairs),
                likeness=_likeness(pairs, run.seed),
            )
            if advance is not None:
                advance(number, len(parts))


_Pair = tuple[NDArray[np.float32], NDArray[np.float32], str]
"""Two maps and a patient."""


def _likeness(pairs: Sequence[_Pair], seed: int) -> MapLikeness:
    patients = np.array([patient for _, _, patient in pairs], np.str_)
    draws = patient_resamples(patients, RESAMPLES, np.random.default_rng(seed))
    weights = np.concatenate(list(draws)).astype(np.float64)

    def mean(alike: Callable[[NDArray[np.float32], NDArray[np.float32]], float]) -> Interval:
        values = np.array([alike(one, two) for one, two, _ in pairs], np.float64)
        value = float(values.mean()) if len(values) else float("nan")
        return interval(value, share(weights @ values, weights.sum(axis=1)), "no pair", False)

    return MapLikeness(
        pairs=len(pairs), ssim=mean(structural_similarity), spearman=mean(rank_correlation)
    )


def _below(likeness: MapLikeness, limit: float | None) -> bool:
    """Return whether SSIM, to the upper end of its interval, is below a limit."""
    made = likeness.ssim
    bound = made.value if made.high is None else made.high
    return bound is not None and limit is not None and bound < limit


def _random_pairs(
    trained: NDArray[np.float32], kept: Sequence[CheckedMap], seed: int
) -> list[_Pair]:
    """Return pairs of films of two patients, each pair with the same finding."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0xBA5E)))
    pairs: list[_Pair] = []
    for group in _by(kept, lambda one: one.column).values():
        choices = [p for p in combinations(group, 2) if p[0].patient_id != p[1].patient_id]
        chosen = rng.permutation(len(choices))[:PAIRS]
        pairs += [
            (trained[one.row, one.column], trained[two.row, two.column], one.patient_id)
            for one, two in (choices[number] for number in chosen.tolist())
        ]
    return pairs


def _pairs_of_findings(trained: NDArray[np.float32], kept: Sequence[CheckedMap]) -> list[_Pair]:
    return [
        (trained[one.row, one.column], trained[two.row, two.column], one.patient_id)
        for group in _by(kept, lambda one: one.row).values()
        for one, two in combinations(group, 2)
    ]


def _by(
    kept: Sequence[CheckedMap], key: Callable[[CheckedMap], int]
) -> Mapping[int, list[CheckedMap]]:
    groups: dict[int, list[CheckedMap]] = {}
    for one in kept:
        groups.setdefault(key(one), []).append(one)
    return groups


CELL_PX = 8
"""Pixels a cell, each way, that maps are compared at: SSIM's window then spans a cell and more."""
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def normalized(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map scaled to [0, 1] by its own range, at 8 px per cell; 0 if constant.

    >>> normalized(np.array([[0.0, 2.0]], np.float32)).shape
    (8, 16)
    """
    import cv2

    span = float(heatmap.max()) - float(heatmap.min())
    unit = (heatmap - heatmap.min()) / np.float32(span) if span > 0.0 else np.zeros_like(heatmap)
    size = (heatmap.shape[1] * CELL_PX, heatmap.shape[0] * CELL_PX)
    return np.asarray(cv2.resize(unit, size, interpolation=cv2.INTER_LINEAR), np.float32)


def structural_similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """SSIM of two maps (Wang et al. 2004), mean over the picture, in [-1, 1]; 1 for the same.

    With local means m, variances v and covariance c in a Gaussian window of sigma 1.5 px,
    `(2 m1 m2 + C1)(2 c + C2) / ((m1² + m2² + C1)(v1 + v2 + C2))`, C1 = 0.01² and C2 = 0.03².
    Where both maps are 0 they count as alike, so SSIM has to be read beside a baseline.

    Args:
        first: (h, w), a cell an entry; compared as `normalized`.
        second: of the same shape.

    >>> heat = np.arange(16, dtype=np.float32).reshape(4, 4)
    >>> structural_similarity(heat, 5 * heat)
    1.0
    """
    import cv2

    def smooth(values: NDArray[np.float32]) -> NDArray[np.float64]:
        made = cv2.GaussianBlur(
            values.astype(np.float64), (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101
        )
        return np.asarray(made, np.float64)

    one, two = normalized(first), normalized(second)
    mean_one, mean_two = smooth(one), smooth(two)
    spread_one = smooth(one * one) - mean_one**2
    spread_two = smooth(two * two) - mean_two**2
    shared = smooth(one * two) - mean_one * mean_two
    top = (2.0 * mean_one * mean_two + _C1) * (2.0 * shared + _C2)
    below = (mean_one**2 + mean_two**2 + _C1) * (spread_one + spread_two + _C2)
    return float(np.mean(top / below))


def rank_correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Spearman's rank correlation of two maps' cells, in [-1, 1]; equal cells share their rank.

    0 where a map is constant: its ranks say nothing.

    >>> heat = np.arange(4, dtype=np.float32).reshape(2, 2)
    >>> rank_correlation(heat, heat**3), rank_correlation(heat, np.ones_like(heat))
    (1.0, 0.0)
    """
    from scipy.stats import rankdata

    one, two = (np.asarray(rankdata(heat, axis=None), np.float64) for heat in (first, second))
    one, two = one - one.mean(), two - two.mean()
    norm = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / norm if norm > 0.0 else 0.0
