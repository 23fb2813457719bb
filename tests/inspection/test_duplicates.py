"""Copies are found however they were changed; different patients' films are no copies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from hilum.datasets import open_dataset
from hilum.domain.documents.inspection import ProblemCode, Severity, Variant
from hilum.domain.radiograph import Radiograph
from hilum.imaging.preprocess import thumbnail
from hilum.inspection.agreement import agreement
from hilum.inspection.duplicates import LIMIT, find_duplicates
from hilum.inspection.films import look_at, thumbnail_pool
from hilum.inspection.fingerprint import as_variant, fingerprint, has_contrast
from hilum.inspection.inspect import InspectionRequest, inspect_dataset

Change = Callable[[np.ndarray], np.ndarray]


def jpeg(film: np.ndarray, quality: int = 50) -> np.ndarray:
    data = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


CHANGES: dict[str, tuple[Change, Variant]] = {
    "jpeg": (jpeg, Variant.SAME),
    "larger": (lambda film: cv2.resize(film, (300, 300)), Variant.SAME),
    "shifted": (lambda film: np.roll(film, (1, 1), (0, 1)), Variant.SAME),
    "contrast": (lambda film: (20 + 0.8 * film).astype(np.uint8), Variant.SAME),
    "mirrored": (lambda film: jpeg(film[:, ::-1]), Variant.MIRRORED),
    "inverted": (lambda film: jpeg(255 - film), Variant.INVERTED),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_of_a_train_film_in_test_is_an_error(
    corpus: Path, copy_into_test: Callable[[Change], tuple[str, str]], change: str
) -> None:
    make, variant = CHANGES[change]
    source, target = copy_into_test(make)
    found = inspect_dataset(InspectionRequest(corpus))
    (copy,) = found.films.copies
    assert {copy.first, copy.second} == {source, target}
    assert (copy.variant, copy.exact) == (variant, False)
    assert copy.distance <= LIMIT
    assert "test" in (copy.first_split, copy.second_split)
    (problem,) = [p for p in found.problems if p.code is ProblemCode.NEAR_DUPLICATE]
    assert problem.level is Severity.ERROR
    assert source in problem.message
    assert target in problem.message
    assert not found.sound


def test_films_of_different_patients_are_no_copies(drawn: Path) -> None:
    found = inspect_dataset(InspectionRequest(drawn))
    assert found.films.read == found.listed > 20
    assert found.films.copies == ()


def test_the_same_bytes_are_found_without_comparing_pixels(corpus: Path) -> None:
    films = sorted((corpus / "images").iterdir())
    for copy in films[1:4]:
        shutil.copyfile(films[0], copy)
    cohort = open_dataset(corpus)
    with thumbnail_pool(len(cohort)) as pool:
        done = find_duplicates(look_at(cohort.records, pool).read, pool, None)
    # three pairs tie four copies together; six would say no more
    assert len(done.copies) == 3
    assert all(copy.exact and copy.first_split is None for copy in done.copies)
    assert {copy.first for copy in done.copies} == {films[0].name}


def test_the_hash_is_that_of_imagehash(drawn: Path) -> None:
    film = cv2.imread(str(next((drawn / "images").iterdir())), cv2.IMREAD_GRAYSCALE)
    square = cv2.resize(film, (256, 256))
    for variant, words in zip(Variant, fingerprint(square), strict=True):
        expected = imagehash.phash(Image.fromarray(as_variant(square, variant)), hash_size=16)
        bits = np.unpackbits(words.view(np.uint8)).astype(np.bool_)
        assert imagehash.ImageHash(bits.reshape(16, 16)) - expected == 0


def test_mirroring_turns_half_of_the_bits_and_inverting_nearly_all(drawn: Path) -> None:
    film = cv2.imread(str(next((drawn / "images").iterdir())), cv2.IMREAD_GRAYSCALE)
    words = fingerprint(cv2.resize(film, (256, 256)))
    mirrored, inverted = np.bitwise_count(words[0] ^ words[1:]).sum(axis=1, dtype=int)
    assert 90 <= mirrored <= 160
    assert inverted >= 250


@pytest.mark.parametrize("variant", Variant)
def test_a_variant_of_a_variant_is_the_film(variant: Variant) -> None:
    film = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    assert (as_variant(as_variant(film, variant), variant) == film).all()


def test_agreement_is_one_with_itself_and_survives_a_small_shift() -> None:
    rng = np.random.default_rng(0)
    film = cv2.GaussianBlur(rng.integers(0, 256, (280, 280), np.uint8), (0, 0), 2)
    film = cv2.normalize(film, None, 0, 255, cv2.NORM_MINMAX)
    one, shifted = film[10:266, 10:266], film[14:270, 7:263]
    assert agreement(one, one) == pytest.approx((1.0, 1.0))
    assert agreement(one, shifted).copies
    assert not agreement(one, film[24:280, 24:280]).copies  # farther than is looked for
    assert not agreement(one, np.zeros_like(one)).copies


def test_what_is_alike_at_large_and_not_in_detail_is_no_copy() -> None:
    rng = np.random.default_rng(0)
    chest = np.add.outer(np.arange(256), np.arange(256)) / 2.0

    def film() -> np.ndarray:
        detail = cv2.GaussianBlur(rng.normal(0, 25, (256, 256)), (0, 0), 1.5)
        return np.clip(chest + detail, 0, 255).astype(np.uint8)

    found = agreement(film(), film())
    assert found.pixels > 0.98
    assert found.detail < 0.5
    assert not found.copies


def test_blank_films_are_not_compared(corpus: Path) -> None:
    films = sorted((corpus / "images").iterdir())[:3]
    for shade, film in enumerate(films):
        cv2.imwrite(str(film), np.full((64, 64), 10 + shade, np.uint8))
    found = inspect_dataset(InspectionRequest(corpus))
    assert found.films.copies == ()
    assert not has_contrast(thumbnail(Radiograph(np.zeros((4, 4), np.float32), source="a")))
