"""The catalog of bad inputs, and real DICOM files, where they lie beside the checkout."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from hilum.domain.errors import FilmError, ReasonCode
from hilum.imaging.dicom.dataset import parse
from hilum.imaging.dicom.pixels import decode
from hilum.imaging.read import read

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
DICOM = SHARED / "data" / "dicom"

Outcome = tuple[str, tuple[ReasonCode, ...]]

# Codes that reading one file cannot give: they need the gate, other files, or the folder's root.
GATE = {
    "OOD",
    "OOD_SCORE_HIGH",
    "INVERTED_SUSPECTED",
    "ORIENTATION_SUSPECTED",
    "CLIPPED_HISTOGRAM",
    "LUNG_FIELD_INCOMPLETE",
    "BURNED_IN_TEXT",
    "VIEW_UNKNOWN",
    "AGE_OUT_OF_SCOPE",
    "VIEW_NOT_FRONTAL",
    "TOO_SMALL",
    "CONSTANT_IMAGE",
    "LOW_DYNAMIC_RANGE",
}
BATCH = {"DUPLICATE_SOP_CONFLICT", "SYMLINK_OUTSIDE_ROOT", "NAME_NOT_UTF8"}
AS_ROOT = {"PERMISSION_DENIED"}  # whom a mode does not stop
ONLY_READ = {"D93"}  # a link to a text file, for whoever follows it


def read_only(path: Path) -> Outcome:
    try:
        codes = read(path).codes
    except FilmError as error:
        return str(error.status), (error.code,)
    return ("warn" if codes else "ok"), codes


@pytest.mark.slow
def test_every_bad_input_is_read_as_the_catalog_says(catalog: Path) -> None:
    wrong: list[str] = []
    exact = 0
    for case in json.loads((catalog / "manifest.json").read_text("utf-8")):
        path = catalog / case["file"]
        if case["id"] == "D90":
            path = next(found for found in catalog.iterdir() if found.name.startswith("D90"))
        status, codes = read_only(path)
        if case["code"] in GATE | BATCH | AS_ROOT:
            # What reading leaves to others it reads: as a film, or with a reason of its own.
            right = status in ("ok", "warn") or case["id"] in ONLY_READ
        else:
            wanted = () if case["code"] is None else (case["code"],)
            right = (status, codes) == (case["expect"], wanted)
            exact += 1
        if not right:
            wrong.append(f"{case['file']}: {status} {codes}, not {case['expect']} {case['code']}")
    assert wrong == []
    assert exact >= 86


def test_every_code_is_given_by_somebody() -> None:
    source = Path(__file__).resolve().parents[2] / "src" / "hilum"
    given = "\n".join(
        path.read_text("utf-8")
        for path in source.rglob("*.py")
        if path.name not in ("errors.py", "sentences.py")
    )
    assert [code.value for code in ReasonCode if f"ReasonCode.{code.value}" not in given] == []


REJECTED = {
    "CT": "MODALITY_NOT_SUPPORTED",
    "MR": "MODALITY_NOT_SUPPORTED",
    "NM": "MODALITY_NOT_SUPPORTED",
    "PT": "MODALITY_NOT_SUPPORTED",
    "US": "MODALITY_NOT_SUPPORTED",
    "SEG": "MODALITY_NOT_SUPPORTED",
    "RTDOSE": "MODALITY_NOT_SUPPORTED",
}
CAPTURE = ("warn", ("SECONDARY_CAPTURE",))
COLOUR = ("reject", ("MODALITY_NOT_SUPPORTED",))
# What each file's header deserves, where its modality alone does not say it.
DESERVED = {
    "chest__fo-dicom__CR-MONO1-10-chest.dcm": ("warn", ("DICOM_NO_PREAMBLE", "ASPECT_INVALID")),
    "chest__fo-dicom__chrJapMulti.dcm": ("reject", ("NO_PIXEL_DATA",)),
    "chest__mlmed__1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm": CAPTURE,
    "chest__mlmed__Fake_MONOHR1.dcm": CAPTURE,
    "chest__pydicom__RG1_J2KI.dcm": ("ok", ()),
    "chest__udacity__test1.dcm": CAPTURE,
    "chest__udacity__test2.dcm": CAPTURE,
    "chest__udacity__test4.dcm": CAPTURE,
    "conformance__fo-dicom__1403-OB.dcm": COLOUR,
    "conformance__fo-dicom__GH1339.dcm": ("reject", ("MODALITY_NOT_SUPPORTED",)),
    "conformance__fo-dicom__GH223.dcm": ("reject", ("MODALITY_NOT_SUPPORTED",)),
    "conformance__fo-dicom__GH487.dcm": ("reject", ("MODALITY_NOT_SUPPORTED",)),
    "conformance__fo-dicom__TestPattern_Palette_16.dcm": COLOUR,
    "conformance__fo-dicom__chrArab.dcm": CAPTURE,
    "conformance__fo-dicom__chrH31.dcm": CAPTURE,
    "conformance__fo-dicom__chrH32.dcm": CAPTURE,
    "conformance__fo-dicom__chrSQEncoding1.dcm": ("reject", ("MODALITY_NOT_SUPPORTED",)),
    "conformance__fo-dicom__chrX2.dcm": CAPTURE,
    "conformance__pydicom__JLSL_08_07_0_1F.dcm": CAPTURE,
    "conformance__pydicom__JLSL_RGB_ILV2.dcm": COLOUR,
    "conformance__pydicom__SC_rgb_16bit.dcm": COLOUR,
    "conformance__pydicom__SC_rgb_2frame.dcm": ("reject", ("MULTI_FRAME",)),
    "conformance__pydicom__parametric_map_double_float.dcm": COLOUR,
    "conformance__robyoung__ExplVR_LitEndNoMeta.dcm": ("skip", ("NOT_AN_IMAGE_OBJECT",)),
    "conformance__robyoung__SC_rgb_dcmtk_+eb+cy+s4.dcm": COLOUR,
    "conformance__robyoung__SC_rgb_jpeg_gdcm.dcm": COLOUR,
    "conformance__robyoung__SC_rgb_rle.dcm": COLOUR,
    "conformance__robyoung__SC_rgb_rle_16bit_2frame.dcm": ("reject", ("MULTI_FRAME",)),
    "conformance__robyoung__SC_rgb_small_odd_jpeg.dcm": COLOUR,
    "conformance__robyoung__rtplan.dcm": ("skip", ("NOT_AN_IMAGE_OBJECT",)),
    "other_cr_dx__robyoung__RG3_J2KI.dcm": ("ok", ()),
    "other_cr_dx__robyoung__RG3_JLSL.dcm": ("ok", ()),
    "other_cr_dx__robyoung__RG3_JPLL.dcm": ("ok", ()),
}


@pytest.mark.slow
@pytest.mark.skipif(not DICOM.exists(), reason="no ../shared/data/dicom beside here")
def test_every_real_dicom_ends_as_its_header_deserves() -> None:
    with (DICOM / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ended = {row["file"]: read_only(DICOM / row["file"]) for row in rows}
    deserved = {
        row["file"]: DESERVED.get(row["file"]) or ("reject", (REJECTED[row["Modality"]],))
        for row in rows
    }
    assert ended == deserved


# Of other modalities; made into CR by one word of their header, their pixels have to be decoded.
AS_CR = {
    "conformance__fo-dicom__D_CLUNIE_CT1_RLE_FRAGS.dcm": None,
    "conformance__fo-dicom__GH184.dcm": None,
    "conformance__robyoung__CT2_J2KR.dcm": None,
    "conformance__robyoung__MR1_J2KI.dcm": None,
    "conformance__robyoung__MR_small_bigendian.dcm": None,
    "conformance__robyoung__NM1_JLSN.dcm": None,
    "conformance__robyoung__NM1_RLE.dcm": None,
    "conformance__robyoung__MR_truncated.dcm": ReasonCode.DECODE_TRUNCATED,
    "conformance__robyoung__MR2_JPLY.dcm": ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED,
}


@pytest.mark.skipif(not DICOM.exists(), reason="no ../shared/data/dicom beside here")
@pytest.mark.parametrize("name", AS_CR)
def test_real_codings_decode_as_pydicom_does(name: str) -> None:
    data = (DICOM / name).read_bytes()
    at = re.search(rb"(\x08\0\x60\0|\0\x08\0\x60)CS..", data)
    assert at is not None
    film = data[: at.end()] + b"CR" + data[at.end() + 2 :]
    code = AS_CR[name]
    if code is not None:
        with pytest.raises(FilmError) as caught:
            read(film)
        assert caught.value.code is code
        return
    assert read(film).pixels.std() > 0.02
    if "GH184" not in name:  # JPEG Lossless, which pydicom has no decoder for here
        np.testing.assert_array_equal(
            decode(parse(film)).values, dcmread(io.BytesIO(data), force=True).pixel_array
        )
