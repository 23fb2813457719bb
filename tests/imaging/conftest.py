"""Small DICOM films for tests that need any, and not one made for their question."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DicomOf = Callable[..., bytes]
DX = "1.2.840.10008.5.1.4.1.1.1.1"


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
