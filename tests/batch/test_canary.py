"""A patient who must not be found: in no file, name, word or line that a batch leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from hilum.batch.patients import Patients, Phi
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih

pytestmark = pytest.mark.slow

CANARY = (b"ZZCANARY", b"SURNAME", b"CANARY-8812", b"19010203")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of the canary's, a lateral one that is rejected, and one that is cut off."""
    folder = tmp_path_factory.mktemp("inbox")
    drawn = folder.parent / "drawn"
    write_nih(PhantomCorpus(patients=1, seed=0), drawn)
    with Image.open(next((drawn / "images").glob("*.png"))) as image:
        pixels = np.asarray(image.convert("L"))
    for name, view in (("frontal", "PA"), ("lateral", "LL")):
        _dicom(pixels, view).save_as(folder / f"{name}.dcm", enforce_file_format=True)
    whole = (folder / "frontal.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    return folder


def _dicom(pixels: np.ndarray, view: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["canary", view])
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    made.PatientName, made.PatientID = "ZZCANARY^SURNAME", "CANARY-8812"
    made.PatientBirthDate, made.PatientAge, made.PatientSex = "19010203", "093Y", "F"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", view
    made.PresentationIntentType = "FOR PRESENTATION"
    made.PhotometricInterpretation, made.SamplesPerPixel = "MONOCHROME2", 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.Rows, made.Columns = pixels.shape
    made.PixelData = pixels.tobytes()
    return made


def predict(inbox: Path, out: Path, *options: str) -> list[bytes]:
    """Everything that a batch leaves: names, bytes of files, and both streams."""
    command = [Path(sys.executable).with_name("hilum"), "predict", "starter", inbox, "-o", out]
    done = subprocess.run([*command, *options], capture_output=True, check=False)
    assert done.returncode == 3, done.stderr.decode()
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [
        *(str(path).encode() for path in files),
        *(path.read_bytes() for path in files),
        done.stdout,
        done.stderr,
    ]


def test_the_canary_is_found_nowhere(inbox: Path, tmp_path: Path) -> None:
    key = tmp_path / "phi.key"
    left = predict(inbox, tmp_path / "out", "--phi-key", str(key), "--format", "json")
    for mark in (*CANARY, key.read_bytes(), key.read_bytes().hex().encode()):
        assert not [data[:80] for data in left if mark in data]
    pseudonym = Patients(Phi.PSEUDONYM, key.read_bytes()).shown("CANARY-8812").encode()
    assert sum(pseudonym in data for data in left) >= 4  # table, lines, report and journal


def test_with_none_not_even_a_pseudonym_is_said(inbox: Path, tmp_path: Path) -> None:
    for data in predict(inbox, tmp_path / "out", "--phi", "none", "--quiet"):
        assert b'"age_years":9' not in data
        assert b'"sex":"F"' not in data
        assert not [mark for mark in CANARY if mark in data]


def test_in_full_the_id_is_said_and_nothing_else(inbox: Path, tmp_path: Path) -> None:
    left = predict(inbox, tmp_path / "out", "--phi", "full", "--quiet")
    assert any(b"CANARY-8812" in data for data in left)
    for mark in (b"ZZCANARY", b"SURNAME", b"19010203"):
        assert not [data[:80] for data in left if mark in data]
