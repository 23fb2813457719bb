"""Results of a film that does not exist, with a header to vary; and a validator."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.documents.results import Decision, FindingResult
from hilum.domain.errors import ReasonCode
from hilum.domain.findings import nih14
from hilum.domain.radiograph import DicomDisplay, DicomHeader
from hilum.interchange import Algorithm, FilmResults, Outline, Sheet, object_kind, object_kinds
from hilum.interchange.parts.modules import file_bytes

HEADER = DicomHeader(
    study_instance_uid="1.2.826.0.1.3680043.8.498.1",
    series_instance_uid="1.2.826.0.1.3680043.8.498.2",
    sop_instance_uid="1.2.826.0.1.3680043.8.498.3",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
    accession_number="ACC-77",
    study_id="S1",
    patient_name="Muster^Erika",
    patient_id="PID-0815",
    patient_birth_date="19500102",
    patient_sex="F",
    study_date="20200304",
    study_time="101112",
    rows=120,
    columns=90,
    pixel_spacing_mm=(0.2, 0.2),
    patient_orientation=("L", "F"),
    patient_age="070Y",
    modality="DX",
    body_part="CHEST",
    content_date="20200304",
    content_time="101113.5",
    display=DicomDisplay(window=(2048.0, 4096.0, "LINEAR")),
)
PROBABILITY = 0.123456789012345678
BOX = ((9.0, 12.0), (9.0, 60.5), (45.25, 60.5), (9.0, 12.0))


def findings() -> dict[str, FindingResult]:
    found = {
        name: FindingResult.called(0.01 * number, 0.5, calibrated=True)
        for number, name in enumerate(nih14())
    }
    found["Effusion"] = FindingResult.called(PROBABILITY, 0.1, calibrated=True)
    found["Mass"] = FindingResult.called(0.7, 0.3, calibrated=False)
    found["Hernia"] = FindingResult.called(0.2, None, calibrated=True)
    found["Edema"] = FindingResult(
        probability=0.4,
        threshold=0.5,
        positive=None,
        decision=Decision.ABSTAINED,
        abstention="the film is unlike those it was calibrated on",
    )
    return found


def results(**header: object) -> FilmResults:
    """Two positive findings, one without a threshold, one abstained; all kinds of objects."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[5:20, 5:40] = (200, 40, 10)
    heat = np.zeros((HEADER.rows, HEADER.columns), np.float32)
    heat[12:60, 9:45] = 2.0
    return FilmResults(
        header=replace(HEADER, **header),
        sha256="ab" * 32,
        findings=findings(),
        codes=(ReasonCode.VIEW_UNKNOWN,),
        algorithm=Algorithm(
            "toy", "0123456789ab", "0.1.0", "f32", "platt", {"Effusion": "sensitivity 0.90"}
        ),
        kinds=object_kinds(),
        key=bytes(32),
        outlines={"Mass": Outline(BOX, 0.5), "Effusion": Outline(BOX, 0.5)},
        sheet=Sheet(60, 80, picture.tobytes()),
        map_of=lambda name: heat if name in ("Mass", "Effusion") else np.zeros_like(heat),
    )


Validate = Callable[[bytes], list[str]]

KNOWN = (
    "DeviceUID",  # an attribute of Contributing Equipment since 2017, unknown to dciodvfy of 2022
    "DICOMDIR",  # what only a DICOMDIR would need, and the source lacks
    "Retired Person Name form",  # names of the source without a caret, which are its own
    "not supported",  # character sets that the validator does not know
)
"""What dciodvfy may warn of, each with its reason."""


@pytest.fixture(scope="session")
def dciodvfy(tmp_path_factory: pytest.TempPathFactory) -> Validate:
    """What dciodvfy finds wrong with an object, beyond `KNOWN`."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    path = tmp_path_factory.mktemp("dciodvfy") / "object.dcm"

    def check(data: bytes) -> list[str]:
        path.write_bytes(data)
        done = subprocess.run(
            ["dciodvfy", "-new", path],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        lines = (done.stdout + done.stderr).splitlines()
        wrong = [line for line in lines if line.startswith(("Error", "Warning"))]
        return [line for line in wrong if not any(words in line for words in KNOWN)]

    return check


@pytest.fixture(scope="session")
def film_results() -> Callable[..., FilmResults]:
    return results


@pytest.fixture(scope="session")
def file_of() -> Callable[[FilmResults, str], bytes]:
    def make(film: FilmResults, kind: str) -> bytes:
        made = object_kind(kind).build(film)
        assert made is not None
        return file_bytes(made)

    return make


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "object.dcm"
        path.write_bytes(data)
        return path

    return write
