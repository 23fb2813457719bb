"""Body Part Examined: a chest word anywhere, unless a different part is named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.domain.errors import FilmError, ReasonCode
from hilum.domain.radiograph import Radiograph, ViewPosition
from hilum.imaging.gate import GateRules, screen
from hilum.imaging.gate.body_part import shows_chest

CHEST = ["CHEST", "CXR", "THX", "THORAX", "Tórax", "torace", "POITRINE", "Brustkorb", "LUNGS"]
PART = ["ABDOMEN", "PELVIS", "SPINE", "NECK", "SHOULDER", "HEAD", "KNEE", "CLAVICLE"]
AROUND = ["PORT", "PORTABLE", "XR", "1V", "PA", "2 VIEWS", "LEFT", "MOBILE", "RADIOGRAFIA DE"]


@given(
    st.sampled_from(CHEST),
    st.lists(st.sampled_from(AROUND), max_size=2),
    st.lists(st.sampled_from(AROUND), max_size=2),
    st.sampled_from([" ", "_", "^", "-"]),
)
def test_a_chest_word_counts_anywhere(
    word: str, before: list[str], after: list[str], between: str
) -> None:
    text = between.join([*before, word, *after])
    assert shows_chest(text) is True
    assert shows_chest(text.lower()) is True


@given(st.sampled_from(CHEST), st.sampled_from(PART), st.booleans())
def test_a_different_part_beside_it_is_refused(word: str, part: str, first: bool) -> None:
    assert shows_chest(f"{part} {word}" if first else f"{word}/{part}") is False
    assert shows_chest(part) is False


@pytest.mark.parametrize(
    ("text", "chest"),
    [
        ("PORT CHEST", True),
        ("PORTABLE CHEST", True),
        ("XR CHEST", True),
        ("XRCHEST", True),
        ("CHEST1VIEW", True),
        ("L CHEST", True),
        ("胸部", True),
        ("", None),
        ("UNKNOWN", None),
        ("N/A", None),
        ("PORTABLE", None),
        ("THORACIC SPINE", False),
        ("T-SPINE", False),
        ("TSPINE", False),
        ("CHESTABDPELVIS", False),
        ("NECKCHEST", False),
        ("Brustwirbelsäule", False),
        ("EXTREMITY", False),
        ("WHOLE BODY", False),
    ],
)
def test_words_of_the_field(text: str, chest: bool | None) -> None:
    assert shows_chest(text) is chest


def test_the_gate_judges_by_it_and_a_bundle_may_add_words() -> None:
    pixels = np.linspace(0, 1, 200 * 200, dtype=np.float32).reshape(200, 200)
    film = Radiograph(pixels, "a.dcm", view=ViewPosition.PA, age_years=50.0, body_part="TÓRAX")
    rules = GateRules(pixel_model=False)
    assert screen(film, rules) == ()
    for part in ("KNEE", "BUST"):
        with pytest.raises(FilmError) as caught:
            screen(replace(film, body_part=part), rules)
        assert caught.value.code is ReasonCode.BODY_PART_NOT_CHEST
    assert (
        screen(replace(film, body_part="BUST"), rules.model_copy(update={"chest_words": ("BUST",)}))
        == ()
    )
