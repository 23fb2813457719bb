import numpy as np
import pytest
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph, ViewPosition
from hilum.imaging.gate import screen


def film(pixels: NDArray[np.floating], view: ViewPosition = ViewPosition.UNKNOWN) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), source="drawn.png", view=view)


RAMP = np.linspace(0, 1, 200 * 300).reshape(200, 300)


@pytest.mark.parametrize("view", [ViewPosition.PA, ViewPosition.AP, ViewPosition.UNKNOWN])
def test_a_frontal_film_passes(view: ViewPosition) -> None:
    assert screen(film(RAMP, view)) == ()


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (film(RAMP[:127]), ReasonCode.TOO_SMALL),
        (film(RAMP[:, :48]), ReasonCode.TOO_SMALL),
        (film(RAMP, ViewPosition.LL), ReasonCode.VIEW_NOT_FRONTAL),
        (film(np.zeros((200, 200))), ReasonCode.CONSTANT_IMAGE),
        (film(np.full((200, 200), 0.5)), ReasonCode.CONSTANT_IMAGE),
        (film(RAMP > 0.5), ReasonCode.LOW_DYNAMIC_RANGE),
        (film(np.rint(RAMP * 8) / 8), ReasonCode.LOW_DYNAMIC_RANGE),
        (film(0.4 + 0.08 * RAMP), ReasonCode.LOW_DYNAMIC_RANGE),
    ],
)
def test_the_others_are_rejected_with_a_reason(refused: Radiograph, code: ReasonCode) -> None:
    with pytest.raises(FilmError) as caught:
        screen(refused)
    assert (caught.value.status, caught.value.code) == (Status.REJECT, code)


def test_a_few_bright_pixels_do_not_widen_the_range() -> None:
    pixels = 0.4 + 0.05 * RAMP
    pixels[:3, :3] = np.linspace(0, 1, 9).reshape(3, 3)
    with pytest.raises(FilmError, match="span"):
        screen(film(pixels))
