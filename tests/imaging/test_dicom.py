import io
import struct
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph, Sex, ViewPosition
from hilum.imaging import dataset
from hilum.imaging.greyscale import Greyscale, LookUp, Window, WindowShape
from hilum.imaging.read import read

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
GREY = (np.add.outer(np.arange(150), 2 * np.arange(140)) % 256).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 16


def dicom(
    pixels: NDArray[np.integer] = GREY, bits: int = 8, sop: str = DX, **elements: object
) -> FileDataset:
    """A small DX object of MONOCHROME2 or RGB, with any element overridden; None removes it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["film"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = sop, meta.MediaStorageSOPInstanceUID
    made.Modality, made.ViewPosition = "DX", "PA"
    made.PatientName, made.PatientID = "DOE^JANE", "CANARY-8812"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8 * pixels.itemsize, bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def written(made: FileDataset) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def film(made: FileDataset) -> Radiograph:
    return read(written(made))


def refusal(source: FileDataset | bytes) -> tuple[Status, ReasonCode]:
    data = source if isinstance(source, bytes) else written(source)
    with pytest.raises(FilmError) as caught:
        read(data)
    assert "\n" not in caught.value.message
    assert "CANARY" not in caught.value.message
    return caught.value.status, caught.value.code


def lut(entries: NDArray[np.uint16], first: int = 0, bits: int = 16, count: int = -1) -> Dataset:
    table = Dataset()
    table.LUTDescriptor = [entries.size if count < 0 else count, first, bits]
    table.LUTData = entries.astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    return table


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_the_same_film_as_png_and_as_dicom_has_equal_pixels(seed: int, rows: int, columns: int):
    grey = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    grey[0, 0] = 255
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG")
    expected = read(stream.getvalue()).pixels
    for made in (
        dicom(grey),
        dicom(grey.astype(np.uint16) * 257, 16),
        dicom(255 - grey, PhotometricInterpretation="MONOCHROME1"),
        dicom(255 - grey, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
        dicom(grey, PresentationLUTShape="IDENTITY"),
        dicom(grey, WindowCenter=128, WindowWidth=256),
    ):
        np.testing.assert_allclose(film(made).pixels, expected, atol=1e-6)


def test_12_bits_say_their_white_and_16_bits_may_have_to_be_told() -> None:
    np.testing.assert_allclose(film(dicom(DEEP, 12)).pixels, DEEP / 4095, atol=1e-6)
    undeclared = film(dicom(DEEP, 16))
    assert undeclared.codes == (ReasonCode.RANGE_INFERRED,)
    np.testing.assert_allclose(undeclared.pixels, DEEP / 4095, atol=1e-6)


@pytest.mark.parametrize("shape", list(WindowShape))
@pytest.mark.parametrize(("centre", "width"), [(2048, 4096), (1500.5, 900), (3000, 30)])
def test_windows_equal_pydicom(shape: WindowShape, centre: float, width: float) -> None:
    made = dicom(DEEP, 12, WindowCenter=[centre, 7], WindowWidth=[width, 9], VOILUTFunction=shape)
    expected = apply_windowing(DEEP.astype(np.float64), made) / 4095
    window = Window(centre, width, shape)
    np.testing.assert_allclose(window.apply(DEEP.astype(np.float64)), expected, atol=1e-6)
    if width > 30:  # else fewer than a hundredth of the pixels lie inside
        np.testing.assert_allclose(film(made).pixels, expected, atol=1e-6)


def test_a_modality_and_a_voi_lut_equal_pydicom() -> None:
    curve = (np.linspace(0, 1, 3000) ** 0.5 * 65535).astype(np.uint16)
    made = dicom(DEEP, 12, ModalityLUTSequence=[lut(curve, 100)])
    modality = apply_modality_lut(DEEP, made)
    np.testing.assert_allclose(film(made).pixels, modality / 65535, atol=1e-6)
    made.VOILUTSequence = [lut((np.linspace(1, 0, 40000) * 65535).astype(np.uint16), 50)]
    shown = apply_voi(modality, made)
    np.testing.assert_allclose(film(made).pixels, shown / 65535, atol=1e-6)


@pytest.mark.parametrize(
    "table",
    [
        lut(np.zeros(1, np.uint16), count=0),
        lut(np.arange(100, dtype=np.uint16), count=4096),
        lut(np.zeros(4096, np.uint16)),
        lut(np.arange(4096, dtype=np.uint16), bits=40),
        Dataset(),
    ],
)
def test_a_senseless_voi_lut_falls_back_to_the_window(table: Dataset) -> None:
    made = dicom(DEEP, 12, WindowCenter=2048, WindowWidth=4096, VOILUTSequence=[table])
    shown = film(made)
    assert shown.codes == (ReasonCode.VOI_LUT_INVALID,)
    np.testing.assert_allclose(shown.pixels, DEEP / 4095, atol=1e-6)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 60000, "WindowWidth": 10},
        {"WindowCenter": 2048, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": 1},
        {"WindowCenter": 2048, "WindowWidth": -5},
        {"WindowCenter": 2048},
        {"WindowWidth": 4096},
    ],
)
def test_a_senseless_window_falls_back_to_the_stored_range(window: dict[str, float]) -> None:
    shown = film(dicom(DEEP, 12, **window))
    assert shown.codes == (ReasonCode.WINDOW_INVALID,)
    np.testing.assert_allclose(shown.pixels, DEEP / 4095, atol=1e-6)


def test_a_rescale_is_applied_with_a_warning_and_inverts_by_itself() -> None:
    shown = film(dicom(DEEP, 12, RescaleSlope=-1, RescaleIntercept=4095))
    assert shown.codes == (ReasonCode.RESCALE_APPLIED,)
    np.testing.assert_allclose(shown.pixels, 1 - DEEP / 4095, atol=1e-6)


@pytest.mark.parametrize("slope", [0, "nan", "inf"])
def test_a_rescale_that_erases_is_rejected(slope: object) -> None:
    made = dicom(DEEP, 12, RescaleIntercept=0)
    made.add_new("RescaleSlope", "DS", "0")
    data = written(made).replace(b"DS\x02\x000 ", f"DS\x04\0{slope:<4}".encode())
    assert refusal(data) == (Status.REJECT, ReasonCode.RESCALE_INVALID)


def test_signed_pixels_with_padding() -> None:
    signed = DEEP.astype(np.int16) - 2048
    low, high = signed[:, 30:].min(), signed[:, 30:].max()
    padded = signed.copy()
    padded[:, :30] = -32768
    for made in (dicom(padded, 16), dicom(padded, 16, PhotometricInterpretation="MONOCHROME1")):
        made.add_new("PixelPaddingValue", "SS", -32768)
        shown = film(made)
        assert shown.codes == ()
        assert (shown.pixels[:, :30] == 0).all()
    expected = 1 - (signed[:, 30:] - float(low)) / (high - float(low))
    np.testing.assert_allclose(shown.pixels[:, 30:], expected, atol=1e-6)


def test_padding_written_as_unsigned_and_as_a_range() -> None:
    rule = Greyscale(bits=16, signed=True, padding=(-32768, -32760))
    stored = np.array([[-32768, -32761, 0, 50, 100]], np.int16)
    np.testing.assert_allclose(rule.render(stored)[0], [[0, 0, 0, 0.5, 1]])


def test_look_up_beyond_its_ends_takes_the_ends() -> None:
    table = LookUp(10, 8, np.array([0, 100, 255], np.uint16))
    assert table.apply(np.array([-5.0, 10, 11, 12, 99])).tolist() == [0, 0, 100, 255, 255]


def test_overlay_bits_above_the_stored_ones_are_masked() -> None:
    np.testing.assert_allclose(film(dicom(DEEP | 0xF000, 12)).pixels, DEEP / 4095, atol=1e-6)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_codings_are_exact(syntax: str) -> None:
    made = dicom(DEEP, 12)
    if syntax == JPEG2000Lossless:
        stream = io.BytesIO()
        Image.fromarray(DEEP).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
        made.file_meta.TransferSyntaxUID = syntax
        made.PixelData = encapsulate([stream.getvalue()])
        made["PixelData"].is_undefined_length = True
        made.BitsStored, made.HighBit = 16, 15
    else:
        made.compress(syntax)
    np.testing.assert_allclose(film(made).pixels, DEEP / 4095, atol=1e-6)


def test_other_byte_orders_and_no_preamble() -> None:
    implicit = dicom()
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    deflated = dicom()
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    for made in (implicit, deflated):
        shown = film(made)
        assert shown.codes == ()
        np.testing.assert_allclose(shown.pixels, GREY / 255, atol=1e-6)
    bare = read(written(dicom())[132:])
    assert bare.codes == (ReasonCode.DICOM_NO_PREAMBLE,)
    np.testing.assert_allclose(bare.pixels, GREY / 255, atol=1e-6)


def test_a_dicom_whose_preamble_is_a_tiff_header_is_a_dicom() -> None:
    data = written(dicom())
    np.testing.assert_allclose(read(b"II*\0" + data[4:]).pixels, GREY / 255, atol=1e-6)


def test_a_deflated_bomb_is_refused_before_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MAX_INFLATED_BYTES", 1_000_000)
    made = dicom()
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = written(made)
    start = 144 + struct.unpack("<I", data[140:144])[0]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(b"\0" * 2_000_000) + squeeze.flush()
    assert refusal(data[:start] + body) == (Status.REJECT, ReasonCode.DECODE_LIMIT)
    assert refusal(data[:-100]) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


def test_what_the_header_says_of_the_film() -> None:
    shown = film(
        dicom(
            PatientAge="010M",
            PatientSex="F",
            ImagerPixelSpacing=[0.2, 0.21],
            PixelSpacing=[0.143, 0.15],
        )
    )
    assert shown.view is ViewPosition.PA
    assert shown.sex is Sex.FEMALE
    assert shown.age_years == pytest.approx(10 / 12)
    assert shown.spacing_mm == (0.143, 0.15)
    dates = film(dicom(PatientBirthDate="19610203", StudyDate="20200204", PatientSex="O"))
    assert dates.age_years == pytest.approx(59, abs=0.01)
    assert dates.sex is Sex.UNKNOWN
    bare = film(dicom(ViewPosition=""))
    assert (bare.view, bare.age_years, bare.spacing_mm) == (ViewPosition.UNKNOWN, None, None)


@pytest.mark.parametrize("word", ["LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL"])
def test_views_that_are_not_frontal(word: str) -> None:
    assert film(dicom(ViewPosition=word)).view is ViewPosition.LL


@pytest.mark.parametrize(
    ("value", "view"),
    [("399348003", ViewPosition.AP), ("R-10214", ViewPosition.PA), ("399198007", ViewPosition.LL)],
)
def test_the_view_code_is_used_where_the_view_position_is_missing(
    value: str, view: ViewPosition
) -> None:
    code = Dataset()
    code.CodeValue = value
    assert film(dicom(ViewPosition=None, ViewCodeSequence=[code])).view is view


def test_warnings_of_the_header() -> None:
    assert film(dicom(BurnedInAnnotation="YES")).codes == (ReasonCode.BURNED_IN_TEXT,)
    grey = np.stack([GREY] * 3, -1)
    capture = film(dicom(grey, sop=SC, Modality="OT"))
    assert capture.codes == (ReasonCode.SECONDARY_CAPTURE,)
    np.testing.assert_allclose(capture.pixels, GREY / 255, atol=1e-6)
    long = dicom()
    long.PixelData += b"\0" * 1000
    assert film(long).codes == (ReasonCode.PIXEL_LENGTH_MISMATCH,)


def palette(with_tables: bool) -> FileDataset:
    shuffle = np.random.default_rng(1).permutation(256)
    made = dicom(np.argsort(shuffle).astype(np.uint8)[GREY])
    made.PhotometricInterpretation = "PALETTE COLOR"
    if with_tables:
        for colour in ("Red", "Green", "Blue"):
            name = f"{colour}PaletteColorLookupTable"
            setattr(made, f"{name}Descriptor", [256, 0, 16])
            setattr(made, f"{name}Data", (shuffle * 257).astype("<u2").tobytes())
    return made


def test_a_palette_is_looked_up_or_missed() -> None:
    np.testing.assert_allclose(film(palette(True)).pixels, GREY / 255, atol=1e-6)
    assert refusal(palette(False)) == (Status.ERROR, ReasonCode.PALETTE_MISSING)


def encoded_as(syntax: str, frame: bytes) -> FileDataset:
    made = dicom()
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([frame])
    made["PixelData"].is_undefined_length = True
    return made


NOISE = np.random.default_rng(0).integers(0, 256, (150, 140, 3), dtype=np.uint8)
REFUSED = {
    "modality": (dicom(Modality="CT"), "reject", "MODALITY_NOT_SUPPORTED"),
    "colour": (dicom(NOISE, sop=SC, Modality="OT"), "reject", "MODALITY_NOT_SUPPORTED"),
    "raw": (
        dicom(PresentationIntentType="FOR PROCESSING"),
        "reject",
        "FOR_PROCESSING",
    ),
    "no pixels": (dicom(PixelData=None), "reject", "NO_PIXEL_DATA"),
    "report": (dicom(sop=SR, Modality="SR", PixelData=None), "skip", "NOT_AN_IMAGE_OBJECT"),
    "plan": (
        dicom(sop="1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN", PixelData=None, Rows=None),
        "skip",
        "NOT_AN_IMAGE_OBJECT",
    ),
    "frames": (dicom(NumberOfFrames=2), "reject", "MULTI_FRAME"),
    "huge": (dicom(Rows=60000, Columns=60000), "reject", "DIMENSIONS_EXCEED_LIMIT"),
    "empty": (dicom(Rows=0), "error", "DECODE_CORRUPT"),
    "bits": (dicom(BitsStored=12, HighBit=11), "reject", "BITS_INVALID"),
    "high bit": (dicom(DEEP, 12, HighBit=15), "reject", "BITS_INVALID"),
    "short": (dicom(PixelData=GREY.tobytes()[:-1000]), "error", "PIXEL_LENGTH_MISMATCH"),
    "video": (encoded_as(MPEG4HP41, b"\0" * 64), "reject", "TRANSFER_SYNTAX_NOT_SUPPORTED"),
    "private": (encoded_as("1.2.3.4", b"\0" * 64), "reject", "TRANSFER_SYNTAX_NOT_SUPPORTED"),
    "corrupt": (
        encoded_as(JPEG2000Lossless, b"\xff\x4f\xff\x51" + b"\0" * 60),
        "error",
        "DECODE_CORRUPT",
    ),
    "photometric": (dicom(PhotometricInterpretation="HSV"), "reject", "FORMAT_NOT_ALLOWED"),
    "modality lut": (
        dicom(DEEP, 12, ModalityLUTSequence=[lut(np.zeros(4096, np.uint16))]),
        "reject",
        "RESCALE_INVALID",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    made, status, code = REFUSED[case]
    assert refusal(made) == (Status(status), ReasonCode(code))


def test_the_unsupported_syntax_is_named() -> None:
    with pytest.raises(FilmError, match=r"1\.2\.840\.10008\.1\.2\.4\.102"):
        film(encoded_as(MPEG4HP41, b"\0" * 64))


@pytest.mark.parametrize("kept", [300, 500, 700, -50, -20_000])
def test_a_cut_file_is_truncated_and_not_without_pixels(kept: int) -> None:
    assert refusal(written(dicom())[:kept]) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


def test_a_cut_compressed_file_is_truncated() -> None:
    made = dicom(DEEP, 12)
    made.compress(JPEGLSLossless)
    assert refusal(written(made)[:-3000]) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


WHOLE = written(dicom(DEEP, 12, WindowCenter=2048, WindowWidth=4096, RescaleSlope="1"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1400), st.integers(0, 255)), max_size=5))
def test_damage_ends_in_a_film_or_a_reason(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(WHOLE)
    for place, value in changes:
        damaged[place] = value
    with suppress(FilmError):
        assert isinstance(read(bytes(damaged)), Radiograph)


def test_the_helper_writes_what_pydicom_reads() -> None:
    np.testing.assert_array_equal(dcmread(io.BytesIO(WHOLE)).pixel_array, DEEP)
