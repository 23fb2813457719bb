"""The gate's small model on drawn films: what passes, and what must not."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode
from hilum.domain.radiograph import Radiograph
from hilum.files.sealed import seal
from hilum.imaging.gate import GateRules, screen
from hilum.imaging.gate.network import model_file, shipped, shipped_sha256
from hilum.imaging.gate.picture import framed, overview, seen
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.film import draw_example

Field = NDArray[np.float32]
FILMS = [draw_example(None, seed, size=256).pixels for seed in range(4)]


def outcome(pixels: Field, *codes: ReasonCode) -> tuple[str, frozenset[ReasonCode]]:
    film = Radiograph(np.ascontiguousarray(pixels, np.float32), source="drawn.png", codes=codes)
    try:
        return "pass", frozenset(screen(film))
    except FilmError as error:
        return "reject", frozenset((error.code,))


@pytest.mark.parametrize("size", [128, 192, 256, 512])
def test_drawn_films_of_every_size_pass(size: int) -> None:
    corpus = PhantomCorpus(patients=3, seed=31, enrichment=4.0, size=size)
    refused = [
        codes for d in corpus.drawings() for way, codes in [outcome(d.pixels)] if way != "pass"
    ]
    assert refused == []


def padded(film: Field) -> Field:
    return np.pad(film, 46)


def with_marker(film: Field) -> Field:
    out = film.copy()
    out[10:35, 215:245] = 1.0
    return out


@pytest.mark.parametrize("way", [padded, with_marker, np.sqrt, lambda film: film**2])
def test_borders_markers_and_exposure_change_nothing(way: Callable[[Field], Field]) -> None:
    assert [outcome(way(film)) for film in FILMS] == [("pass", frozenset())] * len(FILMS)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (lambda film: 1 - film, ReasonCode.INVERTED_SUSPECTED),
        (lambda film: np.rot90(film, 1), ReasonCode.ORIENTATION_SUSPECTED),
        (lambda film: np.rot90(film, 2), ReasonCode.ORIENTATION_SUSPECTED),
        (lambda film: np.rot90(film, 3), ReasonCode.ORIENTATION_SUSPECTED),
        (np.flipud, ReasonCode.ORIENTATION_SUSPECTED),
        (lambda film: np.tile(film[::2, ::2], (2, 2)), ReasonCode.COLLAGE_SUSPECTED),
        (lambda film: np.hstack([film, film]), ReasonCode.COLLAGE_SUSPECTED),
    ],
)
def test_spoilt_films_are_rejected(way: Callable[[Field], Field], code: ReasonCode) -> None:
    for film in FILMS:
        assert outcome(way(film)) == ("reject", {code})


def noise() -> Field:
    return np.random.default_rng(0).random((512, 512)).astype(np.float32)


def ramp() -> Field:
    return np.linspace(0, 1, 256 * 256, dtype=np.float32).reshape(256, 256)


@pytest.mark.parametrize("picture", [noise, ramp])
def test_what_is_no_chest_is_out_of_distribution(picture: Callable[[], Field]) -> None:
    assert outcome(picture()) == ("reject", {ReasonCode.OOD})


def test_a_mirrored_film_is_named_and_never_corrected() -> None:
    way, codes = outcome(np.fliplr(FILMS[0]))
    assert (way, codes - {ReasonCode.MIRRORED_SUSPECTED}) == ("pass", frozenset())


def test_a_third_missing_is_a_warning() -> None:
    film = FILMS[1].copy()
    film[:, :90] = 0
    way, codes = outcome(film)
    assert (way, codes - {ReasonCode.OOD_SCORE_HIGH}) == (
        "pass",
        {ReasonCode.LUNG_FIELD_INCOMPLETE},
    )


def test_a_picture_in_color_is_no_export_of_a_film() -> None:
    color = ReasonCode.COLOR_CONVERTED
    assert outcome(FILMS[2], color) == ("pass", {ReasonCode.OOD_SCORE_HIGH})


def test_a_drawing_in_three_grays_is_no_chest_rather_than_a_film_of_few_grays() -> None:
    drawing = np.full((256, 256), 0.04, np.float32)
    for finger in range(5):
        drawing[30:160, 45 + 38 * finger : 65 + 38 * finger] = 0.75
    drawing[130:240, 45:215] = 0.65
    assert outcome(drawing) == ("reject", {ReasonCode.OOD})
    assert outcome((FILMS[0] > 0.5).astype(np.float32))[1] == {ReasonCode.LOW_DYNAMIC_RANGE}


def test_a_file_that_asked_for_it_is_warned_and_not_refused() -> None:
    sideways, inverted = np.rot90(FILMS[0]), 1 - FILMS[0]
    turned = outcome(sideways, ReasonCode.EXIF_ORIENTATION_APPLIED)
    assert turned == ("pass", {ReasonCode.ORIENTATION_SUSPECTED})
    negative = outcome(inverted, ReasonCode.RESCALE_APPLIED)
    assert negative == ("pass", {ReasonCode.INVERTED_SUSPECTED})


def test_thresholds_decide() -> None:
    film = Radiograph(np.ascontiguousarray(1 - FILMS[0]), source="drawn.png")
    assert screen(film, GateRules(pixel_model=False)) == ()
    with pytest.raises(FilmError, match="score"):
        screen(film, GateRules())


def test_the_same_picture_gives_the_same_scores() -> None:
    model = shipped("chest1")
    first, second = model.look(seen(FILMS[0])), model.look(seen(FILMS[0].copy()))
    assert first == second
    with pytest.raises(ValueError, match="64"):
        model.look(np.zeros((32, 32), np.float32))


def test_reducing_in_two_steps_is_the_same_look() -> None:
    film = draw_example(None, 5, size=1024).pixels
    assert np.abs(seen(film) - seen(overview(film))).max() < 1e-3


def test_a_frame_never_takes_the_film() -> None:
    assert framed(np.zeros((128, 128), np.float32)).shape == (128, 128)
    thin = np.zeros((128, 128), np.float32)
    thin[60] = np.linspace(0, 1, 128)
    assert min(framed(thin).shape) >= 1


def test_the_model_file_is_small_plain_and_says_where_it_is_from() -> None:
    path = model_file("chest1")
    data = path.read_bytes()
    assert len(data) <= 300 * 1024
    assert hashlib.sha256(data).hexdigest() == shipped_sha256("chest1")
    about = shipped("chest1").about
    assert about["sources"]
    assert about["rates"]
    for row in about["rates"]:
        assert 0 <= row["low"] <= row["count"] / row["n"] <= row["high"] <= 1, row
    assert "/" not in json.dumps([row["part"] for row in about["rates"]])


def test_a_bundle_without_a_gate_keeps_its_id_and_has_the_default(tmp_path: Path) -> None:
    from hilum.bundle import Bundle
    from hilum.bundle.bundle import locate

    copy = Path(shutil.copytree(locate("starter"), tmp_path / "bundle"))
    tree = json.loads((copy / "bundle.json").read_text())
    del tree["gate"]
    tree["seal"] = seal(tree)
    (copy / "bundle.json").write_text(json.dumps(tree))
    bundle = Bundle.load(copy)
    assert bundle.manifest.gate == GateRules()
    assert bundle.id == tree["seal"][:12] != Bundle.load("starter").id
