"""The gate by header and gray levels; its small model is in test_gate_model.py."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph, Sex, ViewPosition
from hilum.imaging.gate import GateRules, screen
from hilum.imaging.gate.picture import busiest_line

STATED = GateRules(pixel_model=False)
RAMP = np.linspace(0, 1, 200 * 300).reshape(200, 300)


def film(
    pixels: NDArray[np.floating] = RAMP, view: ViewPosition = ViewPosition.UNKNOWN, **header: object
) -> Radiograph:
    made = Radiograph(pixels.astype(np.float32), source="drawn.png", view=view)
    return replace(made, **header)


def adult(**header: object) -> Radiograph:
    return film(**{"view": ViewPosition.PA, "age_years": 57.0, "body_part": "CHEST", **header})


def refusal(refused: Radiograph, rules: GateRules = STATED) -> ReasonCode:
    with pytest.raises(FilmError) as caught:
        screen(refused, rules)
    assert caught.value.status is Status.REJECT
    assert "\n" not in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("view", [ViewPosition.PA, ViewPosition.AP, ViewPosition.FRONTAL])
def test_a_frontal_film_of_an_adult_passes(view: ViewPosition) -> None:
    assert screen(adult(view=view), STATED) == ()


def test_a_raster_has_no_header_to_warn_of() -> None:
    assert screen(film(), STATED) == ()


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (film(RAMP[:127]), ReasonCode.TOO_SMALL),
        (film(RAMP[:, :48]), ReasonCode.TOO_SMALL),
        (film(view=ViewPosition.LL), ReasonCode.VIEW_NOT_FRONTAL),
        (film(view=ViewPosition.OTHER), ReasonCode.VIEW_NOT_FRONTAL),
        (film(np.zeros((200, 200))), ReasonCode.CONSTANT_IMAGE),
        (film(np.full((200, 200), 0.5)), ReasonCode.CONSTANT_IMAGE),
        (film(RAMP > 0.5), ReasonCode.LOW_DYNAMIC_RANGE),
        (film(np.rint(RAMP * 8) / 8), ReasonCode.LOW_DYNAMIC_RANGE),
        (film(0.4 + 0.08 * RAMP), ReasonCode.LOW_DYNAMIC_RANGE),
        (adult(age_years=4.0), ReasonCode.AGE_OUT_OF_SCOPE),
        (adult(age_years=10 / 12), ReasonCode.AGE_OUT_OF_SCOPE),
        (adult(age_years=17.9), ReasonCode.AGE_OUT_OF_SCOPE),
        (adult(body_part="EXTREMITY"), ReasonCode.BODY_PART_NOT_CHEST),
        (adult(body_part="KNEE"), ReasonCode.BODY_PART_NOT_CHEST),
        (adult(body_part="THORACIC SPINE"), ReasonCode.BODY_PART_NOT_CHEST),
        (adult(body_part="HAND\r\n,=1"), ReasonCode.BODY_PART_NOT_CHEST),
    ],
)
def test_the_others_are_rejected_with_a_reason(refused: Radiograph, code: ReasonCode) -> None:
    assert refusal(refused) is code


@pytest.mark.parametrize(
    ("warned", "codes"),
    [
        (adult(view=ViewPosition.UNKNOWN), (ReasonCode.VIEW_UNKNOWN,)),
        (adult(age_years=None), (ReasonCode.AGE_UNKNOWN,)),
        (adult(age_years=413.0), (ReasonCode.AGE_UNKNOWN,)),
        (adult(laterality="L"), (ReasonCode.ONE_SIDE_STATED,)),
        (adult(laterality="B"), ()),
        (film(sex=Sex.FEMALE), (ReasonCode.AGE_UNKNOWN, ReasonCode.VIEW_UNKNOWN)),
        (
            film(codes=(ReasonCode.DICOM_NO_PREAMBLE,)),
            (ReasonCode.AGE_UNKNOWN, ReasonCode.VIEW_UNKNOWN),
        ),
    ],
)
def test_what_the_header_leaves_open_is_a_warning(
    warned: Radiograph, codes: tuple[ReasonCode, ...]
) -> None:
    assert screen(warned, STATED) == codes


@pytest.mark.parametrize("part", ["", "CHEST", "CHEST PA", "chest", "RIBCAGE", "THORAX", "UNKNOWN"])
def test_many_words_mean_a_chest(part: str) -> None:
    assert screen(adult(body_part=part), STATED) == ()


def test_the_lowest_age_is_configuration() -> None:
    assert screen(adult(age_years=4.0), GateRules(pixel_model=False, min_age_years=2)) == ()
    assert screen(adult(age_years=0.0), GateRules.labeled()) == ()


def test_a_few_bright_pixels_do_not_widen_the_range() -> None:
    pixels = 0.4 + 0.05 * RAMP
    pixels[:3, :3] = np.linspace(0, 1, 9).reshape(3, 3)
    with pytest.raises(FilmError, match="span"):
        screen(film(pixels), STATED)


def test_a_hard_window_is_a_warning_and_a_black_border_is_none() -> None:
    assert screen(film(np.clip(RAMP * 4 - 1.5, 0, 1)), STATED) == (ReasonCode.CLIPPED_HISTOGRAM,)
    bordered = np.pad(0.1 + 0.8 * RAMP, 90)
    assert screen(film(bordered), STATED) == ()


def test_a_line_of_text_is_a_warning_and_a_marker_is_none() -> None:
    from PIL import Image, ImageDraw

    ground = Image.fromarray(np.full((512, 512), 90, np.uint8))
    marked, named = ground.copy(), ground.copy()
    ImageDraw.Draw(marked).rectangle((430, 20, 490, 70), fill=255)
    ImageDraw.Draw(marked).text((440, 100), "PORTABLE", fill=255)
    ImageDraw.Draw(named).text((5, 5), "DOE JANE 12345678 1961-02-03", fill=255)
    threshold = GateRules().text_density
    assert busiest_line(np.asarray(marked)) < threshold < busiest_line(np.asarray(named))


def test_labeled_films_are_never_picked_by_what_is_learned() -> None:
    noise = np.random.default_rng(0).random((200, 200))
    assert screen(film(noise), GateRules.labeled()) == ()
    assert refusal(film(noise), GateRules()) is ReasonCode.OOD


def test_rules_are_one_hash_and_bound_to_their_model() -> None:
    assert GateRules().sha256() == GateRules.model_validate(GateRules().model_dump()).sha256()
    assert GateRules(turned=0.5).sha256() != GateRules().sha256()
    with pytest.raises(ValidationError, match="the model that hilum has"):
        GateRules(model_sha256="0" * 64)
    with pytest.raises(ValidationError):
        GateRules.model_validate({"turnd": 0.5})
