"""Localization: do heatmaps point at the finding, better than a guess made without the film?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.heatmaps import Compared, Localization, Pointed
from hilum.metrics.localization import (
    BOX_LEVELS,
    box_overlaps,
    energy_share,
    film_interval,
    heatmap_boxes,
    hit,
    otsu_region,
    part_boxes,
    pointing_game,
    position_prior,
    prior_box,
    region_iou,
)
from hilum.metrics.resampling import interval, patient_resamples, share

__all__ = ["Localization", "Mapped", "Pointed", "measure_localization", "measured"]

RESAMPLES = 1000
FILM_SEED = 0
"""CheXlocalize's."""
GRID = (256, 256)
"""Grid on which the prior and noise are measured, where films differ in size."""
CELLS = 7
"""Cells of noise in each direction, as in a network of 224 px."""
IOUS = (0.1, 0.3, 0.5)
IOBBS = (0.1, 0.25, 0.5, 0.75, 0.9)
CRUMB = 0.15
"""Parts of a finding below this share of its largest get no box of their own."""
HIT = "hit"
MIOU, MIOU_ALL = "CheXlocalize mIoU", "CheXlocalize mIoU, empty maps as 0"
HIT_RATE = "CheXlocalize hit rate"
BY_FILM = (MIOU, MIOU_ALL, HIT_RATE)
FALSE_BOXES = "false boxes a film, IoBB > 0.1"


@dataclass(frozen=True, eq=False)
class Mapped:
    """One film's map of a finding it has, and where the finding is, on one grid.

    Attributes:
        patient_id, finding: the film's patient, and the finding.
        heatmap: (H, W), >= 0; of the film's own size for CheXlocalize's numbers to be its own.
        mask: (H, W) where the finding is.
        image_id: the film's name; empty where each map counts as a film of its own.
    """

    patient_id: str
    finding: str
    heatmap: NDArray[np.float32]
    mask: NDArray[np.bool_]
    image_id: str = ""


@dataclass(frozen=True, eq=False)
class _Kept:
    """A film that was measured, and what is needed to measure its rivals on the grid."""

    patient_id: str
    image_id: str
    mask: NDArray[np.bool_]
    scores: dict[str, float]
    empty: bool
    area: float
    boxes: int


@dataclass(frozen=True, eq=False)
class _Scores:
    """One score each of n maps, of their priors and of noise: (n,) arrays by measure."""

    heatmap: Mapping[str, NDArray[np.float64]]
    prior: Mapping[str, NDArray[np.float64]]
    random: Mapping[str, NDArray[np.float64]]


def measure_localization(entries: Iterable[Mapped], reference: str, seed: int) -> Localization:
    """Measure the maps beside the image-free position prior and beside noise.

    Maps are measured one by one as they come, on their own grid, and dropped. The rivals are
    measured on masks of 256 by 256, or of the entries' own size where all have the same.

    Args:
        entries: heatmap and mask of each positive film and finding.
        reference: such as "reader boxes".
        seed: of the resamples and of the noise.
    """
    by_finding: dict[str, list[_Kept]] = defaultdict(list)
    for number, entry in enumerate(entries):
        by_finding[entry.finding].append(_kept(entry, number))
    groups = {name: group for name, group in sorted(by_finding.items()) if len(group) > 1}
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0x0CA1)))
    played = {name: (group, _scores(group, rng)) for name, group in groups.items()}
    films = _film_draws([kept for group in groups.values() for kept in group])
    everything = list(played.values())
    return Localization(
        reference=reference,
        interval=f"95 %: {RESAMPLES} resamples of patients, percentiles; by_film: CheXlocalize's "
        f"{RESAMPLES} resamples of films",
        seed=seed,
        resamples=RESAMPLES,
        findings={name: _summed([one], films, seed) for name, one in played.items()},
        mean=_summed(everything, films, seed) if everything else None,
    )


def measured(
    heatmap: NDArray[np.float32],
    mask: NDArray[np.bool_],
    boxes: NDArray[np.int32],
    drawn: NDArray[np.int32] | None = None,
) -> dict[str, float]:
    """Compute all measures of one map; NaN where a measure leaves the film out.

    Args:
        heatmap: (H, W), finite and >= 0.
        mask: (H, W) where the finding is, somewhere.
        boxes: (m, 4) around its parts, as of `part_boxes`; each is found or missed, and the map
            gets the share that was found.
        drawn: (n, 4) the map's own boxes; None to put them around its hot parts.
    """
    found = heatmap_boxes(heatmap) if drawn is None else drawn
    hottest = heatmap_boxes(heatmap, BOX_LEVELS[-1:]) if drawn is None else drawn
    iou, iobb = box_overlaps(found, boxes)
    scores = {HIT: float(pointing_game(heatmap, mask) is True)}
    scores["energy in the finding"] = energy_share(heatmap, mask) or 0.0
    for name, overlap, levels in (("IoU", iou, IOUS), ("IoBB", iobb, IOBBS)):
        for level in levels:
            scores[f"{name} > {level:g}"] = _share_found(overlap > level)
    scores[FALSE_BOXES] = float((~(iobb > IOBBS[0]).any(axis=1)).sum())
    scores["centre in a box"] = _share_found(_inside(hottest, boxes))
    region = otsu_region(heatmap)
    scores[MIOU] = _number(region_iou(region, mask, true_positives_only=True))
    scores[MIOU_ALL] = _number(region_iou(region, mask, true_positives_only=False))
    scores[HIT_RATE] = _number(hit(heatmap, mask))
    return scores


def _share_found(found: NDArray[np.bool_]) -> float:
    """Return the share of reference boxes (columns) that some box of the map found."""
    return float(found.any(axis=0).mean()) if found.shape[1] else float("nan")


def _inside(found: NDArray[np.int32], boxes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (n, m) whether a found box holds the center of another."""
    center = ((boxes[:, :2] + boxes[:, 2:]) / 2.0)[None]
    begun, not_ended = center >= found[:, None, :2], center < found[:, None, 2:]
    return np.logical_and.reduce(np.concatenate([begun, not_ended], axis=2), axis=2)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _kept(entry: Mapped, number: int) -> _Kept:
    boxes = part_boxes(entry.mask, CRUMB)
    return _Kept(
        patient_id=entry.patient_id,
        image_id=entry.image_id or f"map {number}",
        mask=entry.mask if entry.mask.size <= GRID[0] * GRID[1] else _on_grid(entry.mask),
        scores=measured(entry.heatmap, entry.mask, boxes),
        empty=not entry.heatmap.any(),
        area=float(entry.mask.mean()),
        boxes=len(boxes),
    )


def _scores(group: Sequence[_Kept], rng: np.random.Generator) -> _Scores:
    import cv2

    masks = _on_one_grid([kept.mask for kept in group])
    size = (masks.shape[2], masks.shape[1])
    rivals: dict[str, list[dict[str, float]]] = {"prior": [], "random": []}
    for prior, mask in zip(position_prior(masks), masks, strict=True):
        boxes = part_boxes(mask, CRUMB)
        noise = rng.random((CELLS, CELLS), np.float32)
        smooth = cv2.resize(noise, size, interpolation=cv2.INTER_LINEAR)
        rivals["prior"].append(measured(prior, mask, boxes, prior_box(prior)))
        rivals["random"].append(measured(np.asarray(smooth, np.float32), mask, boxes))
    return _Scores(
        heatmap=_columns([kept.scores for kept in group]),
        prior=_columns(rivals["prior"]),
        random=_columns(rivals["random"]),
    )


def _on_one_grid(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return (n, rows, columns) masks on one grid, for masks that may differ in size."""
    if len({mask.shape for mask in masks}) == 1 and masks[0].size <= GRID[0] * GRID[1]:
        return np.stack(masks)
    return np.stack([_on_grid(mask) for mask in masks])


def _on_grid(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells of `GRID` that the finding covers by half, or what it covers most of."""
    import cv2

    cover = cv2.resize(mask.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)
    return (cover >= min(0.5, float(cover.max()))) & (cover > 0.0)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


def _film_draws(kept: Sequence[_Kept]) -> dict[str, NDArray[np.int32]]:
    """Return by film (R,) how often it stands in each of CheXlocalize's resamples."""
    films = np.array(sorted({one.image_id for one in kept}), np.str_)
    draws = patient_resamples(films, RESAMPLES, np.random.default_rng(FILM_SEED))
    return dict(zip(films.tolist(), np.concatenate(list(draws)).T, strict=True)) if kept else {}


def _summed(
    parts: Sequence[tuple[list[_Kept], _Scores]],
    films: Mapping[str, NDArray[np.int32]],
    seed: int,
) -> Pointed:
    kept = [one for group, _ in parts for one in group]
    patients = np.array([one.patient_id for one in kept], np.str_)
    draws = list(patient_resamples(patients, RESAMPLES, np.random.default_rng(seed)))
    weights = np.concatenate(draws).astype(np.float64)
    film_draws = np.stack([films[one.image_id] for one in kept], axis=1)

    def mean(values: NDArray[np.float64], name: str) -> Interval:
        there = ~np.isnan(values)
        resampled = share(weights[:, there] @ values[there], weights[:, there].sum(axis=1))
        value = float(values[there].mean()) if there.any() else float("nan")
        return interval(value, resampled, "every map was left out", name != FALSE_BOXES)

    def compared(name: str) -> Compared:
        heat, prior, noise = (
            np.concatenate([rival[name] for rival in rivals])
            for rivals in zip(*((s.heatmap, s.prior, s.random) for _, s in parts), strict=True)
        )
        made = mean(heat, name)
        return Compared(
            heatmap=made,
            prior=mean(prior, name),
            random=mean(noise, name),
            gain=mean(heat - prior, name),
            by_film=_by_film(made, heat, film_draws) if name in BY_FILM else None,
        )

    measures = {name: compared(name) for name in parts[0][1].heatmap}
    hits = measures.pop(HIT)
    return Pointed(
        maps=len(kept),
        patients=len(set(patients.tolist())),
        boxes=sum(one.boxes for one in kept),
        empty=sum(one.empty for one in kept),
        hits=hits.heatmap,
        prior_hits=hits.prior,
        random_hits=hits.random,
        gain=hits.gain,
        area=float(np.mean([one.area for one in kept])),
        measures=measures,
    )


def _by_film(made: Interval, values: NDArray[np.float64], draws: NDArray[np.int32]) -> Interval:
    low, high = film_interval(values, draws)
    if np.isnan(low) or np.isnan(high):
        return Interval(value=made.value, reason="no interval: some resamples have no value")
    return Interval(value=made.value, low=low, high=high)
