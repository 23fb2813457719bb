"""Services in processes of their own, on free ports, with films drawn here."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pytest

pytest.importorskip("httpx", reason="hilum[serve] is not installed")
pytest.importorskip("granian", reason="hilum[serve] is not installed")

from httpx import Client, Response

HILUM = str(Path(sys.executable).with_name("hilum"))
TO_START_S = 120.0
FILMS = 20


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@dataclass
class Running:
    """A service, its one-time link, and clients of it.

    `folder` is its own for temporary files, and where it runs.
    """

    process: subprocess.Popen[str]
    port: int
    store: Path
    once: str
    errors: Path
    folder: Path
    clients: list[Client] = field(default_factory=list)

    def outside(self) -> list[Path]:
        """What lies beside the store, or where the service runs: nothing may come there."""
        beside = (path for path in self.store.parent.iterdir() if path != self.store)
        return sorted([*beside, *self.folder.rglob("*")])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, *scopes: str, name: str = "anna") -> Client:
        """A client with a new token of these scopes."""
        return self.with_token(self.token(*scopes, name=name))

    def with_token(self, token: str) -> Client:
        headers = {"Authorization": f"Bearer {token}", "X-Hilum": "1"}
        made = Client(base_url=self.url, headers=headers, timeout=120)
        self.clients.append(made)
        return made

    def nobody(self) -> Client:
        """A client without a token."""
        made = self.with_token("none")
        made.headers.pop("Authorization")
        return made

    def token(self, *scopes: str, name: str = "anna") -> str:
        """Made in this process: the command takes a second to start."""
        from hilum.service.parts import open_store

        store = open_store(self.store)
        try:
            return store.tokens.add(name, scopes)
        finally:
            store.close()

    def kill(self) -> None:
        """End the whole tree at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self._end()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(60)
        for one in self.clients:
            one.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


Start = Callable[..., Running]
Said = Callable[..., tuple[int, str, str]]


class Send(Protocol):
    """Sends a film, again while the service asks for that, and waits for its result."""

    def __call__(
        self, client: Client, data: bytes, name: str = "a.png", wait: int = 60
    ) -> Response: ...


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start `hilum serve` with these arguments, and wait for its link."""
    begun: list[Running] = []

    def call(*arguments: object, store: Path) -> Running:
        port = free_port()
        errors = tmp_path_factory.mktemp("errors") / "stderr"
        folder = tmp_path_factory.mktemp("folder")
        command = [HILUM, "serve", *map(str, arguments), "--store", str(store)]
        with errors.open("w") as file:
            process = subprocess.Popen(
                [*command, "--port", str(port), "--uploads-per-minute", "100000"],
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, "TMPDIR": str(folder)},
            )
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], TO_START_S)
        link = process.stdout.readline() if ready else ""
        assert "#once=" in link, errors.read_text()
        once = link.strip().partition("#once=")[2]
        running = Running(process, port, store, once, errors, folder)
        begun.append(running)
        return running

    yield call
    for one in begun:
        with contextlib.suppress(Exception):
            one.stop()


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Films drawn here, as PNG."""
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.phantom.nih import write_nih

    root = tmp_path_factory.mktemp("drawn")
    write_nih(PhantomCorpus(patients=9, seed=4, enrichment=6, size=256), root)
    return sorted((root / "images").glob("*.png"))[:FILMS]


@pytest.fixture(scope="session")
def predicted(
    films: list[Path], hilum: Callable[..., object], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What `hilum predict` writes of them, and of a file that is not a film."""
    root = tmp_path_factory.mktemp("predicted")
    inbox = root / "inbox"
    inbox.mkdir()
    for film in films:
        (inbox / film.name).write_bytes(film.read_bytes())
    (inbox / "<img src=x onerror=alert(1)>.png").write_bytes(b"no film")
    hilum("predict", "starter", inbox, "-o", root / "out", "--quiet", code=3)
    _with_patients(root / "out" / "results.jsonl")
    return root / "out"


def _with_patients(results: Path) -> None:
    """Say whose films they are, as of DICOM films: every other one is one patient's."""
    lines = []
    for line in map(json.loads, results.read_text("ascii").splitlines()):
        number = line["image_id"].removesuffix(".png").partition("_")[2]
        patient = f"P{int(number) % 2}" if number.isdecimal() else ""
        lines.append(json.dumps(line | {"patient": patient}))
    results.write_text("".join(f"{line}\n" for line in lines), "ascii")


@pytest.fixture(scope="session")
def scoring(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A service that scores; tests add films to it."""
    return start("starter", store=tmp_path_factory.mktemp("scoring") / "store")


@pytest.fixture(scope="module")
def review(
    start: Start, predicted: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A service around results, one for each file of tests."""
    running = start("--results", predicted, store=tmp_path_factory.mktemp("review") / "store")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def send() -> Send:
    """Send a film."""

    def call(client: Client, data: bytes, name: str = "a.png", wait: int = 60) -> Response:
        headers = {"X-Hilum-Name": quote(name, safe=""), "Prefer": f"wait={wait}"}
        while True:
            answer = client.post("/v1/films", content=data, headers=headers)
            if answer.status_code not in (429, 503):
                return answer
            time.sleep(int(answer.headers["Retry-After"]))

    return call
