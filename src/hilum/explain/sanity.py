"""Do heatmaps depend on what the network learned, and on the finding that was asked for?

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

from hilum.domain.documents.base import Interval, SplitFacts
from hilum.domain.documents.sanity import CascadeStep, MapLikeness, Sanity
from hilum.explain.layers import Layer, cascade, layers, write_untrained
from hilum.explain.similarity import rank_correlation, structural_similarity
from hilum.metrics.resampling import interval, patient_resamples, share

__all__ = ["Asked", "SanityRun", "check_sanity"]

Maps = Callable[[Path], NDArray[np.float32]]
"""From a network's file to its heatmaps of the films, (N, L, h, w)."""

STEPS = 8
"""Of the cascade, the head's own first."""
RESAMPLES = 1000
PAIRS = 50
"""Random pairs of maps behind the baseline, of each finding, as in Arun et al. 2021."""
LIMIT = 0.9
"""Mean SSIM of two findings' maps of one film from which they count as the same map."""


@dataclass(frozen=True)
class Asked:
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
    """What is checked.

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
    asked: Sequence[Asked],
    advance: Callable[[int, int], None] | None = None,
) -> Sanity:
    """Draw the network's layers anew, from the head down to the stem, and compare its maps.

    Passes when the maps of the network with every layer untrained are less like the trained one's
    than maps of two different films are like each other (Arun et al. 2021), and when the maps of
    two findings of one film differ.

    Args:
        run: what is checked.
        maps: scores the films with a network.
        asked: the maps to compare, of findings that the films have.
        advance: called with (done, total) networks.

    Raises:
        ValueError: when no two patients have maps of the same finding with anything in them.
    """
    trained = maps(run.network)
    kept = [one for one in asked if trained[one.row, one.column].any()]
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
        empty=len(asked) - len(kept),
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
    kept: Sequence[Asked],
    advance: Callable[[int, int], None] | None,
) -> Iterator[CascadeStep]:
    """The maps of ever less trained networks, beside those of the trained one."""
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
    """Whether SSIM, to the upper end of its interval, is below a limit."""
    made = likeness.ssim
    bound = made.value if made.high is None else made.high
    return bound is not None and limit is not None and bound < limit


def _random_pairs(trained: NDArray[np.float32], kept: Sequence[Asked], seed: int) -> list[_Pair]:
    """Pairs of films of two patients, each pair with the same finding."""
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


def _pairs_of_findings(trained: NDArray[np.float32], kept: Sequence[Asked]) -> list[_Pair]:
    return [
        (trained[one.row, one.column], trained[two.row, two.column], one.patient_id)
        for group in _by(kept, lambda one: one.row).values()
        for one, two in combinations(group, 2)
    ]


def _by(kept: Sequence[Asked], key: Callable[[Asked], int]) -> Mapping[int, list[Asked]]:
    groups: dict[int, list[Asked]] = {}
    for one in kept:
        groups.setdefault(key(one), []).append(one)
    return groups
