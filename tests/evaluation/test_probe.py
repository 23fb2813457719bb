"""Alterations beside their controls, and the numbers made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hilum.domain.documents.probe import AlterationKind, RankingVerdict
from hilum.domain.findings import LabelSet
from hilum.evaluation.probe.alter import ALTERATIONS, LUNGS, lung_area, reduced, with_letter
from hilum.evaluation.probe.measure import AlteredScores, ProbedFilms, measure
from hilum.phantom.film import draw_example

NAMES = [one.name for one in ALTERATIONS]
BY_NAME = {one.name: one for one in ALTERATIONS}
Pixels = NDArray[np.float32]


@pytest.fixture(scope="module")
def film() -> Pixels:
    return draw_example(None, 7, size=256).pixels


def made(name: str, film: Pixels, seed: int = 0) -> tuple[Pixels, Pixels]:
    found = BY_NAME[name].make(film, np.random.default_rng(seed))
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_alteration_is_a_film_and_so_is_its_control(film: Pixels, name: str) -> None:
    before = film.copy()
    altered, control = made(name, film)
    np.testing.assert_array_equal(film, before)
    for one in (altered, control):
        assert one.shape == film.shape
        assert one.dtype == np.float32
        assert one.min() >= 0.0
        assert one.max() <= 1.0
        assert not np.array_equal(one, film)
    assert not np.array_equal(altered, control)
    again = made(name, film)
    np.testing.assert_array_equal(altered, again[0])
    np.testing.assert_array_equal(control, again[1])


@pytest.mark.parametrize("name", [n for n in NAMES if n != "letters-wiped"])
@settings(deadline=None)
@given(rows=st.integers(32, 130), columns=st.integers(32, 130), seed=st.integers(0, 99))
def test_any_film_can_be_altered(name: str, rows: int, columns: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((rows, columns), np.float32)
    for one in made(name, pixels, seed):
        assert one.shape == pixels.shape
        assert 0.0 <= one.min() <= one.max() <= 1.0


def touched(film: Pixels, altered: Pixels) -> NDArray[np.bool_]:
    return np.abs(altered - film) > 1e-6


def test_lungs_and_control_cover_equal_areas_that_do_not_meet(film: Pixels) -> None:
    flat = np.full_like(film, 0.2)
    lungs, outside = (touched(flat, one) for one in made(LUNGS, flat))
    assert not (lungs & outside).any()
    assert lungs.sum() == pytest.approx(outside.sum(), rel=0.03)
    assert lungs.mean() == pytest.approx(0.5, abs=0.02)


def test_the_covered_area_does_not_follow_the_film() -> None:
    """The form of a film's own lungs would tell of the finding."""
    films = [draw_example(name, 3, size=128).pixels for name in (None, "Effusion", "Emphysema")]
    areas = {lung_area(one.shape).tobytes() for one in films}
    assert len(areas) == 1


def test_the_covered_area_holds_drawn_lung_findings() -> None:
    shares = []
    for name in ("Nodule", "Mass", "Consolidation", "Pneumonia", "Infiltration"):
        for seed in range(8):
            mask = draw_example(name, seed, size=128).masks[name]
            shares.append((mask & lung_area((128, 128))).sum() / mask.sum())
    assert np.mean(shares) > 0.95


@pytest.mark.parametrize("name", ["letter-left", "letter-right", "device-lines"])
def test_the_control_has_the_same_ink(name: str) -> None:
    black = np.zeros((256, 256), np.float32)
    altered, control = made(name, black)
    assert control.sum() == pytest.approx(altered.sum(), rel=0.06)


def test_letters_are_in_different_places_than_their_controls(film: Pixels) -> None:
    altered, control = (touched(film, one) for one in made("letter-left", film))
    assert not (altered & control).any()
    assert altered[:64, :64].sum() == altered.sum()


def test_a_pasted_letter_is_found_and_wiped() -> None:
    flat = np.full((512, 512), 0.2, np.float32)
    flat += np.linspace(0.0, 0.1, 512, dtype=np.float32)
    marked = with_letter(flat, "R", (0.08, 0.09))
    wiped, control = made("letters-wiped", marked)
    assert np.abs(wiped - flat).max() < 0.1  # the letter is 0.7 above what is around it
    np.testing.assert_array_equal(touched(marked, control)[:256].any(), False)
    assert BY_NAME["letters-wiped"].make(flat, np.random.default_rng(0)) is None


def test_errors_of_compression_are_as_large_in_the_control(film: Pixels) -> None:
    altered, control = made("jpeg-70", film)
    sizes = [float(((one - film) ** 2).mean()) for one in (altered, control)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_gamma_and_control_have_one_mean(film: Pixels) -> None:
    altered, control = made("gamma-1.3", film)
    assert control.mean() == pytest.approx(altered.mean(), rel=1e-4)


def test_a_large_film_is_reduced_first() -> None:
    assert reduced(np.zeros((3000, 2000), np.float32)).shape == (1024, 683)
    small = np.zeros((100, 80), np.float32)
    assert reduced(small) is small


# numbers, where the truth is known

LABELS = LabelSet("two", ("Effusion", "Cardiomegaly"))


def scores(logits: NDArray[np.float64]) -> AlteredScores:
    return AlteredScores(logits, (logits > 0.0).astype(np.int8))


def films(
    moved: dict[str, float] | None = None,
    without_lungs: float = 0.0,
    patients: int = 80,
    labels: bool = True,
) -> ProbedFilms:
    """Scores of 160 films: `moved` adds to the logits of Effusion, `without_lungs` is the share of
    the evidence that is left with the lungs covered."""
    rng = np.random.default_rng(2)
    states = rng.integers(0, 2, (160, 2)).astype(np.int8)
    whole = 3.0 * states - 1.5 + rng.normal(size=states.shape)
    altered = {}
    for one in ALTERATIONS:
        own, other = (whole + 0.1 * rng.normal(size=whole.shape) for _ in range(2))
        own[:, 0] += (moved or {}).get(one.name, 0.0)
        if one.kind is AlterationKind.LUNGS:
            left = without_lungs * (3.0 * states - 1.5)
            own = left + rng.normal(size=whole.shape)
        altered[one.name] = (scores(own), scores(other))
    owners = np.array([f"p{row % patients}" for row in range(160)])
    return ProbedFilms(LABELS, owners, scores(whole), altered, states if labels else None, 500)


def test_nothing_is_named_where_nothing_is_there() -> None:
    found = measure(films())
    assert found.named == ()
    assert found.sensitive == ()
    assert found.ranking["Effusion"].verdict is RankingVerdict.NOT_SHOWN


def test_a_change_is_that_of_the_logits() -> None:
    found = measure(films({"letter-left": 2.0}))
    letter = next(one for one in found.alterations if one.name == "letter-left")
    one = letter.findings["Effusion"]
    assert one.apart.value == pytest.approx(2.0, abs=0.05)
    assert one.in_spread == pytest.approx(2.0 / found.spread["Effusion"], abs=0.05)
    assert one.moved
    assert not letter.findings["Cardiomegaly"].moved
    (sentence,) = found.named
    assert sentence.startswith("Scores follow a letter R pasted at the upper left of the picture")
    assert "Cardiomegaly" not in sentence


def test_a_control_that_moves_alone_names_nothing() -> None:
    """The pieces of a line may look like nodules."""
    given = films()
    _, control = given.altered["device-lines"]
    control.logits[:, 0] += 2.0
    found = measure(given)
    lines = next(one for one in found.alterations if one.name == "device-lines")
    one = lines.findings["Effusion"]
    assert one.apart.value == pytest.approx(-2.0, abs=0.05)
    assert not one.moved
    assert found.named == ()


def test_what_happens_on_a_films_way_is_no_shortcut() -> None:
    found = measure(films({"gamma-1.3": -2.0}))
    assert found.named == ()
    (sentence,) = found.sensitive
    assert sentence.startswith("Scores depend on gray levels to the power of 1.3")


@pytest.mark.parametrize("labels", [True, False])
def test_a_ranking_without_lungs_is_named(labels: bool) -> None:
    found = measure(films(without_lungs=1.0, labels=labels))
    assert found.ranking["Effusion"].verdict is RankingVerdict.READS_THROUGH
    assert found.ranking["Cardiomegaly"].verdict is RankingVerdict.NOT_LUNGS
    (sentence,) = found.named
    assert sentence.startswith("Effusion is read through covered lungs")
    assert ("the films that it calls positive" in sentence) is not labels


def test_less_than_half_of_the_ranking_is_not_named() -> None:
    found = measure(films(without_lungs=0.15))
    assert found.ranking["Effusion"].lungs_covered.value > 0.5
    assert found.ranking["Effusion"].verdict is RankingVerdict.NOT_SHOWN


def test_intervals_are_by_patient() -> None:
    """The same films of fewer patients are worth less."""
    many, few = (measure(films(patients=count)) for count in (160, 8))
    widths = []
    for found in (many, few):
        number = found.ranking["Effusion"].whole
        assert number.low is not None
        assert number.high is not None
        widths.append(number.high - number.low)
    assert found.alterations[0].patients == 8
    assert widths[1] != widths[0]


def test_a_film_that_an_alteration_was_not_done_on_does_not_count() -> None:
    given = films({"letters-wiped": 1.0})
    for one in given.altered["letters-wiped"]:
        one.logits[40:] = np.nan
    found = measure(given)
    wiped = next(one for one in found.alterations if one.name == "letters-wiped")
    assert (wiped.films, wiped.patients) == (40, 40)
    assert wiped.findings["Effusion"].apart.value == pytest.approx(1.0, abs=0.1)


def test_an_alteration_that_no_film_has_is_without_numbers() -> None:
    given = films()
    for one in given.altered["letters-wiped"]:
        one.logits[:] = np.nan
    found = measure(given)
    wiped = next(one for one in found.alterations if one.name == "letters-wiped")
    assert wiped.films == 0
    assert wiped.findings["Effusion"].apart.value is None
    assert wiped.findings["Effusion"].apart.reason == "no film that this could be done on"
