"""Pictures of heatmaps: their size, the words that must stand by them, and empty maps."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.radiograph import Radiograph
from hilum.explain import caption as captions
from hilum.explain import picture
from hilum.explain.caption import Caption
from hilum.explain.overlay import overlay
from hilum.explain.picture import TextLine, line_height, render, text_width, wrapped, write
from hilum.explain.ramp import Style, mixed, ramp

SAID = Caption("Pleural_Thickening", 0.731, 0.41)


def film(rows: int = 300, columns: int = 260) -> Radiograph:
    pixels = np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)
    return Radiograph(pixels, source="film.png")


def spot(rows: int = 300, columns: int = 260) -> np.ndarray:
    row, column = np.mgrid[0:rows, 0:columns]
    far = ((row - 90) / 40) ** 2 + ((column - 80) / 30) ** 2
    return np.exp(-far).astype(np.float32)


def words_of(monkeypatch: pytest.MonkeyPatch, *args: object, **named: object) -> str:
    """Everything that is written on a picture."""
    said: list[str] = []

    def keep(rgb: np.ndarray, line: TextLine, top: int, left: int) -> None:
        said.append(line.text)
        assert top >= 0
        assert top + line_height(line.size) <= rgb.shape[0]
        assert left >= 0
        assert left + text_width(line.text, line.size) <= rgb.shape[1]

    monkeypatch.setattr(picture, "write", keep)
    render(*args, **named)  # type: ignore[arg-type]
    return " ".join(said)


@pytest.mark.parametrize("style", [Style.PLASMA, Style.HOT, Style.JET])
def test_an_overlay_is_the_films_size_and_words_lie_along_its_edge(style: Style) -> None:
    drawn = render(film(), spot(), style, SAID)
    plain = overlay(film(), spot(), style).rgb
    assert drawn.shape == (300, 260, 3)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn[:240], plain[:240])
    assert not np.array_equal(drawn[270:], plain[270:])
    assert np.array_equal(render(film(), spot(), style), plain)


@pytest.mark.parametrize("shape", [(1, 1), (40, 30), (256, 256), (700, 300), (1300, 1100)])
@pytest.mark.parametrize("empty", [False, True])
def test_every_picture_of_every_size_is_drawn(shape: tuple[int, int], empty: bool) -> None:
    heat = np.zeros(shape, np.float32) if empty else spot(*shape) + np.float32(0.01)
    for style, panel in product(Style, (False, True)):
        drawn = render(film(*shape), heat, style, SAID, panel)
        assert drawn.ndim == 3
        if panel or style is Style.TRIPTYCH:
            tiles = 3 if style is Style.TRIPTYCH else 2
            assert drawn.shape[1] >= tiles * shape[1] * min(1.0, 1024 / max(shape))
            assert drawn.shape[1] <= 3 * 1024 + 4 * 40
        else:
            assert drawn.shape == (*shape, 3)


@pytest.mark.parametrize(("style", "panel"), list(product(Style, (False, True))))
@pytest.mark.parametrize("rows", [448, 1024])
def test_words_that_stand_by_every_heatmap(
    style: Style, panel: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = words_of(monkeypatch, film(rows, rows), spot(rows, rows), style, SAID, panel)
    assert "Pleural Thickening 0.73" in said
    assert "not the location of disease" in said
    assert "not a medical device" in said
    assert "mpty" not in said
    if panel or style is Style.TRIPTYCH:
        assert "at or above its threshold of 0.41" in said
        assert "regions that raised the score" in said


@pytest.mark.parametrize(("style", "panel"), list(product(Style, (False, True))))
def test_an_empty_map_is_said_to_be_empty(
    style: Style, panel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = np.zeros((300, 260), np.float32)
    said = words_of(monkeypatch, film(), nothing, style, SAID, panel)
    assert "Empty heatmap: no region raised the score" in said
    assert "ellow" not in said
    assert "most" not in said  # no scale of colors beside nothing


def test_an_empty_map_leaves_the_film_gray() -> None:
    drawn = render(film(), np.zeros((300, 260), np.float32), Style.JET, SAID)
    above = drawn[:200].astype(int)
    assert (above[..., 0] == above[..., 1]).all()
    assert (above[..., 1] == above[..., 2]).all()


def test_a_panel_holds_film_and_overlay() -> None:
    side = 500
    drawn = render(film(side, side), spot(side, side), Style.PLASMA, SAID, panel=True)
    gray = np.rint(film(side, side).pixels * 255).astype(np.uint8)
    wanted = (np.repeat(gray[:, :, None], 3, 2), overlay(film(side, side), spot(side, side)).rgb)
    for tile in wanted:
        first = [
            (top, left)
            for top in range(drawn.shape[0] - side + 1)
            for left in (24, 24 + side + 24, 20, 20 + side + 20)
            if np.array_equal(drawn[top, left : left + side], tile[0])
            and np.array_equal(drawn[top : top + side, left : left + side], tile)
        ]
        assert len(first) == 1


def test_tiles_need_words() -> None:
    with pytest.raises(ValueError, match="must have a caption"):
        render(film(), spot(), Style.TRIPTYCH)
    with pytest.raises(ValueError, match="film's shape"):
        render(film(), spot(20, 20), Style.TRIPTYCH, SAID)


def test_the_same_input_gives_the_same_picture() -> None:
    first = render(film(), spot(), Style.TRIPTYCH, SAID)
    assert np.array_equal(first, render(film(), spot(), Style.TRIPTYCH, SAID))


# colors


def test_jet_is_matplotlibs_and_is_added_as_the_usual_scripts_do() -> None:
    import matplotlib as mpl

    jet = mpl.colormaps["jet"](np.arange(256))[:, :3]
    assert np.abs(ramp(Style.JET) / 255.0 - jet).max() < 0.01
    gray = np.arange(256)[:, None, None]
    added = np.minimum(np.rint(255 * jet) * 0.4 + gray, 255)
    assert np.abs(mixed(Style.JET) - added).max() <= 2


def test_a_triptych_has_the_default_colors() -> None:
    assert np.array_equal(mixed(Style.TRIPTYCH), mixed(Style.PLASMA))


# words


@given(
    text=st.text(alphabet="abc de", max_size=60),
    size=st.integers(8, 30),
    width=st.integers(1, 300),
)
@settings(max_examples=25, deadline=None)
def test_wrapping_keeps_every_word_and_the_width(text: str, size: int, width: int) -> None:
    lines = wrapped([TextLine(text, size, (0, 0, 0))], width)
    assert " ".join(line.text for line in lines).split() == text.split()
    for line in lines:
        assert text_width(line.text, size) <= width or " " not in line.text


def test_letters_are_anti_aliased_and_cut_off_at_the_edge() -> None:
    page = np.zeros((30, 60, 3), np.uint8)
    write(page, TextLine("Effusion and more", 20, (255, 255, 255)), 2, 5)
    assert len(np.unique(page)) > 10
    write(page, TextLine("below the page", 20, (255, 255, 255)), 40, 5)


@pytest.mark.parametrize(
    ("caption", "title", "decision"),
    [
        (Caption("Mass", 0.2, 0.41), "Mass 0.20", "below its threshold of 0.41"),
        (Caption("Mass", 0.41, 0.41), "Mass 0.41", "at or above its threshold of 0.41"),
        (Caption("Mass", 0.0004), "Mass <0.01", "no threshold"),
        (Caption("Mass", 0.9999, 0.5, False), "Mass >0.99", "at or above its threshold of 0.50; "
         "not calibrated"),
        (Caption("Mass"), "Mass", ""),
    ],
)  # fmt: skip
def test_captions(caption: Caption, title: str, decision: str) -> None:
    assert (caption.title, caption.decision) == (title, decision)


def test_every_style_says_what_its_colors_mean() -> None:
    for style in Style:
        said, notice = SAID.long(style, empty=False)
        assert "raised the score" in said
        assert notice == captions.NOT_A_DEVICE


def test_what_a_crop_left_out_is_hatched() -> None:
    """Outside the square that the network saw, and nowhere in it."""
    plain = render(film(), spot())
    assert np.array_equal(render(film(), spot(), seen=(0, 0, 300, 260)), plain)
    marked = render(film(), spot(), seen=(20, 0, 260, 260))
    changed = (marked != plain).any(axis=2)
    assert changed[:20].any()
    assert changed[280:].any()
    assert not changed[20:280].any()
    caption = Caption("Mass", 0.73, 0.41)
    panels = [
        render(film(), spot(), caption=caption, panel=True, seen=seen)
        for seen in (None, (20, 0, 260, 260))
    ]
    assert not np.array_equal(*panels)
