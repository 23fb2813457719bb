"""A patient who is received, scored, refused, crashed and retried is in the objects alone.

The canary has a name, an id, a birth date, an accession number and private text of its own, and
UIDs of a root of their own. They are looked for in everything that a node says or names.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydicom import dcmwrite
from pydicom.uid import UID

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")
pytest.importorskip("granian", reason="hilum[serve] is not installed")

from hilum.node.guards import quiet_library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WORDS = (
    *("Zzyzx", "QUAGGA-4711", "19010203", "ACC-OKAPI-9", "Private-Numbat", "Comment-Dugong"),
    "1.2.826.0.1.3680043.8.498.",
)
HEAD = {
    "PatientName": "Zzyzx^Unlikely",
    "PatientID": "QUAGGA-4711",
    "PatientBirthDate": "19010203",
    "AccessionNumber": "ACC-OKAPI-9",
    "PatientComments": "Comment-Dugong",
}


def canary(kit: Any, pixels: Any, number: int, **more: Any) -> Any:
    film = kit.film(pixels, number, study=number, **HEAD, **more)
    film.private_block(0x0011, "HILUM TEST", create=True).add_new(0x01, "LO", "Private-Numbat")
    return film


class Watched:
    """`hilum node` in a process of its own; every name that it gives a file is written down."""

    def __init__(self, bundle: Path, config: Path, folder: Path, spool: Path) -> None:
        self.log, self.temporary, self._spool = folder / "log", folder / "temporary", spool
        self.temporary.mkdir()
        self.names: set[str] = set()
        self.environ = ""
        self._ended = threading.Event()
        hilum = str(Path(sys.executable).with_name("hilum"))
        command = [hilum, "node", str(bundle), "--config", str(config), "--threads", "1"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def children(self) -> list[int]:
        """Every process of the node's session."""
        found: list[int] = []
        for one in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(one.name)) == self.process.pid:
                    found.append(int(one.name))
        return found

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            for root in (self._spool, self.temporary):
                with contextlib.suppress(OSError):
                    self.names |= {str(path) for path in root.rglob("*")}
            for child in self.children():
                for part in ("environ", "cmdline"):
                    with contextlib.suppress(OSError):
                        self.environ += Path(f"/proc/{child}/{part}").read_text(errors="replace")
            self.environ = "\0".join(set(self.environ.split("\0")))

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()


@pytest.fixture
def watched(
    kit: Any, toy: Path, peer: Any, tmp_path: Path
) -> Iterator[tuple[Watched, httpx.Client, Any]]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("there is no /proc here")
    port = kit.free_port()
    rules = kit.settings(
        tmp_path / "spool",
        peer,
        listen={"status": {"port": port}},
        results={"kinds": ["sr", "sc", "pr"]},
    )
    config = tmp_path / "node.yaml"
    config.write_text(yaml.safe_dump(rules.model_dump(mode="json")))
    one = Watched(toy / "bundle", config, tmp_path, rules.spool)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

        def alive() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return client.get("/healthz").status_code == 200
            return False

        kit.until(alive, "a node")
        yield one, client, kit.Modality(rules.listen.dicom.port)
    if one.process.poll() is None:
        one.process.kill()


def crashed(one: Watched, modality: Any, film: Any) -> int:
    """Send a film, and end every reader for a while: it is read twice in vain, or in time.

    Returns how many were ended.
    """
    ended = 0
    assert modality.send(film) == [0x0000]
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        for child in one.children():
            with contextlib.suppress(OSError):
                if b"hilum.reading.reader" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, signal.SIGKILL)
                    ended += 1
        time.sleep(0.05)
    return ended


def test_the_patient_is_in_the_objects_and_nowhere_else(
    kit: Any, watched: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    one, client, modality = watched
    quiet_library()  # with it, a file is sent as it is
    peer.answers = [0x0000, 0xC001]
    assert modality.send(canary(kit, pixels, 1)) == [0x0000]
    kit.until(lambda: "cannot understand" in client.get("/").text, "a failure to send")
    shown = [client.get(path).text for path in ("/", "/metrics", "/readyz")]
    # refused: other bytes, other UIDs, no data set, a patient who is two
    assert modality.send(canary(kit, pixels, 1, StudyDescription="x")) == [0x0111]
    path = tmp_path / "QUAGGA-4711.dcm"
    film = canary(kit, pixels, 2)
    film.file_meta.MediaStorageSOPInstanceUID = UID(f"{kit.ROOT}7.999")
    dcmwrite(path, film)
    association = modality.associate(str(film.SOPClassUID))
    assert association.send_c_store(path).Status == 0xA900
    association.release()
    both = canary(kit, pixels, 3), canary(kit, pixels, 4)
    both[1].StudyInstanceUID, both[1].PatientID = both[0].StudyInstanceUID, "QUAGGA-4711-B"
    assert modality.send(*both) == [0x0000, 0x0000]
    assert modality.send(canary(kit, pixels, 5, ViewPosition="LL")) == [0x0000]
    assert crashed(one, modality, canary(kit, pixels, 6))
    kit.until(lambda: "PATIENT_CONFLICT" in client.get("/").text, "a conflict")
    shown += [client.get(path).text for path in ("/", "/metrics")]
    client.post("/retry", content="study=1")
    kit.until(lambda: len(peer.of(1, "SR")) == 1 and len(peer.objects) >= 3, "sent again")
    answers = [
        client.get("/QUAGGA-4711").text,
        client.post("/retry", content="study=QUAGGA-4711").text,
        client.get("/", headers={"Host": "QUAGGA-4711"}).text,
    ]
    one.end()
    places = {
        "log": one.log.read_text(),
        "names": "\n".join(one.names),
        "environ": one.environ,
        "pages": "\n".join((*shown, *answers)),
    }
    found = [(place, word) for place, text in places.items() for word in WORDS if word in text]
    assert found == []
    assert "hilum.reading.reader" in one.environ
    assert len(one.names) > 20
    for data in peer.objects.values():
        for word in ("Zzyzx", "QUAGGA-4711", "19010203", "ACC-OKAPI-9"):
            assert word.encode() in data
        for word in ("Private-Numbat", "Comment-Dugong"):
            assert word.encode() not in data
