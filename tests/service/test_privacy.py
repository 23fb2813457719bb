"""Twenty films of one patient: the name and the numbers are found nowhere but in the films."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Running, Send, Start

CANARY = "CANARY"
ELEMENTS = {
    "PatientName": "CANARY1^JANE",
    "PatientID": "CANARY2-4711",
    "PatientBirthDate": "19501231",
    "PatientAddress": "CANARY3 STREET",
    "OtherPatientIDs": "CANARY4",
    "AccessionNumber": "CANARY5",
    "StudyID": "CANARY6",
    "StudyDescription": "CANARY7 CHEST",
    "SeriesDescription": "CANARY8",
    "InstitutionName": "CANARY9 HOSPITAL",
    "ReferringPhysicianName": "CANARYA^DOC",
    "OperatorsName": "CANARYB",
    "ImageComments": "CANARYC",
    "StationName": "CANARYD",
}
FILMS = 20


def film_of(number: int, png: Path) -> bytes:
    """A DICOM film of the patient, scored or, every fourth, refused for what its header says."""
    from PIL import Image
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    pixels = np.asarray(Image.open(png).convert("L"))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["canary", str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID = meta.MediaStorageSOPClassUID
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.Modality, made.ViewPosition, made.BodyPartExamined = "DX", "PA", "CHEST"
    made.PatientAge, made.PatientSex = "057Y", "F"
    if number % 4 == 3:
        made.Modality = "US"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = pixels.tobytes()
    for keyword, value in ELEMENTS.items():
        setattr(made, keyword, value)
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(scope="module")
def own(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A service that has seen this patient and no other."""
    return start("starter", store=tmp_path_factory.mktemp("private") / "store")


def test_a_patient_is_found_in_the_films_alone(own: Running, send: Send, films: list[Path]) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    client = own.client("admin")
    names: set[str] = set()
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.005):  # else it would take the core that the service needs
            names.update(str(path) for path in (*own.store.rglob("*"), *own.folder.rglob("*")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    texts: list[str] = []
    statuses: list[str] = []
    try:
        for number in range(FILMS):
            data = film_of(number, films[number])
            assert data.count(CANARY.encode()) == len(ELEMENTS) - 1
            answer = send(client, data, f"film-{number}.dcm")
            texts += [answer.text, str(answer.headers)]
            statuses.append(answer.json()["result"]["status"])
            film = answer.json()["links"]
            if film["pixels"]:
                framed = client.get(film["pixels"])
                texts.append(framed.content.decode("latin-1") + str(framed.headers))
            reading = {"findings": {"Mass": "present"}}
            client.put(film["verdict"], json=reading, headers={"If-Match": '"0"'})
            texts.append(client.get(film["history"]).text)
    finally:
        finished.set()
        watcher.join()
    assert len(set(statuses)) > 1, "some were scored, and some were not"
    paths = ["/metrics", "/v1/films?limit=200", "/v1/bundle", "/v1/session", "/readyz"]
    paths += [f"/v1/export/{name}" for name in ("labels.csv", "boxes.csv", "verdicts.jsonl")]
    texts += [client.get(path).text for path in paths]
    texts += [own.errors.read_text(), *names]
    assert any("film-0.dcm" in text for text in texts)
    assert not [text[:200] for text in texts if CANARY in text or "19501231" in text]
    assert own.outside() == []


def test_the_books_and_pictures_do_not_know_the_patient(own: Running) -> None:
    """They may name the canary no more than exports do: only the films themselves do."""
    looked = [path for path in own.store.rglob("*") if path.is_file()]
    holders = [path for path in looked if CANARY.encode() in path.read_bytes()]
    assert {path.relative_to(own.store).parts[0] for path in holders} == {"objects"}
    assert len(holders) == FILMS
    assert own.stop() == 0
    assert CANARY not in own.errors.read_text()


def test_names_that_senders_give_stay_out_of_paths_and_metrics(
    scoring: Running, send: Send, films: list[Path]
) -> None:
    client = scoring.client("admin")
    canary = "CANARY^JANE"
    answer = send(client, films[3].read_bytes() + b"\1", f"{canary}.png")
    film = answer.json()
    client.get(film["links"]["pixels"])
    urls = json.dumps(film["links"])
    assert canary not in urls + scoring.errors.read_text() + client.get("/metrics").text
    names = [str(path) for path in scoring.store.rglob("*")]
    assert canary not in "".join(names)
