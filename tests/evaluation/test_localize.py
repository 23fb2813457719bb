"""Where maps point, against counting by hand; intervals, priors and what an empty map scores."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.heatmaps import HeatmapEvaluation, Localization, Pointed
from hilum.evaluation.localize import HIT, MIOU, MIOU_ALL, Mapped, measure_localization, measured
from hilum.metrics.localization import (
    otsu_region,
    part_boxes,
    pointing_game,
    position_prior,
    region_iou,
)
from hilum.report.evaluation.heatmaps import heatmap_table

SIDE = 32


def square(row: int, column: int, size: int = 8, side: int = SIDE) -> np.ndarray:
    mask = np.zeros((side, side), np.bool_)
    mask[row : row + size, column : column + size] = True
    return mask


def spot(row: float, column: float, side: int = SIDE) -> np.ndarray:
    rows, columns = np.mgrid[0:side, 0:side]
    far = ((rows - row) ** 2 + (columns - column) ** 2) / (2 * (side / 8) ** 2)
    return np.maximum(np.exp(-far) - 0.05, 0).astype(np.float32)


def entries(seed: int = 0, films: int = 12) -> list[Mapped]:
    rng = np.random.default_rng(seed)
    made: list[Mapped] = []
    for number in range(films):
        for finding in ("Mass", "Nodule") if number % 2 else ("Mass",):
            row, column = rng.integers(0, 24, 2).tolist()
            heat = spot(*(rng.normal([row + 4, column + 4], 3)))
            empty = number == 3
            made.append(
                Mapped(
                    f"p{number // 2}",
                    finding,
                    np.zeros_like(heat) if empty else heat,
                    square(row, column),
                    f"f{number}",
                )
            )
    return made


@pytest.fixture(scope="module")
def localisation() -> Localization:
    return measure_localization(entries(), "boxes", seed=0)


def test_hits_and_their_interval_are_those_of_a_patient_bootstrap(
    localisation: Localization,
) -> None:
    own = [entry for entry in entries() if entry.finding == "Mass"]
    hits = np.array([float(pointing_game(e.heatmap, e.mask) is True) for e in own])
    found = localisation.findings["Mass"]
    assert (found.maps, found.patients, found.boxes, found.empty) == (12, 6, 12, 1)
    assert found.hits.value == pytest.approx(hits.mean())
    rng = np.random.default_rng(0)
    drawn = rng.integers(6, size=(1000, 6))
    shares = [hits.reshape(6, 2)[row].mean() for row in drawn]
    low, high = np.percentile(shares, [2.5, 97.5])
    assert (found.hits.low, found.hits.high) == pytest.approx((low, high))
    assert found.area == pytest.approx(64 / SIDE**2)


def test_the_prior_is_the_other_films_and_the_gain_is_over_it(localisation: Localization) -> None:
    masks = np.stack([entry.mask for entry in entries() if entry.finding == "Mass"])
    priors = position_prior(masks)
    hits = [pointing_game(prior, mask) is True for prior, mask in zip(priors, masks, strict=True)]
    found = localisation.findings["Mass"]
    assert found.prior_hits.value == pytest.approx(np.mean(hits))
    assert found.gain.value == pytest.approx((found.hits.value or 0) - np.mean(hits))
    box = found.measures["IoU > 0.1"]
    assert box.gain.value == pytest.approx((box.heatmap.value or 0) - (box.prior.value or 0))


def test_the_mean_counts_each_map_once(localisation: Localization) -> None:
    parts, mean = localisation.findings, localisation.mean
    assert mean is not None
    assert mean.maps == sum(part.maps for part in parts.values()) == 18
    for name in mean.measures:
        if name != MIOU:  # films may be left out of it
            values = [part.measures[name].heatmap.value or 0.0 for part in parts.values()]
            weighted = np.average(values, weights=[part.maps for part in parts.values()])
            assert mean.measures[name].heatmap.value == pytest.approx(weighted)


def test_chexlocalizes_numbers_are_its_own_and_films_are_resampled(
    localisation: Localization,
) -> None:
    own = [entry for entry in entries() if entry.finding == "Nodule"]
    ious = [region_iou(otsu_region(e.heatmap), e.mask, true_positives_only=True) for e in own]
    there = [iou for iou in ious if iou is not None]
    assert len(there) == len(ious) - 1
    found = localisation.findings["Nodule"].measures
    assert found[MIOU].heatmap.value == pytest.approx(np.mean(there))
    assert found[MIOU_ALL].heatmap.value == pytest.approx(sum(there) / len(ious))
    by_film = found[MIOU].by_film
    assert by_film is not None
    # all twelve films are resampled, those without the finding too
    row_of = {e.image_id: i for i, e in enumerate(own)}
    films = sorted({e.image_id for e in entries()})
    at = [row_of.get(name) for name in films]
    rng = np.random.default_rng(0)
    means = []
    for draw in rng.integers(12, size=(1000, 12)):
        kept = [ious[at[i]] for i in draw if at[i] is not None]
        known = [iou for iou in kept if iou is not None]
        means.append(np.mean(known) if known else np.inf)
    means.sort()
    assert (by_film.low, by_film.high) == pytest.approx((means[24], means[974]))


def test_an_empty_map_scores_nothing() -> None:
    mask = square(4, 4)
    scores = measured(np.zeros((SIDE, SIDE), np.float32), mask, part_boxes(mask))
    assert np.isnan(scores.pop(MIOU))
    assert set(scores.values()) == {0.0}


def test_a_perfect_map_scores_all() -> None:
    mask = square(4, 4)
    scores = measured(mask.astype(np.float32), mask, part_boxes(mask))
    assert scores.pop("false boxes a film, IoBB > 0.1") == 0.0
    assert set(scores.values()) == {1.0}


def test_of_two_boxes_one_found_is_a_half() -> None:
    mask = square(2, 2) | square(20, 20)
    heat = square(2, 2).astype(np.float32)
    scores = measured(heat, mask, part_boxes(mask))
    assert scores[HIT] == 1.0
    assert scores["IoU > 0.5"] == scores["centre in a box"] == 0.5


def test_the_grid_changes_the_prior_little_and_the_maps_not_at_all() -> None:
    """Films of several sizes meet on a grid of 256; each map is measured on its own film."""
    small = measure_localization(entries(), "boxes", seed=0)
    mixed = [
        Mapped(e.patient_id, e.finding, *(np.kron(a, np.ones((k, k), a.dtype)) for a in pair), name)
        for e, k in zip(entries(), [16, 1] * 9, strict=True)
        for pair, name in [((e.heatmap, e.mask), e.image_id)]
    ]
    large = measure_localization(mixed, "boxes", seed=0)
    assert large.mean is not None
    assert small.mean is not None
    assert large.mean.hits == small.mean.hits
    assert large.mean.boxes == small.mean.boxes
    priors = (large.mean.prior_hits.value, small.mean.prior_hits.value)
    assert priors[0] == pytest.approx(priors[1], abs=0.12)


def test_noise_hits_about_as_often_as_the_finding_is_large() -> None:
    halves = [Mapped(f"p{n}", "Mass", spot(4, 4), square(0, 0, 23), f"f{n}") for n in range(300)]
    mean = measure_localization(halves, "boxes", seed=1).mean
    assert mean is not None
    assert mean.random_hits.value == pytest.approx(mean.area, abs=0.08)


def test_a_finding_on_one_film_has_no_prior_and_is_left_out() -> None:
    lone = measure_localization([entries()[0]], "boxes", seed=0)
    assert (lone.findings, lone.mean) == ({}, None)
    assert "No finding has two films" in heatmap_table(evaluation(lone))


def evaluation(localisation: Localization) -> HeatmapEvaluation:
    return HeatmapEvaluation(
        model="toy",
        split=SplitFacts(name="test", sha256="ab" * 32, images=12, patients=6),
        look=2,
        precision="f32",
        provenance={"bundle": "x"},
        notes=("a note",),
        localisation=localisation,
    )


def test_no_number_stands_without_its_interval_and_the_notice(localisation: Localization) -> None:
    document = evaluation(localisation)
    assert HeatmapEvaluation.model_validate_json(document.model_dump_json()) == document
    text = heatmap_table(document)
    for words in ("not a medical device", "not the location of disease", "look number 2", "a note"):
        assert words in text
    tables = [line for line in text.splitlines() if line.startswith(("| Mass", "| all"))]
    assert len(tables) == 2 * (1 + len(localisation.findings["Mass"].measures))
    for line in tables:
        cells = [cell.strip() for cell in line.strip("|").split("|")][
            5 if "patients" in line else 2 :
        ]
        assert all(cell.endswith("]") or cell == "–" for cell in cells), line


def test_every_interval_of_the_document_is_an_interval(localisation: Localization) -> None:
    def intervals(part: object) -> list[Interval]:
        if isinstance(part, Interval):
            return [part]
        values = part.values() if isinstance(part, dict) else vars(part).values()
        kept = [value for value in values if isinstance(value, dict | Interval | Pointed)]
        kept += [v for v in values if hasattr(v, "by_film")]
        return [made for value in kept for made in intervals(value)]

    found = intervals(localisation.findings)
    assert len(found) > 100
    for made in found:
        assert made.low is not None or made.reason
