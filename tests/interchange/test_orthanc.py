"""A real archive takes every object and gives the same bytes back."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import pytest

from hilum.interchange import FilmResults, object_kinds

START_S = 60.0


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Orthanc of our own, on a free port."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        http, dicom = one.getsockname()[1], two.getsockname()[1]
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http,
        "DicomPort": dicom,
        "Plugins": [],
        "AuthenticationEnabled": False,
        "OverwriteInstances": False,
    }
    (folder / "o.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, folder / "o.json"], stdout=log, stderr=log)
    try:
        yield _waited(f"http://127.0.0.1:{http}", server)
    finally:
        server.terminate()
        server.wait(30)


def _waited(address: str, server: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(f"{address}/system"):
                return address
        except OSError:
            time.sleep(0.1)
    pytest.skip("Orthanc does not start here")


@pytest.mark.slow
@pytest.mark.parametrize("kind", object_kinds())
def test_the_archive_stores_it_and_gives_the_same_bytes_back(
    kind: str,
    orthanc: str,
    film_results: Callable[..., FilmResults],
    file_of: Callable[[FilmResults, str], bytes],
) -> None:
    data = file_of(film_results(), kind)
    with urlopen(Request(f"{orthanc}/instances", data, method="POST")) as answer:
        stored = json.load(answer)
    assert stored["Status"] == "Success"
    with urlopen(f"{orthanc}/instances/{stored['ID']}/file") as answer:
        assert answer.read() == data
    with urlopen(f"{orthanc}/instances/{stored['ID']}/study") as answer:
        study = json.load(answer)
    assert study["PatientMainDicomTags"]["PatientID"] == "PID-0815"
    with urlopen(Request(f"{orthanc}/instances", data, method="POST")) as answer:
        assert json.load(answer)["Status"] == "AlreadyStored"
