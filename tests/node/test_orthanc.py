"""A real archive takes what the node sends, and what it forwards back is not scored."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.node.outbox import overview
from hilum.node.start import running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
START_S = 60.0


class Archive:
    """An Orthanc of our own that knows the node."""

    def __init__(self, folder: Path, kit: Any, node: int) -> None:
        self.http, self.port = kit.free_port(), kit.free_port()
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
            "DicomModalities": {"node": ["HILUM", "127.0.0.1", node]},
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
        end = time.monotonic() + START_S
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


@pytest.fixture
def archive(kit: Any, tmp_path: Path) -> Iterator[tuple[Archive, int]]:
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed")
    node = kit.free_port()
    one = Archive(tmp_path, kit, node)
    try:
        one.wait()
        yield one, node
    finally:
        one.end()


def test_an_archive_takes_every_kind_and_what_it_forwards_is_known_again(
    archive: tuple[Archive, int], kit: Any, work: Any, pixels: Any, tmp_path: Path
) -> None:
    from dataclasses import replace

    orthanc, port = archive
    kinds = ("sr", "sc", "pr")
    every = replace(work, objects=replace(work.objects, kinds=kinds))
    rules = kit.settings(
        tmp_path / "spool",
        kit.Peer(orthanc.port),
        listen={"dicom": {"port": port}},
        results={"kinds": kinds},
    )
    with running(rules, every) as node:
        assert kit.Modality(port).send(kit.film(pixels, 1)) == [0x0000]
        kit.until(
            lambda: overview(node.books.database).destinations == {"pacs0": {"sent": 3}},
            "three objects sent",
        )
        instances = orthanc.get("/instances")
        assert len(instances) == 3
        orthanc.get("/modalities/node/store", json.dumps(instances).encode())
        found = overview(node.books.database)
        assert found.films == {"complete": 1, "ignored": 3}
        assert found.studies == {"complete": 1}
