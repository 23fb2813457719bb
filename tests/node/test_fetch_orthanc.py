"""Films come from a real archive over C-GET, C-MOVE and DICOMweb, and a killed fetch goes on."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
STUDIES = 12
COMMAND = "from hilum.cli.app import command; command()"


def fetch(root: Path, source: str, *more: str) -> subprocess.Popen[bytes]:
    words = ["fetch", source, "--config", str(root / "node.yaml"), "-o", str(root / source)]
    words += ["--list", str(root / "l.csv"), "-q", *more]
    return subprocess.Popen([sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE)


def films(folder: Path) -> dict[str, str]:
    """SOP UID of each film to the hash of its data set."""
    found: dict[str, str] = {}
    for path in folder.rglob("*.dcm"):
        one = dcmread(path)
        stream = BytesIO()
        one.file_meta.ImplementationVersionName = "same"
        found[str(one.SOPInstanceUID)] = hashlib.sha256(one.PixelData).hexdigest()
        dcmwrite(stream, one)
    return found


def test_three_ways_give_the_same_films_and_a_killed_fetch_goes_on(
    kit: Any, pixels: Any, tmp_path: Path
) -> None:
    moved = kit.free_port()
    peers = {"moved": ["MOVED", "127.0.0.1", moved], "own": ["HILUM", "127.0.0.1", moved]}
    with kit.orthanc(tmp_path, peers, web=True) as archive:
        made = [
            kit.film(pixels, number, number, AccessionNumber=f"A{number}")
            for number in range(1, STUDIES + 1)
        ]
        for one in made:
            stream = BytesIO()
            dcmwrite(stream, one)
            archive.get("/instances", stream.getvalue())
        lines = [f"A{number}" for number in range(1, STUDIES + 1)]
        (tmp_path / "l.csv").write_text("\n".join(["accession_number", *lines, "NONE", ""]))
        dicom = f"host: 127.0.0.1, port: {archive.port}, ae_title: PEER"
        place = f"move_to: {{port: {moved}, ae_title: MOVED}}"
        url = f"http://127.0.0.1:{archive.http}/dicom-web"
        (tmp_path / "node.yaml").write_text(
            "spool: spool\nsources:\n"
            f"  - {{name: cget, {dicom}}}\n"
            f"  - {{name: cmove, method: cmove, {place}, {dicom}}}\n"
            f"  - {{name: web, kind: dicomweb, url: '{url}'}}\n"
        )
        found: dict[str, dict[str, str]] = {}
        for source in ("cget", "cmove", "web"):
            running = fetch(tmp_path, source, "--rate", "4/s")
            end = time.monotonic() + 60
            while time.monotonic() < end and len(films(tmp_path / source)) < 3:
                time.sleep(0.05)
            os.kill(running.pid, signal.SIGKILL)
            running.communicate()
            kept = films(tmp_path / source)
            assert 3 <= len(kept) < STUDIES
            again = fetch(tmp_path, source)
            again.communicate(timeout=120)
            assert again.returncode == 3  # NONE is not there
            found[source] = films(tmp_path / source)
            table = (tmp_path / source / "fetched.csv").read_text().splitlines()
            assert len(table) == STUDIES + 2
            assert table[-1].startswith(f"{STUDIES + 2},accession_number,reject,NOT_FOUND")
        assert found["cget"] == found["cmove"] == found["web"]
        assert set(found["web"]) == {str(one.SOPInstanceUID) for one in made}
