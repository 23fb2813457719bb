"""One vocabulary of views: laws over spellings, and the words of headers and tables."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.domain.radiograph import ViewPosition, words_of

LATERAL = ["LATERAL", "LAT", "LL", "RL", "LLAT", "RLAT", "LATL", "Latéral", "PERFIL", "profil"]
SPECIAL = ["OBLIQUE", "DECUBITUS", "SWIMMERS", "LORDOTIC", "LLD", "RPO", "XTABLE", "AXIAL"]
NEUTRAL = ["LEFT", "RIGHT", "ERECT", "SUPINE", "PORTABLE", "BEDSIDE", "CHEST", "SITTING", "2"]
BETWEEN = st.sampled_from([" ", "_", "-", "/", ", ", " - ", "^"])
CASES = st.sampled_from([str.upper, str.lower, str.title])


@st.composite
def mixed(draw: st.DrawFn, words: list[str]) -> str:
    """Words in any order, case and punctuation, among words that say nothing of the view."""
    others = draw(st.lists(st.sampled_from(NEUTRAL), max_size=3))
    order = draw(st.permutations([draw(st.sampled_from(words)), *others]))
    return draw(CASES)(draw(BETWEEN).join(order))


@given(mixed(LATERAL))
def test_what_names_a_lateral_view_is_lateral(text: str) -> None:
    assert ViewPosition.from_words(text) is ViewPosition.LL


@given(mixed(SPECIAL))
def test_what_names_a_special_view_is_not_frontal(text: str) -> None:
    assert ViewPosition.from_words(text) is ViewPosition.OTHER


@given(mixed(["PA", "posteroanterior"]), mixed(["AP", "anteroposterior"]))
def test_posture_and_place_leave_the_direction(pa: str, ap: str) -> None:
    assert ViewPosition.from_words(pa) is ViewPosition.PA
    assert ViewPosition.from_words(ap) is ViewPosition.AP


@given(mixed(LATERAL + SPECIAL), mixed(["PA", "AP", "FRONTAL"]), st.booleans())
def test_a_frontal_word_beside_another_view_makes_it_no_frontal_film(
    other: str, frontal: str, first: bool
) -> None:
    text = f"{other} {frontal}" if first else f"{frontal} {other}"
    assert not ViewPosition.from_words(text).frontal


@given(st.lists(st.sampled_from([*NEUTRAL, "?", "STANDARD", "VIEW"]), max_size=4))
def test_what_names_no_view_stays_unknown(words: list[str]) -> None:
    assert ViewPosition.from_words(" ".join(words)) is ViewPosition.UNKNOWN


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("LEFT LATERAL", "LL"),
        ("L LAT", "LL"),
        ("lat", "LL"),
        ("L", "LL"),
        ("XTABLE LATERAL", "other"),
        ("X-TABLE", "other"),
        ("AP LLD", "other"),
        ("AP AXIAL", "other"),
        ("COSTAL", "other"),
        ("other", "other"),
        ("AP SUPINE", "AP"),
        ("AP_horizontal", "AP"),
        ("A.P.", "AP"),
        ("p-a", "PA"),
        ("PA ERECT", "PA"),
        ("PAERECT", "PA"),
        ("AP/PA", "frontal"),
        ("Frontal", "frontal"),
        ("non-frontal", "other"),
        ("not lateral", "unknown"),
        ("BILATERAL", "unknown"),
        ("PATIENT", "unknown"),
        ("", "unknown"),
        ("侧位", "LL"),
        ("后前位", "PA"),
    ],
)
def test_words_of_the_field(text: str, view: str) -> None:
    assert ViewPosition.from_words(text).value == view


@pytest.mark.parametrize("view", [view for view in ViewPosition if view.value != "unknown"])
def test_each_view_reads_its_own_name(view: ViewPosition) -> None:
    assert ViewPosition.from_words(view.value) is view


def test_orientation_tells_the_plane_whichever_way_rows_run() -> None:
    planes = {"LRHF": "frontal", "APHF": "LL", "APLR": "other"}
    for letters, view in planes.items():
        for row, column in permutations(letters, 2):
            same_axis = {row, column} in ({"L", "R"}, {"A", "P"}, {"H", "F"})
            found = ViewPosition.from_orientation((row, column))
            assert found.value == ("unknown" if same_axis else view)
    for senseless in ((), ("L",), ("L", "F", "A"), ("", "F"), ("X", "F")):
        assert ViewPosition.from_orientation(senseless) is ViewPosition.UNKNOWN


@given(st.text(max_size=64))
def test_any_text_has_words_and_a_view(text: str) -> None:
    assert all(words_of(text))
    assert ViewPosition.from_words(text) in ViewPosition
