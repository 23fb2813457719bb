"""Preprocessing version 2: each rule is what its library gives, for films of any size and depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from hilum.domain.radiograph import Radiograph
from hilum.imaging.preprocess import Fit, Preprocessing
from hilum.imaging.resize import Resize, resized
from hilum.phantom.film import draw_example

REAL = Path(__file__).parents[3] / "shared" / "data" / "nih_1024"
SECOND_SHA256 = "dbaa1776c6dfb6acad331aeeb23957a48739f672bffb3b91cb900c9783212f29"
"""Hash of rules of version 2, from before equalize, blur and fill existed."""
OLD_SHA256 = "4b115c4156364f192c7dce142031f642fe3eeebe249f2d097673b2e45ce6b5e2"


def films() -> Iterator[NDArray[np.unsignedinteger]]:
    """Films of 8 and 16 bits: square, oblong with odd sides, and smaller than the network's."""
    real = sorted(REAL.glob("*.png"))[:2]
    whole = [np.asarray(Image.open(path).convert("L")) for path in real]
    drawn = draw_example("Effusion", seed=3).pixels
    whole.append(np.rint(np.kron(drawn, np.ones((3, 3))) * 255).astype(np.uint8))
    rng = np.random.default_rng(0)
    for film in whole:
        yield film
        yield film[3:700, 101:500]
        yield film[100:221, 200:331]
        noise = rng.integers(0, 200, film.shape)
        yield np.minimum(film.astype(np.int64) * 257 + noise, 65535).astype(np.uint16)[:377, :501]


def film_of(values: NDArray[np.unsignedinteger]) -> Radiograph:
    white = np.float32(np.iinfo(values.dtype).max)
    return Radiograph((values / white).astype(np.float32), source="film")


def test_torchxrayvision() -> None:
    xrv = pytest.importorskip("torchxrayvision")
    ours = Preprocessing(
        fit=Fit.CROP,
        channels=1,
        mean=(0.5,),
        std=(1 / 2048,),
        version=2,
        resize=Resize.SKIMAGE,
        depth="float",
    )
    crop, resize = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(224)
    for values in films():
        theirs = resize(crop(xrv.datasets.normalize(values, np.iinfo(values.dtype).max)[None]))
        got = ours.normalize(ours.raster(film_of(values))[None])[0]
        assert np.abs(got - theirs).max() / 2048 < 1e-6, values.shape


@pytest.mark.parametrize(("side", "rule"), [(256, "pil-bilinear"), (224, "pil-bicubic")])
def test_torchvision(side: int, rule: str) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    mode = transforms.InterpolationMode(rule.removeprefix("pil-"))
    ours = Preprocessing(fit=Fit.CROP, version=2, resize=Resize(rule), shorter_side=side)
    theirs = transforms.Compose(
        [
            transforms.Resize(side, mode),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(ours.mean, ours.std),
        ]
    )
    for values in films():
        if values.dtype == np.uint8:
            want = theirs(Image.fromarray(values).convert("RGB")).numpy()
            got = ours.normalize(ours.raster(film_of(values))[None])[0]
            assert np.abs(got - want).max() < 1e-6, values.shape


def test_nearest_is_that_of_keras() -> None:
    ours = Preprocessing(fit=Fit.STRETCH, version=2, resize=Resize.NEAREST)
    for values in films():
        if values.dtype == np.uint8:
            want = Image.fromarray(values).resize((224, 224), Image.Resampling.NEAREST)
            assert (ours.raster(film_of(values)) == np.asarray(want)).all()


def test_floats_are_not_rounded() -> None:
    film = film_of(next(films()))
    for rule in Resize:
        deep = Preprocessing(fit=Fit.STRETCH, version=2, resize=rule, depth="float").raster(film)
        flat = Preprocessing(fit=Fit.STRETCH, version=2, resize=rule).raster(film)
        assert deep.dtype == np.float32
        assert flat.dtype == np.uint8
        assert np.abs(deep.clip(0, 1) * 255 - flat).max() < 4.0, rule
        assert np.unique(deep).size > 256 or rule is Resize.NEAREST


def test_the_border_counts_in_scikit_images_rule() -> None:
    white = np.ones((100, 100), np.float32)
    white[75, 75] = 0.0  # the result is clipped to the film's own range
    inside = resized(white, (50, 50), Resize.SKIMAGE, 0.0, False)
    assert inside[25, 25] == 1.0
    assert inside[0, 0] < 0.9
    assert resized(white, (50, 50), Resize.SKIMAGE, 1.0, False)[0, 0] == 1.0


def test_version_1_knows_none_of_it() -> None:
    tree = Preprocessing().model_dump(mode="json")
    later = {"resize", "depth", "shorter_side", "equalize", "blur", "fill"}
    assert not later & tree.keys()
    assert Preprocessing.model_validate(tree) == Preprocessing()
    assert Preprocessing().sha256() == OLD_SHA256
    second = Preprocessing(version=2, fit=Fit.CROP, resize=Resize.SKIMAGE, depth="float")
    assert second.sha256() == SECOND_SHA256
    for rule in (
        *({"fit": "crop"}, {"fit": "corner"}, {"resize": "skimage"}, {"depth": "float"}),
        *({"equalize": True}, {"blur": 3}, {"fill": 128}),
    ):
        with pytest.raises(ValidationError, match="version must be 2"):
            Preprocessing.model_validate(rule)
        made = Preprocessing.model_validate({**rule, "version": 2})
        assert made.sha256() not in (OLD_SHA256, Preprocessing(version=2).sha256())
        assert Preprocessing.model_validate(made.model_dump(mode="json")) == made
    with pytest.raises(ValidationError, match="shorter_side belongs to fit crop"):
        Preprocessing(version=2, shorter_side=256)
    for rule in ({"clahe_clip": 2.0}, {"equalize": True}, {"blur": 3}):
        with pytest.raises(ValidationError, match="need 8 bits"):
            Preprocessing.model_validate({**rule, "version": 2, "depth": "float"})


def test_a_map_comes_back_from_the_corner() -> None:
    ours = Preprocessing(fit=Fit.CORNER, version=2, size=64, fill=128)
    for shape in ((300, 200), (200, 300)):
        film = Radiograph(np.zeros(shape, np.float32), source="film")
        square = ours.raster(film)
        place = ours.placement(shape)
        assert (place.top, place.left, max(place.height, place.width)) == (0, 0, 64)
        assert not square[: place.height, : place.width].any()
        assert set(np.unique(square)) == {0, 128}
        back = ours.to_film((square == 0).astype(np.float32), shape)
        assert (back[:150, :150] == 1.0).all()


@pytest.mark.parametrize("shorter", [None, 256])
def test_a_map_comes_back_through_the_crop(shorter: int | None) -> None:
    ours = Preprocessing(fit=Fit.CROP, version=2, shorter_side=shorter)
    shape = (600, 450)
    film = np.zeros(shape, np.float32)
    film[300:340, 150:180] = 1.0
    square = ours.raster(Radiograph(film, source="film"))
    back = ours.to_film(square.astype(np.float32), shape)
    rows, columns = np.nonzero(back > 127)
    assert abs(rows.mean() - 319.5) < 2
    assert abs(columns.mean() - 164.5) < 2
    top, left, height, width = ours.seen(shape)
    ones = ours.to_film(np.ones((7, 7), np.float32), shape)
    assert ones[top : top + height, left : left + width].min() > 0.999
    assert ones.sum() == pytest.approx(height * width, rel=1e-3)
    assert height * width < 600 * 450
