"""VOI and modality LUTs are used where they show the film, and otherwise leave it to the window."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hilum.domain.errors import ReasonCode
from hilum.imaging.dicom.grayscale import Grayscale, LookUp, Window
from hilum.imaging.read import read

DicomOf = Callable[..., bytes]
INVALID = ReasonCode.VOI_LUT_INVALID
WINDOW = Window(2048, 4096)
FILM = np.linspace(0, 4095, 160 * 140).round().astype(np.uint16).reshape(160, 140)
BY_WINDOW = WINDOW.apply(FILM.astype(np.float64))


def table(bits: int = 12, first: int = 0, top: int = 4095, count: int = 4096) -> LookUp:
    return LookUp(first, bits, np.linspace(0, top, count).round().astype(np.uint16))


def rendered(**steps: object) -> tuple[NDArray[np.float32], tuple[ReasonCode, ...]]:
    return Grayscale(bits=12, **steps).render(FILM)  # type: ignore[arg-type]


def test_a_table_that_fits_is_used_without_a_word() -> None:
    pixels, codes = rendered(voi=table(), window=Window(100, 50))
    np.testing.assert_allclose(pixels, FILM / 4095, atol=1e-3)
    assert codes == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 16), st.integers(8, 16))
def test_a_descriptor_of_different_bits_than_the_entries_leaves_it_to_the_window(
    stated: int, held: int
) -> None:
    pixels, codes = rendered(voi=table(stated, top=(1 << held) - 1), window=WINDOW)
    if stated == held:
        assert codes == ()
        return
    assert codes == (INVALID,)
    np.testing.assert_allclose(pixels, BY_WINDOW, atol=1e-6)
    alone, codes = rendered(voi=table(stated, top=(1 << held) - 1))
    assert codes == (INVALID,)  # the entries' own largest value is white
    np.testing.assert_allclose(alone, FILM / 4095, atol=0.01)


@settings(max_examples=60, deadline=None)
@given(st.integers(-65536, 65535))
def test_whatever_the_first_value_the_film_is_shown(first: int) -> None:
    pixels, codes = rendered(voi=table(first=first), window=WINDOW)
    assert pixels.min() < 0.5 < pixels.max()
    assert np.ptp(np.percentile(pixels, [1, 99])) >= 0.1
    used = codes == ()
    if not used:
        assert codes == (INVALID,)
        np.testing.assert_allclose(pixels, BY_WINDOW, atol=1e-6)
    if abs(first) <= 400 or 65536 - first <= 400:  # a little beside, or signed and written unsigned
        assert used
    if 2100 <= abs(first) <= 60000:
        assert not used


def test_without_a_window_a_table_beside_the_film_leaves_it_to_the_stored_values() -> None:
    pixels, codes = rendered(voi=table(first=30000))
    assert codes == (INVALID,)
    np.testing.assert_allclose(pixels, FILM / 4095, atol=1e-6)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_modality_table_beside_the_film_is_not_used(inverted: bool) -> None:
    pixels, codes = rendered(modality=table(first=20000), window=WINDOW, inverted=inverted)
    assert codes == (INVALID,)
    np.testing.assert_allclose(pixels, 1 - BY_WINDOW if inverted else BY_WINDOW, atol=1e-6)


@pytest.mark.parametrize(("bits", "codes"), [(12, ()), (16, (INVALID,)), (8, (INVALID,))])
def test_a_modality_table_is_as_deep_as_its_entries(
    bits: int, codes: tuple[ReasonCode, ...]
) -> None:
    pixels, met = rendered(modality=table(bits))
    assert met == codes
    np.testing.assert_allclose(pixels, FILM / 4095, atol=1e-3)


def test_a_modality_table_of_spare_bits_is_no_fault_before_a_window() -> None:
    pixels, codes = rendered(modality=table(16), window=WINDOW)
    assert codes == ()
    np.testing.assert_allclose(pixels, BY_WINDOW, atol=1e-3)


def test_a_file_with_a_wrong_table_and_a_good_window_is_shown_by_the_window(
    dicom_of: DicomOf,
) -> None:
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 16]
    item.LUTData = np.arange(4096, dtype="<u2").tobytes()
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    film = read(dicom_of(FILM, 12, VOILUTSequence=[item], **window))
    assert film.codes == (INVALID,)
    np.testing.assert_array_equal(film.pixels, read(dicom_of(FILM, 12, **window)).pixels)
