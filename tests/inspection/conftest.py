"""Drawn films of different patients, in NIH's layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih

Copier = Callable[..., tuple[str, str]]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that tests only read."""
    root = tmp_path_factory.mktemp("inspection") / "drawn"
    return write_nih(PhantomCorpus(patients=9, seed=3, enrichment=4, size=192), root)


@pytest.fixture
def corpus(drawn: Path, tmp_path: Path) -> Path:
    """The same corpus, to be spoilt."""
    return Path(shutil.copytree(drawn, tmp_path / "corpus"))


@pytest.fixture
def copy_into_test(corpus: Path) -> Copier:
    """Replace a test film by a changed copy of a film outside the test list; both names."""

    def make(change: Callable[[np.ndarray], np.ndarray]) -> tuple[str, str]:
        source = (corpus / "train_val_list.txt").read_text().split()[0]
        target = (corpus / "test_list.txt").read_text().split()[0]
        film = cv2.imread(str(corpus / "images" / source), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(corpus / "images" / target), change(film))
        return source, target

    return make
