"""The bundle that comes with hilum: whole, small, and asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum import Bundle
from hilum.bundle.bundle import locate, shipped
from hilum.domain.errors import BundleError
from hilum.domain.findings import nih14
from hilum.domain.radiograph import Radiograph
from hilum.phantom.film import draw_example

Hilum = Callable[..., object]
MEBIBYTES = 16


def test_it_is_found_by_its_name_and_small() -> None:
    folder = locate("starter")
    assert folder == shipped()["starter"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < MEBIBYTES * 2**20


def test_a_folder_of_the_same_name_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "starter").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("starter") == Path("starter")
    with pytest.raises(BundleError, match=r"bundle\.json must be there; starter has none"):
        Bundle.load("starter")


def test_another_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(BundleError, match=r"one of starter; stater is neither\. Did you mean 's"):
        Bundle.load("stater")


def test_it_says_what_it_is_and_was_measured() -> None:
    bundle = Bundle.load("starter")
    assert bundle.manifest.labels == nih14().findings
    card = (bundle.root / "CARD.md").read_text("utf-8")
    assert "Do not read patients with it" in card
    assert "Not evaluated" not in card
    assert "drawn" in card


def test_a_large_heart_raises_cardiomegaly() -> None:
    bundle = Bundle.load("starter")
    said = [
        bundle.predict(Radiograph(draw_example(finding, seed=3).pixels, source="drawn"))
        for finding in (None, "Cardiomegaly")
    ]
    normal, large = (prediction.findings["Cardiomegaly"].probability for prediction in said)
    assert large > normal


def test_predict_takes_its_name(hilum: Hilum, tmp_path: Path) -> None:
    pixels = (draw_example(None, seed=5).pixels * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    hilum("predict", "starter", tmp_path / "film.png", "-o", tmp_path / "out", "-q")
    assert (tmp_path / "out" / "report.html").is_file()
