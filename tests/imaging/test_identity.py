"""The DICOM identity of a film: read when asked for, clean, and shown nowhere."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.imaging.read import read
from hilum.phantom.film import draw_example
from hilum.reading.film import Reading
from hilum.reading.process import ReaderProcess

NAME = "Muster^Ängela\n=山田^花子"


def dicom(**elements: object) -> bytes:
    """A drawn film with a patient who does not exist."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SpecificCharacterSet = "ISO_IR 192"
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    film.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    film.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    film.AccessionNumber = "ACC-77"
    film.PatientName, film.PatientID = NAME, "PID-0815"
    film.PatientBirthDate, film.PatientSex = "19500102", "F"
    film.StudyDate, film.StudyTime = "20200304", "101112"
    film.Modality, film.ViewPosition, film.BodyPartExamined = "DX", "PA", "CHEST"
    film.PixelSpacing, film.PatientOrientation = [0.2, 0.2], ["L", "F"]
    pixels = np.rint(draw_example(None, seed=5).pixels * 4095).astype(np.uint16)
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = pixels.tobytes()
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    sink = io.BytesIO()
    film.save_as(sink, enforce_file_format=True)
    return sink.getvalue()


def test_it_is_read_only_when_asked_for() -> None:
    data = dicom()
    assert read(data).header is None
    header = read(data, identity=True).header
    assert header is not None
    assert header.patient_name == "Muster^Ängela=山田^花子"  # without the line end
    assert header.patient_id == "PID-0815"
    assert header.accession_number == "ACC-77"
    assert header.study_instance_uid.endswith(".1")
    assert header.series_instance_uid.endswith(".2")
    assert header.sop_instance_uid.endswith(".3")
    assert header.sop_class_uid == DigitalXRayImageStorageForPresentation
    assert (header.study_date, header.study_time) == ("20200304", "101112")
    assert (header.rows, header.columns) == (256, 256)
    assert header.pixel_spacing_mm == (0.2, 0.2)
    assert header.patient_orientation == ("L", "F")


def test_what_a_header_lacks_is_empty() -> None:
    header = read(dicom(PatientOrientation="", PixelSpacing=None, StudyID=None), identity=True)
    assert header.header is not None
    assert header.header.patient_orientation == ()
    assert header.header.pixel_spacing_mm is None
    assert header.header.study_id == ""


def test_a_film_that_is_no_dicom_has_none(tmp_path: Path) -> None:
    from PIL import Image

    gray = np.rint(draw_example(None, seed=5).pixels * 255).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", identity=True).header is None


def test_it_is_in_no_repr_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        film = read(dicom(), identity=True)
    text = repr((film, film.header)) + str(film.header) + caplog.text
    for secret in ("Muster", "PID-0815", "ACC-77", "1.2.826"):
        assert secret not in text.replace(film.sop_instance_uid, "")


@pytest.mark.slow
def test_it_comes_from_the_reader_s_process_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom())
    with ReaderProcess(Preprocessing(size=64), GateRules()) as reader:
        without = reader.read(path, with_preview=False)
        with_header = reader.read(path, with_preview=False, with_header=True)
    assert isinstance(without, Reading)
    assert isinstance(with_header, Reading)
    assert without.facts.header is None
    assert with_header.facts.header == read(path, identity=True).header
    assert "Muster" not in repr(with_header.facts)
    assert "Muster" not in repr(with_header)
