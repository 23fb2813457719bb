"""The gate on the catalog of bad inputs and on real films, where they lie beside the checkout."""

import json
from pathlib import Path

import pytest

from hilum.domain.errors import FilmError, ReasonCode
from hilum.imaging.gate import screen
from hilum.imaging.read import read

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
FILMS = sorted((SHARED / "data" / "nih_1024").glob("*.png"))
DICOM = SHARED / "data" / "dicom"

# What one film alone cannot show, or who may read it.
ELSEWHERE = {
    *("DUPLICATE_SOP_CONFLICT", "SYMLINK_OUTSIDE_ROOT", "PERMISSION_DENIED", "NAME_NOT_UTF8"),
}


def outcome(path: Path) -> tuple[str, tuple[ReasonCode, ...]]:
    try:
        film = read(path)
        codes = (*film.codes, *screen(film))
    except FilmError as error:
        return str(error.status), (error.code,)
    return ("warn" if codes else "ok"), codes


@pytest.mark.slow
def test_every_bad_input_ends_as_the_catalog_says(catalog: Path) -> None:
    wrong: list[str] = []
    for case in json.loads((catalog / "manifest.json").read_text("utf-8")):
        path = catalog / case["file"]
        if case["code"] in ELSEWHERE or not path.exists() or path.is_dir():
            continue
        status, codes = outcome(path)
        right = status == case["expect"] and (status == "ok" or case["code"] in codes)
        if not right:
            wrong.append(f"{case['file']}: {status} {codes}, not {case['expect']} {case['code']}")
    assert wrong == []


@pytest.mark.skipif(not DICOM.exists(), reason="no ../shared/data/dicom beside here")
def test_a_leg_is_no_chest_by_its_header_and_a_planted_inversion_is_found() -> None:
    leg = next(DICOM.glob("other_cr_dx*RG3_J2KI.dcm"))
    assert outcome(leg) == ("reject", (ReasonCode.BODY_PART_NOT_CHEST,))
    planted = next(DICOM.glob("chest*Fake_MONOHR1.dcm"))
    assert outcome(planted) == ("reject", (ReasonCode.INVERTED_SUSPECTED,))


@pytest.mark.skipif(not FILMS, reason="no ../shared/data/nih_1024 beside here")
def test_real_films_at_their_full_size_pass() -> None:
    refused = [path.name for path in FILMS if outcome(path)[0] == "reject"]
    assert refused == []
