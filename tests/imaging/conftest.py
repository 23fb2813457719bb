"""Small DICOM films for tests that need any, and not one made for their question."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DicomOf = Callable[..., bytes]
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
MAKER = SHARED / "tools" / "make_bad_inputs.py"


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog of bad inputs, with its manifest.json; made once, whoever of the workers asks.

    Only to be read.
    """
    film = min((SHARED / "data" / "nih_1024").glob("*.png"), default=None)
    if film is None or not MAKER.exists():
        pytest.skip("no ../shared beside here")
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    made = root / "catalog"
    with (root / "catalog.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "manifest.json").exists():
            command = [sys.executable, "-W", "ignore", str(MAKER), str(made), "--png", str(film)]
            subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="session")
def dicom_of() -> DicomOf:
    """Pixels, stored bits and elements to a DX file; `frame` makes it a compressed one."""

    def make(
        pixels: NDArray[np.unsignedinteger],
        bits: int = 8,
        syntax: str = ExplicitVRLittleEndian,
        frame: bytes | None = None,
        **elements: object,
    ) -> bytes:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = DX
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["film"])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        made.SOPClassUID, made.SOPInstanceUID = DX, meta.MediaStorageSOPInstanceUID
        made.Modality, made.ViewPosition, made.BodyPartExamined = "DX", "PA", "CHEST"
        made.PatientAge, made.PatientSex = "057Y", "F"
        made.Rows, made.Columns = pixels.shape
        made.SamplesPerPixel, made.PixelRepresentation = 1, 0
        made.PhotometricInterpretation = "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit = 8 * pixels.itemsize, bits, bits - 1
        made.PixelData = pixels.tobytes()
        for keyword, value in elements.items():
            setattr(made, keyword, value)
        if frame is not None:
            meta.TransferSyntaxUID = syntax
            made.PixelData = encapsulate([frame])
            made["PixelData"].is_undefined_length = True
        elif syntax != ExplicitVRLittleEndian:
            made.compress(syntax)
        stream = io.BytesIO()
        made.save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    return make
