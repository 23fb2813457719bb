"""Films come by STOW-RS as they come by C-STORE, and a request that is not whole leaves nothing."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")
pytest.importorskip("granian", reason="hilum[serve] is not installed")

from hilum.domain.errors import UsageError
from hilum.node.books import NodeBooks
from hilum.node.dicomweb.receive import STUDIES, film_server
from hilum.node.dicomweb.tokens import SenderTokens, add_token
from hilum.node.guards import quiet_library
from hilum.node.outbox import overview
from hilum.node.receive import Receiver
from hilum.node.spool import Spool
from hilum.node.start import running

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KIND = 'multipart/related; type="application/dicom"; boundary=b'


def written(one: Dataset) -> bytes:
    stream = BytesIO()
    dcmwrite(stream, one)
    return stream.getvalue()


def message(*parts: bytes, kind: str = "application/dicom") -> bytes:
    body = b"".join(
        b"--b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (kind.encode(), one) for one in parts
    )
    return body + b"--b--\r\n"


class World:
    """A node that only receives, by both ways."""

    def __init__(self, kit: Any, root: Path) -> None:
        quiet_library()
        self.token = add_token(root / "tokens.txt", "modality")
        web = {"port": kit.free_port(), "tokens": root / "tokens.txt", "max_request_mb": 3}
        dicom = {"port": kit.free_port(), "max_object_mb": 1}
        accept = {"sop_classes": ["DX"]}
        self.settings = kit.settings(
            root / "spool", listen={"dicom": dicom, "dicomweb": web}, accept=accept
        )
        self.spool = Spool(self.settings.spool, 10**9, 0)
        self.books = NodeBooks(self.settings.spool)
        self.receiver = Receiver(self.settings, self.spool, self.books)
        self.receiver.start()
        listener = self.settings.listen.dicomweb
        assert listener is not None
        self.server = film_server(self.settings, listener, self.receiver.intake)
        self.server.start()
        self.port = listener.port
        self.url = f"http://127.0.0.1:{listener.port}"
        self.modality = kit.Modality(dicom["port"])
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def post(self, body: bytes, kind: str = KIND, token: str = "", **headers: str) -> Any:
        head = {"Authorization": f"Bearer {token or self.token}", "Content-Type": kind, **headers}
        return self.client.post(STUDIES, content=body, headers=head)

    def files(self, folder: str = "") -> list[Path]:
        found = (self.settings.spool / folder).rglob("*")
        return [path for path in found if path.is_file() and "sqlite" not in path.name]

    def close(self) -> None:
        self.client.close()
        self.server.stop()
        self.receiver.stop()
        self.books.close()


@pytest.fixture
def world(kit: Any, tmp_path: Path) -> Iterator[World]:
    made = World(kit, tmp_path)
    yield made
    made.close()


def outcomes(answer: Any) -> tuple[int, list[str], dict[str, int]]:
    tree = answer.json()

    def items(tag: str) -> list[Any]:
        return tree.get(tag, {}).get("Value", [])

    stored = [one["00081155"]["Value"][0] for one in items("00081199")]
    failed = {one["00081155"]["Value"][0]: one["00081197"]["Value"][0] for one in items("00081198")}
    return answer.status_code, stored, failed


def test_each_object_is_answered_and_both_ways_give_the_same_film(
    world: World, kit: Any, pixels: Any
) -> None:
    one, two = kit.film(pixels, 1), kit.film(pixels, 2)
    answer = world.post(message(written(one), written(two)))
    assert answer.headers["content-type"] == "application/dicom+json"
    uids = [f"{kit.ROOT}7.{number}" for number in (1, 2)]
    assert outcomes(answer) == (200, uids, {})
    before = {path.name: path.read_bytes() for path in world.files("films")}
    assert len(before) == 2
    assert world.modality.send(one) == [0x0000]
    assert world.receiver.counts["received: same"] == 1
    assert {path.name: path.read_bytes() for path in world.files("films")} == before

    other = kit.film(pixels, 1, PatientComments="other bytes")
    refused = world.post(message(written(other), written(kit.film(pixels, 3))))
    assert outcomes(refused) == (202, [f"{kit.ROOT}7.3"], {uids[0]: 0x0111})
    assert len(world.files("refused")) == 1
    mismatch = kit.film(pixels, 4)
    mismatch.file_meta.MediaStorageSOPInstanceUID = UID(f"{kit.ROOT}7.99")
    stream = BytesIO()
    dcmwrite(stream, mismatch, enforce_file_format=False)
    assert outcomes(world.post(message(stream.getvalue()))) == (
        *(409, []),
        {f"{kit.ROOT}7.99": 0xA900},
    )
    ct = kit.film(pixels, 5)
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    assert outcomes(world.post(message(written(ct))))[2] == {f"{kit.ROOT}7.5": 0x0122}
    bomb = kit.film(pixels, 6)
    bomb.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert outcomes(world.post(message(written(bomb))))[2] == {f"{kit.ROOT}7.6": 0xC122}
    assert world.files("tmp") == []


def test_what_is_not_whole_or_not_allowed_leaves_nothing(
    world: World, kit: Any, pixels: Any, caplog: pytest.LogCaptureFixture
) -> None:
    film = written(kit.film(pixels, 1))
    whole = message(film)
    with caplog.at_level(logging.DEBUG):
        answers = {
            401: [world.post(whole, token="wrong"), world.client.post(STUDIES, content=whole)],
            415: [
                world.post(whole, kind="application/dicom"),
                world.post(whole, kind='multipart/related; type="application/dicom"'),
                world.post(message(film, kind="image/jpeg")),
                world.post(whole, **{"Content-Encoding": "gzip"}),
            ],
            413: [
                world.post(message(film + bytes(10**6))),
                world.post(message(*[film] * 30)),
            ],
            400: [
                world.post(whole[: len(whole) // 2]),
                world.post(message(film)[:-5]),
                world.post(message(film, film[: len(film) // 2])[:-9]),
                world.post(message(b"no film")),
                world.post(message(film, b"")),
                world.post(message()),
                world.post(b""),
                world.post(message(bytes(70000))),
                world.post(bytes(1000)),
            ],
        }
    for status, found in answers.items():
        assert [one.status_code for one in found] == [status] * len(found)
        assert all(one.headers["content-type"] == "application/problem+json" for one in found)
    assert world.client.get(STUDIES).status_code == 405
    assert world.client.post("/dicom-web").status_code == 404
    assert world.post(whole, Origin="http://evil.example").status_code == 403
    assert world.post(whole, Host="evil.example").status_code == 421
    assert world.files() == []
    assert overview(world.books.database).films == {}
    assert overview(world.books.database).refused == {}
    assert world.token not in caplog.text
    assert "CANARY" not in caplog.text
    wrong = [world.post(whole, token=f"guess{number}").status_code for number in range(12)]
    assert wrong[-1] == 429
    assert world.post(whole).status_code == 200


def test_a_sender_that_goes_away_leaves_nothing(world: World, kit: Any, pixels: Any) -> None:
    body = message(written(kit.film(pixels, 1)))
    head = (
        f"POST {STUDIES} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {KIND}\r\n"
        f"Authorization: Bearer {world.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.port)) as sender:
        sender.sendall(head.encode() + body[: len(body) // 2])
        kit.until(lambda: world.files("tmp"), "a film that arrives")
    kit.until(lambda: not world.files("tmp"), "nothing left")
    assert overview(world.books.database).films == {}


def test_a_full_spool_is_an_answer_and_no_fault(
    world: World, kit: Any, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.spool, "has_room", lambda *_: False)
    answer = world.post(message(written(kit.film(pixels, 1))))
    assert outcomes(answer) == (409, [], {f"{kit.ROOT}7.1": 0xA700})
    assert world.files() == []


def test_tokens_are_hashes_in_a_file_of_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    with pytest.raises(UsageError, match="tokens must be readable"):
        SenderTokens(path)
    first, second = add_token(path, "a"), add_token(path, "b.c")
    assert first not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    tokens = SenderTokens(path)
    assert tokens.knows(first)
    assert tokens.knows(second)
    assert not tokens.knows("")
    assert not tokens.knows(path.read_text().split()[1])
    with pytest.raises(UsageError, match="a token's name must be"):
        add_token(path, "a b")
    path.write_text("# none\n")
    with pytest.raises(UsageError, match="needs a token"):
        SenderTokens(path)
    path.write_text(f"a {first}\n")
    with pytest.raises(UsageError, match="must be a name and a SHA-256") as refused:
        SenderTokens(path)
    assert first not in str(refused.value)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        SenderTokens(path)


def test_a_film_by_http_is_scored_and_sent_also_by_tls(
    said: Any, kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    pem, key = tmp_path / "node.pem", tmp_path / "node.key"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = subprocess.run([*words, pem, *names], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl does not make a certificate here")
    port = kit.free_port()
    (tmp_path / "node.yaml").write_text(
        f"spool: spool\nlisten:\n  dicomweb: {{port: {port}, tokens: tokens.txt}}\n"
    )
    code, out, _ = said("node", "token", "pacs", "--config", tmp_path / "node.yaml")
    assert code == 0
    web = {"port": port, "tokens": tmp_path / "tokens.txt"}
    web["tls"] = {"certificate": pem, "key": key}
    rules = kit.settings(tmp_path / "spool", peer, listen={"dicomweb": web})
    with (
        running(rules, work) as node,
        httpx.Client(verify=ssl.create_default_context(cafile=pem), timeout=20) as client,
    ):
        head = {"Authorization": f"Bearer {out.strip()}", "Content-Type": KIND}
        body = message(written(kit.film(pixels, 1)))
        answer = client.post(f"https://127.0.0.1:{port}{STUDIES}", content=body, headers=head)
        assert outcomes(answer) == (200, [f"{kit.ROOT}7.1"], {})
        kit.until(peer.datasets, "a report")
        assert overview(node.books.database).films == {"complete": 1}
