"""A node in this process or in one of its own, drawn films, and pynetdicom as the other side."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from hilum import Bundle
from hilum.batch.dicom_objects import DicomRequest
from hilum.batch.patients import Patients, Phi
from hilum.batch.score import BatchRequest
from hilum.interchange import object_kind, object_kinds
from hilum.node.settings import NodeSettings
from hilum.node.start import Node, NodeWork, running
from hilum.phantom.film import draw_example

ROOT = "1.2.826.0.1.3680043.8.498."
KEY = bytes(range(32))
CLASSES = ("1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.7")
PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
PATIENCE_S = 60.0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(holds: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait until something holds; fail with what it was."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.02)
    pytest.fail(f"{what} within {patience_s:g} s")


@pytest.fixture(scope="session")
def pixels() -> Any:
    import cv2

    drawn = draw_example(None, seed=5).pixels
    return np.rint(cv2.resize(drawn, (256, 256)) * 4095).astype(np.uint16)


def film(pixels: Any, number: int, study: int = 1, **elements: Any) -> FileDataset:
    """A film of a study; the pixels of each number differ."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(f"{ROOT}7.{number}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset("", {}, bytes(128), meta, is_implicit_VR=False, is_little_endian=True)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, f"{ROOT}7.{number}"
    one.StudyInstanceUID, one.SeriesInstanceUID = f"{ROOT}5.{study}", f"{ROOT}6.{study}"
    one.PatientName, one.PatientID = "Canary^Unlikely", "CANARY-8812"
    one.StudyDate, one.StudyTime = "20200304", "101112"
    one.Modality, one.ViewPosition, one.BodyPartExamined = "DX", "PA", "CHEST"
    one.PatientAge = "055Y"
    changed = pixels.copy()
    changed[0, 0] = number % 4096
    one.Rows, one.Columns = changed.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.PixelData = changed.tobytes()
    for keyword, value in elements.items():
        setattr(one, keyword, value)
    return one


@dataclass
class Peer:
    """A PACS of our own: what it was sent, how often, and what it answers."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    answers: list[int] = field(default_factory=list)
    server: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, contexts: tuple[str, ...] = (*CLASSES, PRESENTATION)) -> None:
        entity = AE("PEER")
        entity.add_supported_context(Verification)
        for one in contexts:
            entity.add_supported_context(one)
        self.server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def stop(self) -> None:
        self.server.shutdown()

    def _store(self, event: Any) -> int:
        with self.lock:
            if self.answers:
                status = self.answers.pop(0)
                if status & 0xF000 not in (0x0000, 0xB000):
                    return status
            else:
                status = 0x0000
            uid = str(event.request.AffectedSOPInstanceUID)
            data = event.request.DataSet.getvalue()
            assert self.objects.get(uid, data) == data, "an object was sent with other bytes"
            self.objects[uid] = data
            self.times[uid] += 1
            return status

    def datasets(self) -> list[Dataset]:
        with self.lock:
            held = list(self.objects.values())
        return [dcmread(BytesIO(data), force=True) for data in held]

    def of(self, number: int, kind: str = "SR") -> list[Dataset]:
        """The objects about a film."""
        uid = f"{ROOT}7.{number}"
        return [one for one in self.datasets() if one.Modality == kind and uid in str(one)]


@pytest.fixture
def peer() -> Iterator[Peer]:
    one = Peer(free_port())
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def work(toy: Path) -> NodeWork:
    """The toy bundle, one lane, and a report and a picture for each film."""
    bundle = Bundle.load(toy / "bundle", threads=1)
    request = BatchRequest(pictures=None, patients=Patients(Phi.PSEUDONYM, KEY))
    assert {object_kind(name) for name in object_kinds()}
    return NodeWork(bundle, request, DicomRequest(("sr",), KEY), lanes=1)


def settings(spool: Path, *peers: Peer, **parts: Any) -> NodeSettings:
    """A configuration whose times are short."""
    tree: dict[str, Any] = {
        "spool": spool,
        "listen": {"dicom": {"port": free_port(), "idle_s": 5}},
        "accept": {"free_gb": 0},
        "group": {"quiet_s": 0.1, "at_most_s": 5},
        "results": {"kinds": ["sr"]},
        "retry": {"first_s": 0.05, "max_s": 0.2},
        "destinations": [
            {"name": f"pacs{place}", "host": "127.0.0.1", "port": one.port, "ae_title": "PEER"}
            for place, one in enumerate(peers)
        ],
    }
    for name, value in parts.items():
        tree[name] = {**tree[name], **value} if isinstance(tree.get(name), dict) else value
    return NodeSettings.model_validate(tree)


@dataclass
class Modality:
    """A sender: one association for each call."""

    port: int
    title: str = "MODALITY"
    called: str = "HILUM"

    def associate(self, *contexts: str) -> Any:
        entity = AE(self.title)
        entity.add_requested_context(Verification)
        for one in contexts or (DigitalXRayImageStorageForPresentation,):
            entity.add_requested_context(one, ExplicitVRLittleEndian)
        entity.dimse_timeout = entity.acse_timeout = 20
        return entity.associate("127.0.0.1", self.port, ae_title=self.called)

    def send(self, *films: Dataset, contexts: tuple[str, ...] = ()) -> list[int | None]:
        """Send films; the status of each, or None without an answer."""
        association = self.associate(*(contexts or {str(one.SOPClassUID) for one in films}))
        assert association.is_established
        found = [association.send_c_store(one).get("Status") for one in films]
        if association.is_established:
            association.release()
        return found


class Orthanc:
    """An Orthanc of our own that knows some peers."""

    def __init__(self, folder: Path, peers: dict[str, Any], more: dict[str, Any]) -> None:
        self.http, self.port = free_port(), free_port()
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http,
            "DicomPort": self.port,
            "DicomAet": "PEER",
            "Plugins": [],
            "AuthenticationEnabled": False,
            "OverwriteInstances": False,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": peers,
            **more,
        }
        (folder / "o.json").write_text(json.dumps(settings))
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(shutil.which("Orthanc")), folder / "o.json"], stdout=log, stderr=log
            )

    def get(self, path: str, body: bytes | None = None) -> Any:
        with urlopen(Request(f"http://127.0.0.1:{self.http}{path}", body)) as answer:
            return json.load(answer)

    def wait(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.get("/system")
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.skip("Orthanc does not start here")

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@contextmanager
def orthanc(
    folder: Path, peers: dict[str, Any], web: bool = False, **more: Any
) -> Iterator[Orthanc]:
    """An Orthanc that runs; the test is skipped where it, or its plug-in, is not installed."""
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed")
    if web and not DICOMWEB.exists():
        pytest.skip("the DICOMweb plug-in of Orthanc is not installed")
    one = Orthanc(folder, peers, {"Plugins": [str(DICOMWEB)] if web else [], **more})
    try:
        one.wait()
        yield one
    finally:
        one.end()


@pytest.fixture(autouse=True)
def _inline_readers(inline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers without processes: a node in this process starts in milliseconds."""
    monkeypatch.setattr("hilum.batch.standing.ReaderProcess", inline)


@pytest.fixture
def node(work: NodeWork, peer: Peer, tmp_path: Path) -> Iterator[tuple[Node, Modality]]:
    """A node that is running, and a modality that sends to it."""
    rules = settings(tmp_path / "spool", peer)
    with running(rules, work) as one:
        yield one, Modality(rules.listen.dicom.port)


def predecessors(reports: Iterable[Dataset]) -> set[str]:
    """The objects that revised reports say they replace."""
    return {
        str(
            report.PredecessorDocumentsSequence[0]
            .ReferencedSeriesSequence[0]
            .ReferencedSOPSequence[0]
            .ReferencedSOPInstanceUID
        )
        for report in reports
        if "PredecessorDocumentsSequence" in report
    }


@pytest.fixture(scope="session")
def kit() -> Any:
    """What tests build a world with; tests are no package, so it comes as a fixture."""
    names = (
        *("ROOT", "KEY", "Modality", "Peer", "film", "settings", "until", "free_port", "orthanc"),
        "predecessors",
    )
    return SimpleNamespace(**{name: globals()[name] for name in names})
