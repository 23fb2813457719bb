"""What is answered, kept and closed on the receiving side; no film is scored here."""

from __future__ import annotations

import contextlib
import errno
import shutil
import socket
import sqlite3
import struct
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

import pynetdicom

from hilum.domain.errors import UsageError
from hilum.node import guards
from hilum.node.books import NodeBooks
from hilum.node.receive import Receiver
from hilum.node.spool import Spool

pytestmark = [  # pynetdicom's own sender does not close a socket that the other side has closed
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SR = "1.2.840.10008.5.1.4.1.1.88.34"


class World:
    """A receiver with its spool and books."""

    def __init__(self, kit: Any, root: Path, **parts: Any) -> None:
        guards.quiet_library()
        listener = {"max_connections": 6, "max_associations": 2, "max_object_mb": 1, "idle_s": 1.0}
        dicom = {**listener, **parts.pop("dicom", {}), "port": kit.free_port()}
        self.settings = kit.settings(root / "spool", listen={"dicom": dicom}, **parts)
        accept = self.settings.accept
        self.spool = Spool(self.settings.spool, round(accept.quota_gb * 1e9), 0)
        self.books = NodeBooks(self.settings.spool)
        self.receiver = Receiver(self.settings, self.spool, self.books)
        self.receiver.start()
        self.port = dicom["port"]
        self.sockets: list[socket.socket] = []
        self.modality = kit.Modality(self.port)

    def files(self, folder: str) -> list[Path]:
        return [path for path in (self.settings.spool / folder).rglob("*") if path.is_file()]

    def socket(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.sockets.append(made)
        return made

    def rows(self, table: str, what: str) -> list[Any]:
        return [row[0] for row in self.books.database.all(f"SELECT {what} FROM {table}")]

    def close(self) -> None:
        for one in self.sockets:
            one.close()
        self.receiver.stop()
        self.books.close()


@pytest.fixture(scope="module")
def world(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(kit, tmp_path_factory.mktemp("node"))
    yield made
    made.close()


def encoded(one: Dataset) -> bytes:
    stream = DicomIO(BytesIO())
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, one)
    return stream.parent.getvalue()


def closed(peer: socket.socket, patience_s: float = 8.0) -> bool:
    """Whether the other side ends the connection."""
    peer.settimeout(patience_s)
    try:
        while peer.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_a_film_is_on_the_disk_as_it_came(world: World, kit: Any, pixels: Any) -> None:
    one = kit.film(pixels, 1)
    assert world.modality.send(one, one) == [0x0000, 0x0000]
    (path,) = world.files("films")
    data = path.read_bytes()
    assert data.endswith(encoded(one))
    assert data[128:132] == b"DICM"
    assert path.stat().st_mode & 0o777 == 0o600
    assert world.settings.spool.stat().st_mode & 0o777 == 0o700
    assert (path.name[:2], len(path.name)) == (path.parent.name, 64)
    assert world.rows("film", "state") == ["received"]
    other = kit.film(pixels, 1, PatientComments="other bytes")
    assert world.modality.send(other) == [0x0111]
    (kept,) = world.files("refused")
    assert kept.read_bytes().endswith(encoded(other))
    assert path.read_bytes() == data
    assert world.rows("refused", "code") == ["DUPLICATE_SOP_CONFLICT"]
    assert world.files("tmp") == []


def test_results_that_come_back_are_answered_and_not_kept(
    world: World, kit: Any, pixels: Any
) -> None:
    equipment = Dataset()
    equipment.Manufacturer = "hilum"
    own = kit.film(pixels, 50, ContributingEquipmentSequence=Sequence([equipment]))
    report = kit.film(pixels, 51)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = UID(SR)
    before = world.files("films")
    assert world.modality.send(own, report, own) == [0x0000, 0x0000, 0x0000]
    assert world.files("films") == before
    states = world.books.database.all("SELECT state, code FROM film WHERE sop LIKE '%.7.5_'")
    found = [tuple(row) for row in states]
    assert found == [("ignored", "OWN_RESULT"), ("ignored", "NOT_A_FILM")]


@pytest.mark.parametrize(("fault", "status"), [("uid", 0xA900), ("bytes", 0xC000)])
def test_what_contradicts_itself_is_refused_and_kept_apart(
    world: World, kit: Any, pixels: Any, tmp_path: Path, fault: str, status: int
) -> None:
    one = kit.film(pixels, 60 if fault == "uid" else 61)
    dcmwrite(tmp_path / "a.dcm", one)
    data = (tmp_path / "a.dcm").read_bytes()
    if fault == "uid":
        one.file_meta.MediaStorageSOPInstanceUID = UID(f"{kit.ROOT}7.999")
        dcmwrite(tmp_path / "a.dcm", one)
    else:
        start = len(data) - len(encoded(one))
        (tmp_path / "a.dcm").write_bytes(data[:start] + b"\xff" * 900)
    before, films = len(world.files("refused")), world.rows("film", "count(*)")
    association = world.modality.associate(str(one.SOPClassUID))
    assert association.send_c_store(tmp_path / "a.dcm").Status == status
    association.release()
    assert len(world.files("refused")) == before + 1
    assert world.rows("film", "count(*)") == films


@pytest.mark.parametrize("fault", ["fsync", "books", "quota"])
def test_without_room_the_sender_keeps_it(
    world: World, kit: Any, pixels: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def busy(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    one = kit.film(pixels, {"fsync": 70, "books": 71, "quota": 72}[fault])
    if fault == "fsync":
        monkeypatch.setattr("hilum.files.atomic.os.fsync", full)
    elif fault == "books":
        monkeypatch.setattr(world.books, "receive", busy)
    else:
        monkeypatch.setattr(world.spool, "has_room", lambda _size=0: False)
    assert world.modality.send(one) == [0xA700]
    assert world.files("tmp") == []
    monkeypatch.undo()
    assert world.modality.send(one) == [0x0000]


def test_who_may_not_call_is_rejected_with_the_reason(
    world: World, kit: Any, tmp_path: Path
) -> None:
    wrong = kit.Modality(world.port, called="OTHER").associate()
    assert wrong.is_rejected
    assert wrong.acceptor.primitive.diagnostic == 0x07
    listed = World(kit, tmp_path, dicom={"calling": {"PACS1": ["127.0.0.1"], "FAR": ["10.0.0.1"]}})
    try:
        for title in ("NOBODY", "FAR"):
            rejected = kit.Modality(listed.port, title).associate()
            assert (rejected.is_rejected, rejected.acceptor.primitive.diagnostic) == (True, 0x03)
        welcome = kit.Modality(listed.port, "PACS1").associate()
        assert welcome.send_c_echo().Status == 0x0000
        welcome.release()
    finally:
        listed.close()


def test_one_association_more_than_the_limit_is_rejected(world: World) -> None:
    held = [world.modality.associate() for _ in range(2)]
    more = world.modality.associate()
    assert (more.is_rejected, more.acceptor.primitive.result_source) == (True, 0x03)
    for one in held:
        one.release()


def test_contexts_are_for_what_is_taken_and_nothing_deflated(world: World) -> None:
    entity = pynetdicom.AE("MODALITY")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2")  # CT
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.1", DeflatedExplicitVRLittleEndian)
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.1")
    made = entity.associate("127.0.0.1", world.port, ae_title="HILUM")
    assert [str(one.abstract_syntax) for one in made.accepted_contexts] == [
        "1.2.840.10008.5.1.4.1.1.1"
    ]
    assert len(made.rejected_contexts) == 2
    assert made.acceptor.implementation_version_name == "HILUM"
    made.release()


def test_a_pdu_that_is_too_long_is_not_read(world: World) -> None:
    peer = world.socket()
    peer.sendall(struct.pack(">BBL", 0x01, 0, 300_000_000) + bytes(1000))
    assert closed(peer)
    assert world.receiver.counts["closed: PDU too long"]


def test_who_says_nothing_or_drips_is_closed_and_more_connections_too(world: World) -> None:
    silent = [world.socket() for _ in range(5)]
    dripping = world.socket()
    dripping.sendall(b"\x01")
    time.sleep(0.3)
    with contextlib.suppress(OSError):
        assert closed(world.socket(), 1.0)
    assert all(closed(one) for one in (*silent, dripping))
    assert world.receiver.counts["closed: too many connections"]
    assert world.modality.associate().send_c_echo().Status == 0x0000


def test_an_object_that_is_too_large_ends_the_connection(
    world: World, kit: Any, pixels: Any
) -> None:
    import numpy as np

    before = world.rows("film", "count(*)")
    association = world.modality.associate("1.2.840.10008.5.1.4.1.1.1.1")
    large = kit.film(np.zeros((1024, 1024), np.uint16), 80)
    answer = association.send_c_store(large)
    assert answer.get("Status") is None
    kit.until(lambda: world.files("tmp") == [], "no file")
    assert world.rows("film", "count(*)") == before
    assert world.receiver.counts["closed: object too large"]


def test_half_an_object_leaves_nothing(world: World, kit: Any, pixels: Any) -> None:
    association = world.modality.associate("1.2.840.10008.5.1.4.1.1.1.1")
    send, sent = association.dul.send_pdu, []

    def some(primitive: Any) -> None:
        sent.append(primitive)
        if len(sent) < 3:
            send(primitive)
        else:
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)

    association.dul.send_pdu = some
    association.dimse_timeout = 1
    association.send_c_store(kit.film(pixels, 81))
    assert len(sent) >= 3
    kit.until(lambda: world.files("tmp") == [], "no file")


def test_the_whole_association_has_an_end(kit: Any, tmp_path: Path) -> None:
    short = World(kit, tmp_path, dicom={"association_s": 1.0, "idle_s": 30.0})
    try:
        association = short.modality.associate()
        end = time.monotonic() + 10.0
        while association.is_established and time.monotonic() < end:
            association.send_c_echo()
            time.sleep(0.1)
        assert not association.is_established
        assert short.receiver.counts["closed: association too long"]
    finally:
        short.close()


def test_an_untested_pynetdicom_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynetdicom.__version__", "9.0.0")
    with pytest.raises(UsageError, match=r"needs pynetdicom 3\.0\.4.* got 9\.0\.0"):
        guards.check_version()


def test_a_port_that_is_taken_is_said(world: World, kit: Any, tmp_path: Path) -> None:
    rules = kit.settings(tmp_path / "spool", listen={"dicom": {"port": world.port}})
    with pytest.raises(UsageError, match="the address must be free to listen on"):
        Receiver(rules, world.spool, world.books)


def test_dcmtk_sends_a_film_that_is_kept_as_it_came(
    world: World, kit: Any, pixels: Any, tmp_path: Path
) -> None:
    program = shutil.which("storescu")
    if program is None:
        pytest.skip("storescu of dcmtk is not installed")
    one = kit.film(pixels, 90)
    dcmwrite(tmp_path / "a.dcm", one)
    command = [program, "-aec", "HILUM", "127.0.0.1", str(world.port), str(tmp_path / "a.dcm")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    row = world.books.database.one("SELECT sha256 FROM film WHERE sop LIKE '%.7.90'")
    assert world.spool.film(row[0]).read_bytes().endswith(encoded(one))
    wrong = subprocess.run(
        [program, "-aec", "OTHER", *command[3:]], capture_output=True, check=False, timeout=60
    )
    assert wrong.returncode != 0
