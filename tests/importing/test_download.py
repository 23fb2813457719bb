"""Downloads against a server on this machine: cut, changed, redirected, wrong, and offline."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from hilum.domain.errors import BundleError, UsageError
from hilum.importing import download
from hilum.importing.download import fetched
from hilum.importing.profile import Profile, load_profile

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
DATA = save({"w": np.arange(4000, dtype=np.float32)})


class Server:
    """What the server does next, and what it was asked."""

    def __init__(self) -> None:
        self.data = DATA
        self.cut = 0
        self.redirect = ""
        self.status = 200
        self.asked: list[str | None] = []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, str, ssl.SSLContext]]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            if state.status != 200:
                self.send_error(state.status)
                return
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(state.data) - begin))
            self.send_header("ETag", '"one"')
            self.end_headers()
            self.wfile.write(state.data[begin : state.cut or None])

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("localhost", 0), Handler)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(certificate, key)
    http.socket = inside.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    trusting = ssl.create_default_context(cafile=str(certificate))
    yield state, f"https://localhost:{http.server_address[1]}", trusting
    http.shutdown()
    http.server_close()
    thread.join()


def profile(**changes: Any) -> Profile:
    return load_profile("xrv-densenet121-res224-nih", changes)


def get(server: tuple[Server, str, ssl.SSLContext], folder: Path, **changes: Any) -> Path:
    said: list[str] = []
    return fetched(profile(**changes), server[1], False, said.append, folder, server[2])


def test_a_file_is_fetched_once(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    path = get(server, folder)
    assert path.read_bytes() == DATA
    assert get(server, folder) == path
    assert len(server[0].asked) == 1
    assert fetched(profile(), None, True, str, folder) == path


def test_a_cut_download_goes_on(server: Any, tmp_path: Path) -> None:
    server[0].cut = 5000
    with pytest.raises(BundleError, match=r"was cut at 5000 of \d+ bytes|download of .* failed"):
        get(server, tmp_path / "cache")
    server[0].cut = 0
    assert get(server, tmp_path / "cache").read_bytes() == DATA
    assert server[0].asked == [None, "bytes=5000-"]


def test_a_changed_file_is_refused(server: Any, tmp_path: Path) -> None:
    path = get(server, tmp_path / "cache")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="has changed since it was first used"):
        get(server, tmp_path / "cache")
    with pytest.raises(BundleError, match="has changed since"):
        get(server, tmp_path / "other", sha256="0" * 64)


def test_what_is_no_weights_is_not_kept(server: Any, tmp_path: Path) -> None:
    server[0].data = b"<!doctype html><html>sign in</html>"
    with pytest.raises(BundleError, match="a web page"):
        get(server, tmp_path / "cache")
    server[0].data = DATA
    with pytest.raises(BundleError, match="must have 7 bytes"):
        get(server, tmp_path / "cache", size_bytes=7)
    assert not list((tmp_path / "cache").glob("*.pt"))


def test_a_refusal_or_an_endless_file_leaves_nothing(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server[0].status = 404
    with pytest.raises(BundleError, match="failed: HTTP Error 404"):
        get(server, tmp_path / "cache")
    server[0].status = 200
    monkeypatch.setattr(download, "_LARGEST", 5000)
    with pytest.raises(BundleError, match=r"a download may have 5000 bytes; .* has \d+"):
        get(server, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.p*t*"))


def test_only_https(server: Any, tmp_path: Path) -> None:
    server[0].redirect = "http://localhost:1/file.pt"
    with pytest.raises(BundleError, match="must stay on HTTPS"):
        get(server, tmp_path / "cache")
    with pytest.raises(UsageError, match="must be from HTTPS"):
        fetched(profile(), "http://localhost", False, str, tmp_path)
    with pytest.raises(UsageError, match=r"offline, .* must be here already"):
        fetched(profile(), None, True, str, tmp_path / "empty")
    with pytest.raises(UsageError, match="has no address"):
        fetched(profile(download=""), None, False, str, tmp_path)


def test_a_certificate_must_be_trusted(server: Any, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"failed: .*(certificate|CERTIFICATE)"):
        fetched(profile(), server[1], False, str, tmp_path)
