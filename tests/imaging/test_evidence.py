"""Odd evidence in a file that is read all the same is a warning, never silence."""

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import ViewPosition
from hilum.imaging.gate import GateRules, screened
from hilum.imaging.read import read

DicomOf = Callable[..., bytes]
GRAY = np.linspace(0, 255, 160 * 140).astype(np.uint8).reshape(160, 140)
DEEP = (GRAY.astype(np.uint16) << 4) + 15


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def altered(data: bytes, change: Callable[[FileDataset], None]) -> bytes:
    dataset = dcmread(io.BytesIO(data))
    change(dataset)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=False)
    return stream.getvalue()


def refusal(data: bytes) -> FilmError:
    with pytest.raises(FilmError) as caught:
        read(data)
    assert "\n" not in caught.value.message
    return caught.value


ALPHA = (ReasonCode.ALPHA_IGNORED,)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(("least", "codes"), [(255, ()), (254, ALPHA), (128, ALPHA), (0, ALPHA)])
def test_an_alpha_channel_that_hides_anything(
    mode: str, least: int, codes: tuple[ReasonCode, ...]
) -> None:
    alpha = np.full(GRAY.shape, 255, np.uint8)
    alpha[80, 70] = least
    gray, image = Image.fromarray(GRAY), Image.fromarray(GRAY).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    film = read(encoded(image, "TIFF" if mode == "LA" else "PNG"))
    assert film.codes == codes
    np.testing.assert_array_equal(film.pixels, read(encoded(gray)).pixels)


def test_a_transparent_color_counts_where_the_film_has_it() -> None:
    gray = Image.fromarray(np.clip(GRAY, 10, 255))
    assert read(encoded(gray, transparency=5)).codes == ()
    assert read(encoded(gray, transparency=10)).codes == ALPHA
    rgb = gray.convert("RGB")
    assert read(encoded(rgb, transparency=(5, 5, 5))).codes == ()
    assert read(encoded(rgb, transparency=(10, 10, 10))).codes == ALPHA
    indexed = gray.convert("P")
    assert read(encoded(indexed, transparency=bytes([255] * 256))).codes == ()
    assert read(encoded(indexed, transparency=bytes([128] * 256))).codes == ALPHA


KINDS = {
    "PNG": lambda: encoded(Image.fromarray(GRAY)),
    "16-bit PNG": lambda: encoded(Image.fromarray(GRAY.astype(np.uint16) * 257)),
    "RGB PNG": lambda: encoded(Image.fromarray(GRAY).convert("RGB")),
    "JPEG": lambda: encoded(Image.fromarray(GRAY), "JPEG"),
    "progressive JPEG": lambda: encoded(Image.fromarray(GRAY), "JPEG", progressive=True),
    "JPEG with restarts": lambda: encoded(Image.fromarray(GRAY), "JPEG", restart_marker_rows=1),
    "TIFF": lambda: encoded(Image.fromarray(GRAY), "TIFF"),
    "LZW TIFF": lambda: encoded(Image.fromarray(GRAY), "TIFF", compression="tiff_lzw"),
}
HIDDEN = [b"PK\x03\x04 an archive", b"MZ a program", encoded(Image.fromarray(GRAY), "JPEG"), b"<a>"]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_end_of_a_picture(kind: str) -> None:
    data = KINDS[kind]()
    plain = read(data)
    assert plain.codes == ()
    for filling in (b"\0", b"\0" * 4096, b"\r\n", b"\xff\xff"):
        assert read(data + filling).codes == ()
    for hidden in HIDDEN:
        film = read(data + hidden)
        assert film.codes == (ReasonCode.TRAILING_BYTES,)
        np.testing.assert_array_equal(film.pixels, plain.pixels)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 100), st.integers(0, 2**16), st.booleans())
def test_a_jpeg_of_any_content_ends_where_it_ends(
    quality: int, seed: int, progressive: bool
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (64, 48), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=quality, progressive=progressive)
    assert read(data).codes == ()
    assert read(data + b"x").codes == (ReasonCode.TRAILING_BYTES,)


def test_a_thumbnail_inside_a_jpeg_is_not_its_end() -> None:
    thumbnail = encoded(Image.fromarray(GRAY[:40, :40]), "JPEG")
    data = encoded(Image.fromarray(GRAY), "JPEG")
    segment = b"\xff\xe3" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert read(data[:2] + segment + data[2:]).codes == ()


@pytest.mark.parametrize(
    ("start", "codes"),
    [
        (b"", ()),
        (b"II*\0\x10\0\0\0", ()),  # both TIFF and DICOM, which the standard allows
        (b"RF1cAEB300A45", ()),  # text that a scanner leaves there
        *[
            (start, (ReasonCode.PREAMBLE_FOREIGN,))
            for start in (b"MZ\x90\0", b"\x7fELF\x02", b"#!/bin/sh\n", b"PK\x03\x04", b"%PDF-1.7")
        ],
        (b"<script>", (ReasonCode.PREAMBLE_FOREIGN,)),
        (b"\xcf\xfa\xed\xfe", (ReasonCode.PREAMBLE_FOREIGN,)),
    ],
)
def test_the_preamble_of_a_dicom_file(
    start: bytes, codes: tuple[ReasonCode, ...], dicom_of: DicomOf
) -> None:
    data = dicom_of(GRAY)
    assert read(start + data[len(start) :]).codes == codes


SLIPS = ("SamplesPerPixel", "PixelRepresentation", "BitsStored", "HighBit")


@pytest.mark.parametrize(
    "missing", [c for n in range(1, 5) for c in itertools.combinations(SLIPS, n)]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_missing_element_gets_its_usual_value(
    missing: tuple[str, ...], compressed: bool, dicom_of: DicomOf
) -> None:
    data = dicom_of(GRAY, syntax=RLELossless) if compressed else dicom_of(GRAY)

    def remove(dataset: FileDataset) -> None:
        for number, keyword in enumerate(missing):
            if number % 2:
                setattr(dataset, keyword, None)
            else:
                del dataset[keyword]

    film = read(altered(data, remove))
    assert film.codes == (ReasonCode.HEADER_INCOMPLETE,)
    np.testing.assert_array_equal(film.pixels, read(data).pixels)


def test_a_pixel_representation_that_does_not_exist_is_refused(dicom_of: DicomOf) -> None:
    error = refusal(dicom_of(GRAY, PixelRepresentation=7))
    assert (error.status, error.code) == (Status.REJECT, ReasonCode.BITS_INVALID)


@pytest.mark.parametrize(
    "syntax", [JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless]
)
@pytest.mark.parametrize("spare", [0, 1])
def test_bare_pixels_under_a_compressed_syntax_are_read(
    syntax: str, spare: int, dicom_of: DicomOf
) -> None:
    bare = dicom_of(GRAY)
    film = read(_with_syntax(bare, str(syntax), bytes(spare)))
    assert film.codes == (ReasonCode.TRANSFER_SYNTAX_MISMATCH,)
    np.testing.assert_array_equal(film.pixels, read(bare).pixels)


@pytest.mark.parametrize("length", [-100, 100])
def test_bare_pixels_of_a_wrong_length_are_named_as_such(length: int, dicom_of: DicomOf) -> None:
    pixels = GRAY.tobytes()
    data = dicom_of(GRAY, PixelData=pixels[:length] if length < 0 else pixels + bytes(length))
    error = refusal(_with_syntax(data, str(JPEG2000Lossless)))
    assert error.code is ReasonCode.DECODE_CORRUPT
    assert "JPEG 2000" in error.message
    assert "not compressed" in error.message


def _with_syntax(data: bytes, syntax: str, tail: bytes = b"") -> bytes:
    """The file with a different Transfer Syntax UID, its pixels as they are."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    at = data.index(b"\x02\0\x10\0UI")
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    grown = data[:at] + b"\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    grown += data[at + 8 + length :]
    group = grown.index(b"\x02\0\0\0UL\x04\0") + 8
    size = int.from_bytes(grown[group : group + 4], "little") + len(uid) - length
    return grown[:group] + size.to_bytes(4, "little") + grown[group + 4 :] + tail


FRAMES: dict[str, Callable[[], bytes]] = {
    JPEGBaseline8Bit: lambda: encoded(Image.fromarray(GRAY), "JPEG"),
    JPEG2000Lossless: lambda: encoded(Image.fromarray(GRAY), "JPEG2000", no_jp2=True),
}


@pytest.mark.parametrize("syntax", [*FRAMES, RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("stated", [None, 1])
def test_two_compressed_pictures_are_no_film(
    syntax: str, table: bool, stated: int | None, dicom_of: DicomOf
) -> None:
    if syntax in FRAMES:
        frame = FRAMES[syntax]()
        data = dicom_of(GRAY, syntax=syntax, frame=frame)
    else:
        data = dicom_of(GRAY, syntax=syntax)
        frame = _first_fragment(dcmread(io.BytesIO(data)).PixelData)

    def double(dataset: FileDataset) -> None:
        dataset.PixelData = encapsulate([frame, frame], has_bot=table)
        dataset["PixelData"].is_undefined_length = True
        if stated:
            dataset.NumberOfFrames = stated

    assert read(data).codes == ()
    error = refusal(altered(data, double))
    assert (error.status, error.code) == (Status.REJECT, ReasonCode.MULTI_FRAME)


def test_two_pictures_in_one_fragment_are_no_film(dicom_of: DicomOf) -> None:
    frame = FRAMES[JPEGBaseline8Bit]()
    frame += b"\0" * (len(frame) % 2)
    error = refusal(dicom_of(GRAY, syntax=JPEGBaseline8Bit, frame=frame * 2))
    assert error.code is ReasonCode.MULTI_FRAME


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless])
def test_one_picture_in_several_fragments_is_a_film(syntax: str, dicom_of: DicomOf) -> None:
    frame = FRAMES[syntax]()
    whole = dicom_of(GRAY, syntax=syntax, frame=frame)

    def cut(dataset: FileDataset) -> None:
        dataset.PixelData = encapsulate([frame], fragments_per_frame=5)
        dataset["PixelData"].is_undefined_length = True

    film = read(altered(whole, cut))
    assert film.codes == ()
    np.testing.assert_array_equal(film.pixels, read(whole).pixels)


def _first_fragment(encapsulated: bytes) -> bytes:
    start = 8 + int.from_bytes(encapsulated[4:8], "little")
    size = int.from_bytes(encapsulated[start + 4 : start + 8], "little")
    return encapsulated[start + 8 : start + 8 + size]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("stated", "born", "studied", "years"),
    [
        ("058Y", "", "", 58.0),
        ("999Y", "", "", None),
        ("999D", "", "", None),
        ("121Y", "", "", None),
        ("", "19000101", "20150101", None),
        ("", "18991230", "20150101", None),
        ("999Y", "19000101", "20150101", None),
        ("999Y", "20100101", "20150101", 5.0),
        ("", "2010.01.01", "2015.01.01", 5.0),
        ("", "2010-01-01", "20150101", 5.0),
        ("", "2010.13.01", "2015.01.01", None),
        ("", "2010.01-01", "2015.01.01", None),
        ("", "18800101", "20150101", None),
        ("", "20160101", "20150101", None),
        ("", "19600101", "", None),
    ],
)
def test_an_age_that_cannot_be_is_unknown(
    stated: str, born: str, studied: str, years: float | None, dicom_of: DicomOf
) -> None:
    dates = {"PatientBirthDate": born, "StudyDate": studied}
    film = read(dicom_of(GRAY, PatientAge=stated, **dates))
    assert film.age_years == (None if years is None else pytest.approx(years, abs=0.01))


RULES = GateRules(pixel_model=False, letters=False)
CONTRADICTED, MIRRORED = ReasonCode.VIEW_CONTRADICTED, ReasonCode.MIRRORED_SUSPECTED


@pytest.mark.parametrize(
    ("word", "directions", "codes"),
    [
        ("PA", ["L", "F"], ()),
        ("", ["L", "F"], ()),
        ("PA", ["P", "F"], (CONTRADICTED,)),
        ("AP", ["A", "F"], (CONTRADICTED,)),
        ("PA", ["R", "F"], (MIRRORED,)),
        ("", ["R", "F"], (MIRRORED,)),
        ("PA", ["L", "H"], (ReasonCode.ORIENTATION_SUSPECTED,)),
        ("PA", ["F", "L"], (ReasonCode.ORIENTATION_SUSPECTED,)),
        ("PA", ["", ""], ()),
        ("PA", None, ()),
        ("", None, (ReasonCode.VIEW_UNKNOWN,)),
        ("LEFT LATERAL", ["L", "F"], None),
        ("", ["P", "F"], None),
        ("", ["A", "F"], None),
        ("", ["AL", "FP"], None),
        ("", ["P", "L"], None),
        ("L LAT", None, None),
        ("DECUBITUS", None, None),
    ],
)
def test_orientation_is_a_second_witness_of_the_view(
    word: str,
    directions: list[str] | None,
    codes: tuple[ReasonCode, ...] | None,
    dicom_of: DicomOf,
) -> None:
    film = read(dicom_of(GRAY, ViewPosition=word, PatientOrientation=directions))
    if codes is None:
        assert film.view in (ViewPosition.LL, ViewPosition.OTHER)
        with pytest.raises(FilmError) as caught:
            screened(film, RULES)
        assert caught.value.code is ReasonCode.VIEW_NOT_FRONTAL
    else:
        assert screened(film, RULES).codes == codes


SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.mark.parametrize("folder", ["nih/images", "nih_1024"])
def test_no_ordinary_film_is_warned_of(folder: str) -> None:
    films = sorted((SHARED / folder).glob("*.png"))[::40]
    if not films:
        pytest.skip("no NIH films beside the checkout")
    assert {film.name: read(film).codes for film in films if read(film).codes} == {}


def test_the_cases_of_the_field_end_as_they_should(tmp_path: Path) -> None:
    """Every film of `shared/cases` that reading and the gate decide."""
    cases = SHARED.parent / "cases"
    if not cases.is_dir():
        pytest.skip("no cases beside the checkout")
    right = json.loads((Path(__file__).parent / "cases.json").read_text("utf-8"))
    ended: dict[str, object] = {}
    for name in right:
        try:
            film = screened(read(next(cases.glob(name))))
            ended[name] = [str(film.view), film.age_years, *film.codes]
        except FilmError as error:
            ended[name] = [error.code]
    assert ended == right
