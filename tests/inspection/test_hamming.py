"""The search finds exactly the pairs that comparing every bit finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.inspection import hamming
from hilum.inspection.hamming import near_pairs


def brute(left: np.ndarray, right: np.ndarray, limit: int) -> list[list[int]]:
    bits = [np.unpackbits(words.view(np.uint8), axis=1) for words in (left, right)]
    distance = (bits[0][:, None] != bits[1]).sum(axis=2)
    films = len(left)
    return [
        [i, j, int(distance[i, j])]
        for i in range(films)
        for j in range(i + 1, films)
        if distance[i, j] <= limit
    ]


@given(seed=st.integers(0, 2**32 - 1), films=st.integers(0, 30), limit=st.integers(0, 256))
@settings(max_examples=25, deadline=None)
def test_it_is_the_comparison_of_every_pair(seed: int, films: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 2**64, (films, 4), np.uint64)
    flipped = rng.random((films, 256)) < rng.choice([0.02, 0.17, 0.5])
    mask = np.packbits(flipped, axis=1).view(np.uint64)
    right = left[rng.integers(0, films, films)] ^ mask if films else left
    assert near_pairs(left, right, limit).tolist() == brute(left, right, limit)


def test_tiles_meet_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "_ROWS", 3)
    monkeypatch.setattr(hamming, "_COLUMNS", 5)
    monkeypatch.setattr(hamming, "_STRIPES", 2)
    hashes = np.random.default_rng(0).integers(0, 2**64, (23, 4), np.uint64)
    done: list[tuple[int, int]] = []
    found = near_pairs(hashes, hashes, 130, lambda *step: done.append(step))
    assert found.tolist() == brute(hashes, hashes, 130)
    assert done[-1] == (23, 23)


def test_opposite_hashes_differ_in_every_bit() -> None:
    hashes = np.array([[0] * 4, [2**64 - 1] * 4], np.uint64)
    assert near_pairs(hashes, hashes, 255).tolist() == []
    assert near_pairs(hashes, hashes, 256).tolist() == [[0, 1, 256]]
