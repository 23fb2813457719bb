"""Drawn films: the same bytes for the same seed, and findings where their masks say."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.errors import UsageError
from hilum.domain.findings import nih14
from hilum.domain.radiograph import Radiograph
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.film import PLANTERS, Drawing, draw_example, draw_film

SIZE = 128
FINDINGS = list(nih14())
GEOMETRY = {"Atelectasis", "Cardiomegaly", "Edema", "Emphysema", "Fibrosis"}
"""Findings that change the body itself, and with it the film beyond their masks."""


def digest(corpus: PhantomCorpus) -> str:
    total = hashlib.sha256()
    for plan in corpus.films()[:4]:
        drawing = corpus.draw(plan)
        total.update(drawing.pixels.tobytes())
        for name, mask in sorted(drawing.masks.items()):
            total.update(name.encode() + mask.tobytes())
    return total.hexdigest()


def test_same_seed_same_bytes_in_any_process() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "from hilum.phantom.corpus import PhantomCorpus; from test_film import digest; "
        "print(digest(PhantomCorpus(4, seed=8, size=64)))"
    )
    hashes = {digest(PhantomCorpus(4, seed=8, size=64))}
    for hash_seed in ("0", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(run.stdout.strip())
    assert len(hashes) == 1


def test_films_do_not_depend_on_drawing_order() -> None:
    corpus = PhantomCorpus(4, seed=8, size=64)
    forth = {plan.image_id: corpus.draw(plan).pixels for plan in corpus.films()[:5]}
    back = {plan.image_id: corpus.draw(plan).pixels for plan in reversed(corpus.films()[:5])}
    assert all(np.array_equal(forth[name], back[name]) for name in forth)


def test_another_seed_is_another_film() -> None:
    assert not np.array_equal(
        draw_example(None, 1, SIZE).pixels, draw_example(None, 2, SIZE).pixels
    )


@pytest.mark.parametrize("size", [64, 200, 640])
def test_a_film_is_a_radiograph_of_any_size(size: int) -> None:
    film = Radiograph(draw_example(None, 3, size).pixels, source="drawn.png")
    assert film.shape == (size, size)
    assert film.pixels.std() > 0.1


def test_a_film_is_laid_out_as_a_frontal_chest() -> None:
    films = np.mean([draw_example(None, seed, SIZE).pixels for seed in range(12)], axis=0)
    right, left = films[45:75, 30:48].mean(), films[45:75, 82:98].mean()
    middle, belly, corner = (
        films[45:75, 58:68].mean(),
        films[115:, 40:90].mean(),
        films[:8, :8].mean(),
    )
    assert max(right, left) + 0.2 < min(middle, belly)
    assert corner < middle
    assert films[80:90, 74:82].mean() > films[80:90, 46:54].mean()  # the heart leans to the left


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_finding_is_masked_boxed_and_inside_the_film(finding: str) -> None:
    for seed in range(3):
        drawing = draw_example(finding, seed, SIZE)
        assert list(drawing.masks) == [finding]
        mask = drawing.masks[finding]
        assert mask.shape == (SIZE, SIZE)
        assert mask.dtype == np.bool_
        assert 0 < mask.mean() < 0.6
        assert drawing.boxes
        for box in drawing.boxes:
            assert box.finding == finding
            assert min(box.x, box.y) >= 0 < min(box.width, box.height)
            assert max(box.x + box.width, box.y + box.height) <= 1 + 1e-9
            top, left = round(box.y * SIZE), round(box.x * SIZE)
            low, right = top + round(box.height * SIZE), left + round(box.width * SIZE)
            assert mask[top:low, left:right].any()


def without(finding: str, seed: int) -> tuple[Drawing, Drawing]:
    """The same patient and exposure with and without a finding."""
    corpus = PhantomCorpus(400, seed=seed, enrichment=8.0, size=SIZE)
    plan = next(film for film in corpus.films() if film.findings == (finding,))
    lesions = tuple(replace(lesion, severity=0.9) for lesion in plan.lesions)
    sick = draw_film(replace(plan, lesions=lesions), seed, SIZE)
    return sick, draw_film(replace(plan, lesions=(), findings=()), seed, SIZE)


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_finding_changes_the_film_and_mostly_where_it_says(finding: str) -> None:
    ratios: list[float] = []
    for seed in (1, 2, 3):
        sick, well = without(finding, seed)
        change = np.abs(sick.pixels - well.pixels)
        mask = sick.masks[finding]
        assert change[mask].mean() > 0.01
        ratios.append(float(change[mask].mean() / change[~mask].mean()))
    assert np.median(ratios) > (1.0 if finding in GEOMETRY else 2.5)


def test_effusion_is_bright_and_pneumothorax_dark() -> None:
    for finding, sign in (("Effusion", 1), ("Pneumothorax", -1), ("Consolidation", 1), ("Mass", 1)):
        sick, well = without(finding, 1)
        mask = sick.masks[finding]
        assert sign * (sick.pixels - well.pixels)[mask].mean() > 0.02


def test_mildest_findings_still_have_a_mask() -> None:
    corpus = PhantomCorpus(400, seed=6, enrichment=8.0, size=SIZE)
    for finding in FINDINGS:
        plan = next(film for film in corpus.films() if finding in film.findings)
        mild = tuple(replace(lesion, severity=0.0) for lesion in plan.lesions)
        drawing = corpus.draw(replace(plan, lesions=mild))
        assert set(drawing.masks) == set(plan.findings)
        assert all(mask.any() for mask in drawing.masks.values())


def test_every_nih_finding_can_be_drawn() -> None:
    assert set(PLANTERS) == set(FINDINGS)


def test_an_example_of_an_unknown_finding_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'Effusion'"):
        draw_example("Efusion", 1)
