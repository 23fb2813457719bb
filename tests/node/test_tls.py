"""DICOM over TLS: both sides have certificates, and who has none gets nothing."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")
pytest.importorskip("cryptography", reason="cryptography is not installed")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pynetdicom import AE, evt

from hilum.domain.errors import UsageError
from hilum.node import guards
from hilum.node.books import NodeBooks
from hilum.node.calls import echo
from hilum.node.outbox import overview
from hilum.node.peers import Destination
from hilum.node.receive import Receiver
from hilum.node.settings import load_settings
from hilum.node.spool import Spool
from hilum.node.start import running
from hilum.node.tls import ListenerTls, PeerTls

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Authority:
    """An authority for an hour, and certificates by it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._own = self._signed(name, self._key, True)
        self.file = self._write(f"{name}.pem", self._own)

    def issue(self, name: str) -> SimpleNamespace:
        """A certificate and key for this machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self._folder / f"{name}.key"
        path.write_bytes(pem)
        certificate = self._write(f"{name}.pem", self._signed(name, key, False))
        return SimpleNamespace(certificate=certificate, key=path)

    def _write(self, name: str, one: x509.Certificate) -> Path:
        path = self._folder / name
        path.write_bytes(one.public_bytes(serialization.Encoding.PEM))
        return path

    def _signed(self, name: str, key: Any, is_authority: bool) -> x509.Certificate:
        def named(word: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word)])

        now = datetime.datetime.now(datetime.UTC)
        place = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([place]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Certificates of a node and a client by one authority, and of a stranger by another."""
    folder = tmp_path_factory.mktemp("papers")
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    return SimpleNamespace(
        ours=ours.file,
        theirs=theirs.file,
        node=ours.issue("node"),
        client=ours.issue("client"),
        stranger=theirs.issue("stranger"),
    )


@pytest.fixture(scope="module")
def world(
    kit: Any, papers: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """A receiver that speaks TLS alone."""
    guards.quiet_library()
    tls = {"certificate": papers.node.certificate, "key": papers.node.key, "clients": papers.ours}
    dicom = {"port": kit.free_port(), "idle_s": 2.0, "tls": tls}
    rules = kit.settings(tmp_path_factory.mktemp("tls") / "spool", listen={"dicom": dicom})
    spool = Spool(rules.spool, 10**9, 0)
    books = NodeBooks(rules.spool)
    receiver = Receiver(rules, spool, books)
    receiver.start()
    yield SimpleNamespace(port=dicom["port"], receiver=receiver)
    receiver.stop()
    books.close()


def peer_of(papers: SimpleNamespace, port: int, tls: dict[str, Any] | None) -> Destination:
    parts: dict[str, Any] = {"name": "it", "host": "127.0.0.1", "port": port, "ae_title": "HILUM"}
    return Destination.model_validate({**parts, "timeout_s": 5, **({"tls": tls} if tls else {})})


def own(one: SimpleNamespace, ca: Path) -> dict[str, Any]:
    return {"ca": ca, "certificate": one.certificate, "key": one.key}


def test_both_sides_need_a_certificate_of_the_authority(
    papers: SimpleNamespace, world: SimpleNamespace
) -> None:
    def answer(tls: dict[str, Any] | None) -> str:
        return echo(peer_of(papers, world.port, tls), "MODALITY")

    assert answer(own(papers.client, papers.ours)) == ""
    refused = world.receiver.counts["closed: no TLS with a known certificate"]
    assert "cannot be reached" in answer(None) or "aborted" in answer(None)
    for tls in ({"ca": papers.ours}, own(papers.stranger, papers.ours)):
        assert answer(tls).startswith("TLS failed: ")
    assert "certificate verify failed" in answer(own(papers.client, papers.theirs))
    assert world.receiver.counts["closed: no TLS with a known certificate"] >= refused + 4
    assert answer(own(papers.client, papers.ours)) == ""


def test_nothing_older_than_1_2_is_spoken(papers: SimpleNamespace) -> None:
    server = ListenerTls(
        certificate=papers.node.certificate, key=papers.node.key, clients=papers.ours
    ).context()
    peer = PeerTls(ca=papers.ours).context()
    for one in (server, peer):
        assert one.minimum_version == ssl.TLSVersion.TLSv1_2
        assert one.verify_mode == ssl.CERT_REQUIRED
    assert peer.check_hostname


def test_who_says_nothing_before_the_handshake_holds_up_nobody(
    papers: SimpleNamespace, world: SimpleNamespace
) -> None:
    silent = [socket.create_connection(("127.0.0.1", world.port), timeout=10) for _ in range(4)]
    begun = time.monotonic()
    good = peer_of(papers, world.port, own(papers.client, papers.ours))
    assert echo(good, "MODALITY") == ""
    assert time.monotonic() - begun < 1.5
    for one in silent:
        assert one.recv(1) == b""  # closed after the idle time
        one.close()


def test_a_film_comes_and_its_report_goes_by_tls(
    kit: Any, work: Any, papers: SimpleNamespace, pixels: Any, tmp_path: Path
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(papers.node.certificate, papers.node.key)
    server.load_verify_locations(papers.ours)
    server.verify_mode = ssl.CERT_REQUIRED
    taken: list[str] = []

    def store(event: Any) -> int:
        taken.append(str(event.request.AffectedSOPClassUID))
        return 0x0000

    entity, port = AE("PEER"), kit.free_port()
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.34")
    peer = entity.start_server(
        ("127.0.0.1", port),
        block=False,
        ssl_context=server,
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    tls = own(papers.client, papers.ours)
    names = {"host": "127.0.0.1", "port": port, "ae_title": "PEER"}
    rules = kit.settings(
        tmp_path / "spool",
        destinations=[
            {"name": "good", **names, "tls": tls},
            {"name": "wrong", **names, "tls": {**tls, "ca": papers.theirs}},
        ],
    )
    with running(rules, work) as one:
        assert kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1)) == [0x0000]
        kit.until(
            lambda: (
                overview(one.books.database).destinations
                == {"good": {"sent": 1}, "wrong": {"failed": 1}}
            ),
            "sent to one and failed at once to the other",
        )
        (failure,) = overview(one.books.database).failures
        assert (failure["words"], failure["tries"]) == ("TLS failed: certificate verify failed", 1)
    peer.shutdown()
    assert len(taken) == 1


def test_dcmtk_speaks_with_it(papers: SimpleNamespace, world: SimpleNamespace) -> None:
    program = shutil.which("echoscu")
    if program is None:
        pytest.skip("echoscu of dcmtk is not installed")
    place = ["127.0.0.1", str(world.port)]
    mine = [str(papers.client.key), str(papers.client.certificate)]
    ways = {
        "with": ["+tls", *mine, "+cf", str(papers.ours)],
        "without": ["+tla", "+cf", str(papers.ours)],
        "foreign": [
            *("+tls", str(papers.stranger.key), str(papers.stranger.certificate)),
            *("+cf", str(papers.ours)),
        ],
        "plain": [],
    }
    found: dict[str, bool] = {}
    for name, options in ways.items():
        command = [program, "-to", "5", "-ta", "5", "-aec", "HILUM", *options, *place]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if name == "with" and "unknown option" in done.stderr.lower():
            pytest.skip("this dcmtk has no TLS")
        found[name] = done.returncode == 0
    assert found == {"with": True, "without": False, "foreign": False, "plain": False}


def test_files_that_do_not_belong_together_are_refused(
    papers: SimpleNamespace, tmp_path: Path
) -> None:
    wrong = ListenerTls(
        certificate=papers.node.certificate, key=papers.client.key, clients=papers.ours
    )
    with pytest.raises(UsageError, match="belong together"):
        wrong.context()
    with pytest.raises(UsageError, match="no such file"):
        PeerTls(ca=tmp_path / "none.pem").context()
    with pytest.raises(ValueError, match="must be given together"):
        PeerTls(ca=papers.ours, key=papers.client.key)


def test_files_lie_beside_the_configuration(papers: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text(
        "spool: spool\nlisten:\n  dicom:\n    host: 0.0.0.0\n"
        "    tls: {certificate: node.pem, key: keys/node.key, clients: /etc/ca.pem}\n"
    )
    tls = load_settings(tmp_path / "node.yaml").listen.dicom.tls
    assert tls is not None
    assert (tls.certificate, tls.key) == (tmp_path / "node.pem", tmp_path / "keys" / "node.key")
    assert tls.clients == Path("/etc/ca.pem")
