"""Uploads meant to do harm: each is a row with a code or is refused, and nothing else happens."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Client, Running, Send

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
MAKER = SHARED / "tools" / "make_bad_inputs.py"
SOURCE = sorted((SHARED / "data" / "nih_1024").glob("*.png"))
ALLOWED_KB = 200_000
TOO_MUCH = 101 * 10**6
SCORED = ("ok", "warn")
OF_FILES = ("PERMISSION_DENIED", "NAME_NOT_UTF8", "SYMLINK_OUTSIDE_ROOT")
"""What a file has that its bytes alone do not."""
NAMES = (
    *(
        "../../../etc/passwd",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "C:\\CON",
        "\\\\host\\share\\a.png",
    ),
    *("a\r\nX-Evil: 1\r\n\r\n<html>", "a\0b.png", ".", "..", "~root/.bashrc", "a/../../b.png"),
    *("%2e%2e%2f", "file:///etc/passwd", "-rf", "$(touch evil)", "`touch evil`", ";touch evil"),
)


@pytest.fixture
def admin(scoring: Running) -> Iterator[Client]:
    """A client; what it did left the service alive, and nothing outside the store."""
    client = scoring.client("admin")
    before = scoring.outside()
    yield client
    assert scoring.process.poll() is None
    assert client.get("/healthz").text == "ok\n"
    assert scoring.outside() == before


def head(running: Running, *lines: str) -> bytes:
    fields = (
        "POST /v1/films HTTP/1.1",
        f"Host: 127.0.0.1:{running.port}",
        "X-Hilum: 1",
        f"Authorization: Bearer {running.token('submit')}",
        *lines,
    )
    return ("\r\n".join(fields) + "\r\n\r\n").encode()


def kept(running: Running) -> set[Path]:
    """Bytes of films, and what is still arriving; a reader's links have a dash in their names."""
    arriving = (path for path in (running.store / "tmp").iterdir() if "-" not in path.name)
    return {*(running.store / "objects").rglob("*"), *arriving}


def memory_kb(running: Running, field: str) -> int:
    """Memory of the process that speaks HTTP; 0 where the system does not tell."""
    status = Path(f"/proc/{running.process.pid}/status")
    if not status.exists():
        return 0
    lines = status.read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


@pytest.mark.slow
@pytest.mark.skipif(not MAKER.exists() or not SOURCE, reason="no ../shared beside here")
def test_the_catalog_of_bad_inputs_has_a_row_each(
    scoring: Running, admin: Client, send: Send, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", str(MAKER), str(tmp_path), "--png", str(SOURCE[0])]
    subprocess.run(command, check=True, capture_output=True)
    listed = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    cases = [case for case in listed if (tmp_path / case["file"]).is_file()]
    assert len(cases) >= 80
    good = next(case for case in cases if case["expect"] == "ok")
    send(admin, (tmp_path / good["file"]).read_bytes(), good["file"])
    before = memory_kb(scoring, "VmRSS")
    for case in cases:
        data = (tmp_path / case["file"]).read_bytes()
        answer = send(admin, data, case["file"])
        assert answer.status_code in (200, 201), (case, answer.status_code, answer.text[:200])
        result = answer.json()["result"]
        if result["status"] not in SCORED:
            assert len(result["codes"]) == 1, case
        if case["expect"] == "error" and case["code"] not in OF_FILES:
            assert result["status"] not in SCORED, case
    assert memory_kb(scoring, "VmHWM") - before < ALLOWED_KB


def test_too_much_without_a_length_is_cut_off(scoring: Running, admin: Client) -> None:
    before, memory = kept(scoring), memory_kb(scoring, "VmRSS")
    chunk = b"100000\r\n" + b"\0" * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", scoring.port), 60) as sent:
        sent.sendall(head(scoring, "Transfer-Encoding: chunked"))
        answer = b""
        try:
            for _ in range(TOO_MUCH // 0x100000 + 1):
                sent.sendall(chunk)
            answer = sent.recv(100)
        except ConnectionError:  # it was closed while more was on its way
            pass
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert kept(scoring) == before
    assert memory_kb(scoring, "VmHWM") - memory < ALLOWED_KB
    assert admin.get("/v1/films", params={"limit": 1}).status_code == 200


@pytest.mark.slow
def test_chunks_without_an_end_are_given_up(scoring: Running, admin: Client) -> None:
    before = kept(scoring)
    with socket.create_connection(("127.0.0.1", scoring.port), 60) as sent:
        sent.sendall(head(scoring, "Transfer-Encoding: chunked") + b"4\r\nfilm\r\n")
        assert sent.recv(100).startswith(b"HTTP/1.1 408 ")
    assert kept(scoring) == before
    del admin


def test_many_who_go_away_leave_nothing(scoring: Running, admin: Client) -> None:
    before = kept(scoring)
    begun = head(scoring, "Content-Length: 100000") + b"half a film"

    def go() -> None:
        with socket.create_connection(("127.0.0.1", scoring.port), 20) as sent:
            sent.sendall(begun)

    threads = [threading.Thread(target=go) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 30.0  # a body that stops is given up after 10 s at the latest
    while kept(scoring) != before and time.monotonic() < deadline:
        admin.get("/healthz")
    assert kept(scoring) == before


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_packed_bodies_are_refused(admin: Client, encoding: str) -> None:
    bomb = gzip.compress(bytes(10**6))
    answer = admin.post("/v1/films", content=bomb, headers={"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (415, "ENCODING_NOT_ALLOWED")


def test_a_packed_film_is_a_file_that_is_not_a_film(
    admin: Client, send: Send, films: list[Path]
) -> None:
    answer = send(admin, gzip.compress(films[0].read_bytes()), "a.png.gz")
    assert (answer.status_code, answer.json()["result"]["status"]) == (201, "error")


def test_names_are_no_paths_and_no_headers(scoring: Running, admin: Client, send: Send) -> None:
    known = set(admin.get("/healthz").headers) | {"etag", "location"}
    for number, name in enumerate(NAMES):
        answer = send(admin, f"no film {number}".encode(), name)
        assert answer.status_code == 201, name
        film = answer.json()
        assert film["name"] == name
        assert film["result"]["codes"] == ["NOT_AN_IMAGE"]
        assert set(answer.headers) <= known
        place = film["links"]["self"]
        assert place == f"/v1/films/{film['id']}"
        assert len(film["id"]) == 24
    lower = {path.name for path in scoring.store.rglob("*")}
    assert not [name for name in lower if "evil" in name or "passwd" in name]


@pytest.mark.parametrize(
    "line",
    [
        "X-Hilum-Name: a\0b",
        "X-Hilum-Name: a\r b",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -5",
        "Content-Length: 9" + "9" * 30,
        "X-Long: " + "a" * 1_000_000,
    ],
)
def test_heads_that_are_none_are_refused(scoring: Running, admin: Client, line: str) -> None:
    before = kept(scoring)
    with socket.create_connection(("127.0.0.1", scoring.port), 20) as sent:
        try:
            sent.sendall(head(scoring, line))
            answer = sent.recv(100)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert kept(scoring) == before
    del admin


CHANGES = (
    "open,openat,openat2,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "mkdir,mkdirat"
)
CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
WRITING = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")


@contextmanager
def traced(running: Running, told: Path) -> Generator[None]:
    """Let strace write down which files the service and its readers make, open to write or move."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    pids = [running.process.pid]
    for task in Path(f"/proc/{running.process.pid}/task").glob("*/children"):
        pids += [int(pid) for pid in task.read_text("ascii").split()]
    attached = [word for pid in pids for word in ("-p", str(pid))]
    command = [strace, "-f", "-s", "4096", "-e", f"trace={CHANGES}", "-o", str(told), *attached]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace may not attach here: {line.strip()}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        process.wait(30)
        process.stderr.close()


def changed(told: Path) -> set[str]:
    """Paths that were made, moved or opened to write."""
    found: set[str] = set()
    for line in told.read_text("utf-8", "replace").splitlines():
        call = CALL.search(line)
        if call is None or call[3].startswith("-"):
            continue
        if "open" in call[1] and not any(flag in call[2] for flag in WRITING):
            continue
        found.update(QUOTED.findall(call[2]))
    return found


@pytest.mark.slow
def test_nothing_is_written_outside_the_store(
    scoring: Running, admin: Client, send: Send, films: list[Path], tmp_path: Path
) -> None:
    good = films[0].read_bytes()
    film = send(admin, good + b"outside", "good.png").json()
    with traced(scoring, tmp_path / "calls"):
        for number, name in enumerate(NAMES[::2]):
            data = (good + name.encode(), good[: 100 * number], b"GIF89a;<script>", bytes(99))
            film = send(admin, data[number % 4] + str(number).encode(), name).json()
            for kind in ("pixels", "preview", "maps"):
                if film["links"][kind]:
                    answer = admin.get(film["links"][kind])
                    assert answer.status_code == 200, film["result"]
            reading = {"findings": {"Mass": "present"}, "note": name.replace("\0", "")}
            admin.put(film["links"]["verdict"], json=reading, headers={"If-Match": '"0"'})
        for table in ("labels.csv", "boxes.csv", "verdicts.jsonl"):
            assert admin.get(f"/v1/export/{table}").status_code == 200
        assert admin.delete(film["links"]["self"]).status_code == 204
    paths = changed(tmp_path / "calls")
    inside = {path for path in paths if Path(path).is_relative_to(scoring.store)}
    assert any("/objects/" in path for path in inside), "strace saw what was to be seen"
    assert any("/derived/" in path for path in inside)
    assert paths - inside <= {"/dev/null", "/proc/self/oom_score_adj"}
    assert not [path for path in inside if ".." in path or "evil" in path or "passwd" in path]
