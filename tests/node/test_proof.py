"""Results go out by STOW-RS, and a destination must show what it has where that is wanted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from pynetdicom import AE, evt

from hilum.domain.errors import UsageError
from hilum.node.dicomweb.client import DicomwebPeer
from hilum.node.dicomweb.parts import MultipartError, PartReader, boundary_of
from hilum.node.outbox import overview
from hilum.node.peers import StowDestination
from hilum.node.start import running

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
COMMITMENT = UID("1.2.840.10008.1.20.1")
INSTANCE = UID("1.2.840.10008.1.20.1.1")


class Shelf(BaseHTTPRequestHandler):
    """A server that takes objects by STOW-RS and gives them back by WADO-RS."""

    objects: dict[str, bytes]
    answers: list[tuple[int, int]]
    requests: list[tuple[str, str]]
    redirect = ""
    damage = False

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.requests.append((self.path, self.headers.get("Authorization", "")))
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.redirect:
            self._answer(307, "text/plain", b"", {"Location": self.redirect})
            return
        part = data.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
        head = dcmread(BytesIO(part))
        status, reason = self.answers.pop(0) if self.answers else (200, 0)
        item: dict[str, Any] = {
            "00081150": {"vr": "UI", "Value": [head.SOPClassUID]},
            "00081155": {"vr": "UI", "Value": [head.SOPInstanceUID]},
        }
        tree: dict[str, Any] = {"00081199": {"vr": "SQ", "Value": [item]}}
        if status >= 409:
            item["00081197"] = {"vr": "US", "Value": [reason]}
            tree = {"00081198": {"vr": "SQ", "Value": [item]}}
        elif reason:
            item["00081196"] = {"vr": "US", "Value": [reason]}
        if status < 409:
            self.objects.setdefault(str(head.SOPInstanceUID), part)
        self._answer(status, "application/dicom+json", json.dumps(tree).encode())

    def do_GET(self) -> None:
        self.requests.append((self.path, self.headers.get("Authorization", "")))
        data = self.objects.get(self.path.rpartition("/")[2])
        if data is None:
            self._answer(404, "text/plain", b"")
            return
        if self.damage:
            data = data[:-1] + bytes([data[-1] ^ 1])
        body = b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
        self._answer(200, 'multipart/related; type="application/dicom"; boundary=b', body)

    def _answer(self, status: int, kind: str, body: bytes, more: Any = ()) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **dict(more)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def shelf() -> Iterator[Any]:
    parts = {"objects": {}, "answers": [], "requests": []}
    handler = type("Handler", (Shelf,), parts)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.port = server.server_port  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


def stow(kit: Any, folder: Path, port: int, **more: Any) -> Any:
    token = folder / "vna.token"
    token.write_text("secret-token\n")
    token.chmod(0o600)
    one = {
        "name": "vna",
        "kind": "stow",
        "url": f"http://127.0.0.1:{port}/dicom-web",
        "token_file": token,
        **more,
    }
    return kit.settings(folder / "spool", destinations=[one])


def states(node: Any) -> dict[str, int]:
    return overview(node.books.database).destinations.get("vna", {})


def test_a_report_goes_out_by_stow_and_comes_back_the_same(
    kit: Any, work: Any, pixels: Any, shelf: Any, tmp_path: Path
) -> None:
    rules = stow(kit, tmp_path, shelf.port, commit=True)
    with running(rules, work) as node:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(lambda: states(node) == {"confirmed": 1}, "confirmed")
        (data,) = shelf.objects.values()
        sha256 = node.books.database.one("SELECT sha256 FROM object")[0]
        assert node.spool.object(sha256).read_bytes() == data
    assert dcmread(BytesIO(data)).PatientID == "CANARY-8812"
    posted, read = shelf.requests
    assert posted == ("/dicom-web/studies", "Bearer secret-token")
    assert read[0].startswith(f"/dicom-web/studies/{kit.ROOT}5.1/series/")


def test_answers_for_the_object_decide_what_is_sent_again(
    kit: Any, work: Any, pixels: Any, shelf: Any, tmp_path: Path
) -> None:
    shelf.answers += [(503, 0), (409, 0xA700), (202, 0xB000), (409, 0x0122), (415, 0)]
    rules = stow(kit, tmp_path, shelf.port)
    with running(rules, work) as node:
        modality = kit.Modality(rules.listen.dicom.port)
        modality.send(kit.film(pixels, 1))
        kit.until(lambda: states(node) == {"sent": 1}, "sent after two that were put off")
        words, tries = node.books.database.one("SELECT words, tries FROM delivery")
        assert (words, tries) == ("coercion of data elements", 3)
        modality.send(kit.film(pixels, 2, study=2))
        kit.until(lambda: states(node) == {"sent": 1, "failed": 1}, "a failure")
        (failure,) = overview(node.books.database).failures
        assert (failure["status"], failure["words"]) == ("0x0122", "SOP class not supported")
        modality.send(kit.film(pixels, 3, study=3))
        kit.until(lambda: states(node) == {"sent": 1, "failed": 2}, "another failure")
        assert overview(node.books.database).failures[0]["words"] == "HTTP 415"


def test_what_differs_is_failed_and_what_is_gone_is_sent_again(
    kit: Any, work: Any, pixels: Any, shelf: Any, tmp_path: Path
) -> None:
    rules = stow(kit, tmp_path, shelf.port, commit=True)
    shelf.damage = True
    with running(rules, work) as node:
        modality = kit.Modality(rules.listen.dicom.port)
        modality.send(kit.film(pixels, 1))
        kit.until(lambda: states(node) == {"failed": 1}, "a failure")
        (failure,) = overview(node.books.database).failures
        assert failure["words"] == "the destination has a different object under this UID"

    shelf.damage = False

    class Forgetful(dict[str, bytes]):
        """Keeps nothing the first time."""

        lost = 0

        def setdefault(self, key: str, value: Any = None) -> Any:
            if not self.lost:
                self.lost = 1
                return value
            return super().setdefault(key, value)

    shelf.objects = Forgetful()
    with running(rules, work) as node:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 2, study=2))
        kit.until(lambda: states(node) == {"failed": 1, "confirmed": 1}, "confirmed")
        assert node.books.database.one("SELECT max(tries) FROM delivery")[0] == 2


def test_a_redirect_is_not_followed(
    kit: Any, work: Any, pixels: Any, shelf: Any, tmp_path: Path
) -> None:
    other = type("Other", (Shelf,), {"objects": {}, "answers": [], "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shelf.redirect = f"http://127.0.0.1:{server.server_port}/dicom-web/studies"
    rules = stow(kit, tmp_path, shelf.port)
    with running(rules, work) as node:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        words = "SELECT words FROM delivery WHERE words<>''"
        kit.until(lambda: node.books.database.one(words), "words")
        assert node.books.database.one(words)[0] == "the server redirects, which is not followed"
    server.shutdown()
    server.server_close()
    assert other.requests == []


def test_tokens_and_servers_are_checked(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with pytest.raises(UsageError, match="a token_file must be readable"):
        DicomwebPeer(_peer(token))
    token.write_text("a b")
    token.chmod(0o600)
    with pytest.raises(UsageError, match="must hold one token"):
        DicomwebPeer(_peer(token))
    token.write_text("secret")
    token.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        DicomwebPeer(_peer(token))
    token.chmod(0o600)
    with pytest.raises(UsageError, match="must hold certificates"):
        DicomwebPeer(_peer(token, ca_file=token))


def _peer(token: Path, **more: Any) -> StowDestination:
    tree = {"name": "a", "kind": "stow", "url": "https://vna.example", "token_file": token, **more}
    return StowDestination.model_validate(tree)


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_parts_are_the_same_however_they_arrive(step: int) -> None:
    parts: list[bytes] = []

    class Part:
        def write(self, data: bytes) -> None:
            parts[-1] += data

        def end(self) -> None:
            parts.append(b"")

    def begin(kind: str) -> Part:
        kinds.append(kind)
        return Part()

    kinds: list[str] = []
    parts.append(b"")
    first = b"\r\n--b\r\nContent-Type: Application/DICOM; x=y\r\n\r\n--\r\n--c\r\n"
    body = first + b"--b\r\n\r\n\r\n--b--\r\n"
    reader = PartReader("b", begin)
    for place in range(0, len(body), step):
        reader.feed(body[place : place + step])
    reader.finish()
    assert kinds == ["application/dicom", ""]
    assert parts == [b"--\r\n--c", b"", b""]
    half = PartReader("b", begin)
    half.feed(body[:60])
    with pytest.raises(MultipartError):
        half.finish()
    assert boundary_of('multipart/related; type="image/jpeg"; boundary=b') is None
    assert boundary_of("multipart/related; boundary=" + "b" * 201) is None


class Committing:
    """A PACS that takes objects and reports on them, by an association of its own."""

    def __init__(self, kit: Any, node: int) -> None:
        self.port = kit.free_port()
        self.node = node
        self.requests: list[Dataset] = []
        self.reasons: list[int | None] = []
        self.stored: list[str] = []
        entity = AE("PEER")
        entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.34")
        entity.add_supported_context(COMMITMENT)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)]
        address = ("127.0.0.1", self.port)
        self.server = entity.start_server(address, block=False, evt_handlers=handlers)

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _action(self, event: Any) -> tuple[int, None]:
        assert event.request.RequestedSOPInstanceUID == INSTANCE
        self.requests.append(event.action_information)
        threading.Thread(target=self._report, args=(event.action_information,)).start()
        return 0x0000, None

    def _report(self, request: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        items = list(request.ReferencedSOPSequence)
        reason = self.reasons.pop(0) if self.reasons else None
        if reason is None:
            report.ReferencedSOPSequence = Sequence(items)
        else:
            for item in items:
                item.FailureReason = reason
            report.FailedSOPSequence = Sequence(items)
        assert self.send(report, 1 if reason is None else 2) == 0x0000

    def send(self, report: Dataset, kind: int) -> int | None:
        from pynetdicom import build_role

        entity = AE("PEER")
        entity.add_requested_context(COMMITMENT)
        role = build_role(COMMITMENT, scp_role=True)
        peer = entity.associate("127.0.0.1", self.node, ae_title="HILUM", ext_neg=[role])
        assert peer.is_established
        status, _ = peer.send_n_event_report(report, kind, COMMITMENT, INSTANCE)
        peer.release()
        return status.get("Status")


@pytest.mark.parametrize("reason", [None, 0x0213, 0x0112, 0x0122])
def test_a_peer_that_commits_confirms(
    kit: Any, work: Any, pixels: Any, tmp_path: Path, reason: int | None
) -> None:
    port = kit.free_port()
    peer = Committing(kit, port)
    peer.reasons = [] if reason is None else [reason]
    one = {"name": "vna", "host": "127.0.0.1", "port": peer.port, "ae_title": "PEER"}
    rules = kit.settings(
        tmp_path / "spool",
        listen={"dicom": {"port": port}},
        destinations=[{**one, "commit": True}],
    )
    end = {"failed": 1} if reason == 0x0122 else {"confirmed": 1}
    with running(rules, work) as node:
        kit.Modality(port).send(kit.film(pixels, 1))
        kit.until(lambda: states(node) == end, f"{end}")
        guessed = Dataset()
        guessed.TransactionUID = "2.25.1"
        guessed.ReferencedSOPSequence = peer.requests[0].ReferencedSOPSequence
        assert peer.send(guessed, 1) == 0x0110
        assert list((rules.spool / "tmp").iterdir()) == []
    peer.server.shutdown()
    assert len(peer.stored) == (2 if reason == 0x0112 else 1)
    assert len(peer.requests) == (2 if reason in (0x0213, 0x0112) else 1)
    assert len({request.TransactionUID for request in peer.requests}) == len(peer.requests)


def test_a_peer_without_commitment_fails_at_once(
    kit: Any, work: Any, pixels: Any, peer: Any, tmp_path: Path
) -> None:
    one = {"name": "vna", "host": "127.0.0.1", "port": peer.port, "ae_title": "PEER"}
    rules = kit.settings(tmp_path / "spool", destinations=[{**one, "commit": True}])
    with running(rules, work) as node:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(lambda: states(node) == {"failed": 1}, "a failure")
        (failure,) = overview(node.books.database).failures
        assert failure["words"] == "the peer does not do storage commitment"
