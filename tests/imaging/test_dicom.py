import base64
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
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph, Sex, ViewPosition
from hilum.imaging.dicom import dataset, pixels
from hilum.imaging.dicom.grayscale import Grayscale, LookUp, Window, WindowShape
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
    gray = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    gray[0, 0] = 255
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, "PNG")
    expected = read(stream.getvalue()).pixels
    for made in (
        dicom(gray),
        dicom(gray.astype(np.uint16) * 257, 16),
        dicom(255 - gray, PhotometricInterpretation="MONOCHROME1"),
        dicom(255 - gray, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
        dicom(gray, PresentationLUTShape="IDENTITY"),
        dicom(gray, WindowCenter=128, WindowWidth=256),
    ):
        np.testing.assert_allclose(film(made).pixels, expected, atol=1e-6)


def test_12_bits_say_their_white_and_16_bits_may_have_to_be_told() -> None:
    np.testing.assert_allclose(film(dicom(DEEP, 12)).pixels, DEEP / 4095, atol=1e-6)
    undeclared = film(dicom(DEEP, 16))
    assert undeclared.codes == (ReasonCode.RANGE_INFERRED,)
    np.testing.assert_allclose(undeclared.pixels, DEEP / 4095, atol=1e-6)


@pytest.mark.parametrize("shape", list(WindowShape))
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1500.5, 900), (3000, 30)])
def test_windows_equal_pydicom(shape: WindowShape, center: float, width: float) -> None:
    made = dicom(DEEP, 12, WindowCenter=[center, 7], WindowWidth=[width, 9], VOILUTFunction=shape)
    expected = apply_windowing(DEEP.astype(np.float64), made) / 4095
    window = Window(center, width, shape)
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
    rule = Grayscale(bits=16, signed=True, padding=(-32768, -32760))
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
            ImagerPixelSpacing=[0.2, 0.2],
            PixelSpacing=[0.143, 0.143],
            BodyPartExamined="CHEST",
            Laterality="B",
        )
    )
    assert shown.view is ViewPosition.PA
    assert shown.sex is Sex.FEMALE
    assert shown.age_years == pytest.approx(10 / 12)
    assert shown.spacing_mm == (0.143, 0.143)
    assert (shown.body_part, shown.laterality) == ("CHEST", "B")
    assert shown.patient_id == "CANARY-8812"
    assert "CANARY" not in repr(shown)
    hostile = written(dicom()).replace(b"CANARY-8812", b"../X\r\nY,=Z1")
    assert read(hostile).patient_id == "../X\r\nY,=Z1"
    assert shown.sop_instance_uid == generate_uid(entropy_srcs=["film"])
    dates = film(dicom(PatientBirthDate="19610203", StudyDate="20200204", PatientSex="O"))
    assert dates.age_years == pytest.approx(59, abs=0.01)
    assert dates.sex is Sex.UNKNOWN
    bare = film(dicom(ViewPosition=""))
    assert (bare.view, bare.age_years, bare.spacing_mm) == (ViewPosition.UNKNOWN, None, None)
    assert (bare.body_part, bare.laterality) == ("", "")
    several = film(dicom(PatientID=["a", "b"], ImageLaterality="L", Laterality="R"))
    assert (several.patient_id, several.laterality) == ("a\\b", "L")
    assert film(dicom(PatientID=None, ImageLaterality="U")).laterality == ""


@pytest.mark.parametrize("word", ["LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LPO"])
def test_views_that_are_not_frontal(word: str) -> None:
    lateral = word in ("LL", "RL", "LATERAL")
    view = film(dicom(ViewPosition=word)).view
    assert view is (ViewPosition.LL if lateral else ViewPosition.OTHER)


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
    assert film(dicom(BurnedInAnnotation="YES")).codes == (ReasonCode.BURNED_IN_ANNOTATION,)
    gray = np.stack([GREY] * 3, -1)
    capture = film(dicom(gray, sop=SC, Modality="OT"))
    assert capture.codes == (ReasonCode.SECONDARY_CAPTURE,)
    np.testing.assert_allclose(capture.pixels, GREY / 255, atol=1e-6)
    long = dicom()
    long.PixelData += b"\0" * 1000
    assert film(long).codes == (ReasonCode.PIXEL_LENGTH_MISMATCH,)


def test_the_object_has_one_name() -> None:
    data, tag = written(dicom()), b"\x08\0\x18\0UI"
    at = data.index(tag) + 8
    other = read(data[:at] + b"2" + data[at + 1 :])
    assert other.codes == (ReasonCode.SOP_UID_MISMATCH,)
    unnamed = read(data.replace(tag, b"\x08\0\x19\0UI"))
    assert (unnamed.codes, unnamed.sop_instance_uid) == ((ReasonCode.SOP_UID_MISSING,), "")


def test_what_cannot_be_printed_stays_out_of_messages() -> None:
    data = written(dicom(Modality="CXXT")).replace(b"CXXT", b"C\x1b\nT")
    with pytest.raises(FilmError) as caught:
        read(data)
    assert "'C??T'" in caught.value.message


@pytest.mark.parametrize(
    ("elements", "shape", "spacing_mm"),
    [
        ({"PixelSpacing": [0.3, 0.15]}, (300, 140), (0.15, 0.15)),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, (150, 280), (0.1, 0.1)),
        ({"NominalScannedPixelSpacing": [0.2, 0.1]}, (300, 140), (0.1, 0.1)),
        ({"PixelAspectRatio": [2, 1]}, (300, 140), None),
        ({"PixelAspectRatio": [3, 2], "PixelSpacing": [0.2, 0.1]}, (300, 140), (0.1, 0.1)),
    ],
)
def test_pixels_are_made_square(
    elements: dict[str, object], shape: tuple[int, int], spacing_mm: tuple[float, float] | None
) -> None:
    smooth = (np.add.outer(np.arange(150), np.arange(140)) * 0.8).astype(np.uint8)
    shown = film(dicom(smooth, **elements))
    assert shown.codes == (ReasonCode.ASPECT_APPLIED,)
    assert shown.shape == shape
    assert shown.spacing_mm == pytest.approx(spacing_mm)
    rows, columns = shape[0] // 150, shape[1] // 140
    reduced = shown.pixels.reshape(150, rows, 140, columns).mean(axis=(1, 3))
    np.testing.assert_allclose(reduced, smooth / 255, atol=0.01)


@pytest.mark.parametrize(
    ("elements", "codes"),
    [
        ({"PixelSpacing": [0.1500, 0.1501]}, ()),
        ({"PixelSpacing": [0, 0]}, ()),
        ({"PixelAspectRatio": [1, 1]}, ()),
        ({"PixelAspectRatio": [0, 1]}, (ReasonCode.ASPECT_INVALID,)),
        ({"PixelAspectRatio": [9, 1]}, (ReasonCode.ASPECT_INVALID,)),
        ({"PixelAspectRatio": 1}, (ReasonCode.ASPECT_INVALID,)),
        ({"PixelSpacing": [0.1, -0.1]}, (ReasonCode.ASPECT_INVALID,)),
        ({"PixelSpacing": [0.1, 10]}, (ReasonCode.ASPECT_INVALID,)),
    ],
)
def test_square_and_senseless_aspects_change_nothing(
    elements: dict[str, object], codes: tuple[ReasonCode, ...]
) -> None:
    shown = film(dicom(**elements))
    assert (shown.shape, shown.codes) == (GREY.shape, codes)


def test_a_film_that_becomes_too_large_is_refused() -> None:
    wide = np.zeros((2, 12_000), np.uint8)
    made = dicom(wide, PixelSpacing=[0.1, 0.2])
    assert refusal(made) == (Status.REJECT, ReasonCode.DIMENSIONS_EXCEED_LIMIT)


def palette(with_tables: bool) -> FileDataset:
    shuffle = np.random.default_rng(1).permutation(256)
    made = dicom(np.argsort(shuffle).astype(np.uint8)[GREY])
    made.PhotometricInterpretation = "PALETTE COLOR"
    if with_tables:
        for color in ("Red", "Green", "Blue"):
            name = f"{color}PaletteColorLookupTable"
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
    "color": (dicom(NOISE, sop=SC, Modality="OT"), "reject", "MODALITY_NOT_SUPPORTED"),
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
    "directory": (dicom(sop="1.2.840.10008.1.3.10", PixelData=None), "skip", "DICOMDIR"),
    "class": (
        dicom(sop="1.2.840.10008.5.1.4.1.1.2", Modality=None, Rows=None),
        "reject",
        "MODALITY_NOT_SUPPORTED",
    ),
    "frames": (dicom(NumberOfFrames=2), "reject", "MULTI_FRAME"),
    "huge": (dicom(Rows=60000, Columns=60000), "reject", "DIMENSIONS_EXCEED_LIMIT"),
    "memory": (
        dicom(NOISE.astype(np.uint16), 16, Rows=9000, Columns=9000),
        "reject",
        "DECODE_LIMIT",
    ),
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


def compressed(syntax: str) -> FileDataset:
    """The film in one of the codings that state their own size."""
    if syntax in (JPEGBaseline8Bit, JPEG2000Lossless):
        kind = "JPEG" if syntax == JPEGBaseline8Bit else "JPEG2000"
        stream = io.BytesIO()
        Image.fromarray(GREY).save(stream, kind, **({} if kind == "JPEG" else {"no_jp2": True}))
        return encoded_as(syntax, stream.getvalue())
    made = dicom()
    made.compress(syntax)
    return made


@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless, RLELossless]
)
@pytest.mark.parametrize(("rows", "columns"), [(300, 140), (150, 280), (140, 150)])
def test_a_compressed_picture_of_another_size_is_not_decoded(
    syntax: str, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = compressed(syntax)
    assert film(made).shape == (150, 140)
    monkeypatch.delattr(pixels, "pixel_array")
    made.Rows, made.Columns = rows, columns
    if syntax != RLELossless:
        assert refusal(made) == (Status.ERROR, ReasonCode.DECODE_CORRUPT)
    elif rows * columns > GREY.size:  # RLE states no size, only runs
        assert refusal(made) == (Status.ERROR, ReasonCode.DECODE_TRUNCATED)


@pytest.mark.parametrize(
    ("syntax", "marker"), [(JPEGBaseline8Bit, b"\xff\xc0"), (JPEGLSLossless, b"\xff\xf7")]
)
def test_a_compressed_picture_that_states_a_huge_size_is_refused(
    syntax: str, marker: bytes
) -> None:
    data = bytearray(written(compressed(syntax)))
    size = data.index(marker) + 5
    data[size : size + 4] = b"\xff\xff\xff\xff"
    assert refusal(bytes(data)) == (Status.REJECT, ReasonCode.DIMENSIONS_EXCEED_LIMIT)


def test_an_rle_bomb_ends_with_the_film() -> None:
    bomb = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x07" * 1_000_000
    np.testing.assert_allclose(film(encoded_as(RLELossless, bomb)).pixels, 7 / 255)
    silence = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x80" * 5_000_000
    assert refusal(encoded_as(RLELossless, silence)) == (
        Status.ERROR,
        ReasonCode.DECODE_TRUNCATED,
    )


@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_rle_equals_pydicom(stored: int, signed: bool) -> None:
    values = DEEP.astype(np.int16) - 2048 if signed else DEEP
    made = dicom(values, stored)
    made.compress(RLELossless)
    expected = pixel_array(made)
    np.testing.assert_array_equal(pixels.decode(made).values, expected)
    assert pixels.decode(made).values.dtype == expected.dtype
    color = dicom(NOISE, sop=SC, Modality="OT")
    color.compress(RLELossless)
    np.testing.assert_array_equal(pixels.decode(color).values, NOISE)


# 48 x 64 of 12 bits, reversible, as OpenJPH writes it.
OPENJPH = zlib.decompress(
    base64.b85decode(
        "c-s5#|38pH(}4j9K!gDU0-*94`577i2QY9jFabGS|AQEKfGkD^Ru&cq#{V%4!U`P|kU&RA$Nv-taRx^Jg48^(01t(*)FK4~JtH$cW4-?q7`VVDvM@0IpL~Epn?aD_`0uyh7Jp(oY{GDWK^TY_COCXzYARuP{DXlBBqkcbz#8E(LE-0uCL^XY1|`=nk)H<)8~1Gk$!%a@U7`dA&%3G$o5~p`2yn14H9GwJ#o<u>O_A}<E}$y0Eewn$41Dc}9~M~10I82Z|8Z3TK_OE$gWF*P9vJ%fzp%lHeSac{+}{?3>Td##Z#FX?V9;w~U@UdGSN(qPcLeco|F0@IC}1jNymuEB{IAbf-(NHD@2BeTC*R+PGvDlD{C^VwA?T7n"
    )
)
OPENJPH_FILM = (np.add.outer(np.arange(48), 2 * np.arange(64)) % 256).astype(np.uint16) * 16


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000_is_exact(syntax: str) -> None:
    made = dicom(OPENJPH_FILM, 12)
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([OPENJPH])
    made["PixelData"].is_undefined_length = True
    np.testing.assert_allclose(film(made).pixels, OPENJPH_FILM / 4095, atol=1e-6)


def test_extended_jpeg_of_12_bits_is_named() -> None:
    frame = bytes.fromhex("ffd8 ffc1 000b 0c 0096 008c 01 011100 ffd9")
    made = encoded_as(JPEGExtended12Bit, frame)
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    with pytest.raises(FilmError, match=r"12 bits \(1\.2\.840\.10008\.1\.2\.4\.51\)") as caught:
        film(made)
    assert caught.value.code is ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED


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


def test_what_takes_long_is_refused_or_passed_over() -> None:
    pieces = encoded_as(JPEGLSLossless, b"\0\0")
    pieces.PixelData = encapsulate([b"\0\0"] * 20_000)
    assert refusal(pieces) == (Status.REJECT, ReasonCode.DECODE_LIMIT)
    markers = encoded_as(JPEGBaseline8Bit, b"\xff\xd8" + b"\xff\xe0\0\x02" * 20_000)
    assert refusal(markers) == (Status.ERROR, ReasonCode.DECODE_CORRUPT)
    implicit = dicom(WindowWidth=256)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    many = "1\\" * 200_000
    tag = b"\x28\0\x51\x10"
    data = written(implicit)
    window = b"\x28\0\x50\x10" + struct.pack("<I", len(many)) + many.encode()
    assert read(data.replace(tag, window + tag, 1)).codes == (ReasonCode.WINDOW_INVALID,)


def test_jpeg_ls_without_its_end_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(compressed(JPEGLSLossless))
    monkeypatch.delattr(pixels, "pixel_array")
    assert refusal(data.replace(b"\xff\xd9", b"\x7f\x59")) == (
        Status.ERROR,
        ReasonCode.DECODE_TRUNCATED,
    )


def test_a_long_sequence_of_tables_is_still_read() -> None:
    table = lut((np.linspace(1, 0, 4096) * 65535).astype(np.uint16))
    spare = [lut(np.arange(65535, dtype=np.uint16)) for _ in range(3)]
    made = dicom(DEEP, 12, VOILUTSequence=[table, *spare])
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    np.testing.assert_allclose(film(made).pixels, 1 - DEEP / 4095, atol=1e-4)
