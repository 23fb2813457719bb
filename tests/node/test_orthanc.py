"""A real archive takes what the node sends, and what it forwards back is not scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydicom import dcmread

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.node.outbox import overview
from hilum.node.start import running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def archive(kit: Any, tmp_path: Path) -> Iterator[tuple[Any, int]]:
    node = kit.free_port()
    with kit.orthanc(tmp_path, {"node": ["HILUM", "127.0.0.1", node]}) as one:
        yield one, node


def test_an_archive_takes_every_kind_and_what_it_forwards_is_known_again(
    archive: tuple[Any, int], kit: Any, work: Any, pixels: Any, tmp_path: Path
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


def _states(node: Any) -> dict[str, int]:
    return overview(node.books.database).destinations.get("vna", {})


def test_an_archive_that_keeps_the_old_object_is_found_out(
    kit: Any, work: Any, pixels: Any, tmp_path: Path
) -> None:
    """With OverwriteInstances false, Orthanc answers success to a changed object and drops it."""
    with kit.orthanc(tmp_path, {}, web=True) as archive:
        url = f"http://127.0.0.1:{archive.http}/dicom-web"
        one = {"name": "vna", "kind": "stow", "url": url, "commit": True}
        rules = kit.settings(tmp_path / "spool", destinations=[one])
        with running(rules, work) as node:
            kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
            kit.until(lambda: _states(node) == {"confirmed": 1}, "confirmed")
            (name,) = archive.get("/instances")
            with urlopen(
                Request(f"http://127.0.0.1:{archive.http}/instances/{name}", method="DELETE")
            ):
                pass
            sha256 = node.books.database.one("SELECT sha256 FROM object")[0]
            other = dcmread(node.spool.object(sha256))
            other.ContentLabel = "OTHER"
            other.SeriesDescription = "a different object"
            stream = BytesIO()
            other.save_as(stream)
            archive.get("/instances", stream.getvalue())
            node.books.database.write(
                lambda connection: connection.execute("UPDATE delivery SET state='waiting'")
            )
            kit.until(lambda: _states(node) == {"failed": 1}, "found out")
            (failure,) = overview(node.books.database).failures
            assert failure["words"] == "the destination has a different object under this UID"


def test_an_archive_commits_to_what_it_stored(
    kit: Any, work: Any, pixels: Any, tmp_path: Path
) -> None:
    port = kit.free_port()
    with kit.orthanc(tmp_path, {"node": ["HILUM", "127.0.0.1", port]}) as archive:
        peer = {"host": "127.0.0.1", "port": archive.port, "ae_title": "PEER"}
        rules = kit.settings(
            tmp_path / "spool",
            listen={"dicom": {"port": port}},
            destinations=[{"name": "vna", "commit": True, **peer}],
        )
        with running(rules, work) as node:
            kit.Modality(port).send(kit.film(pixels, 1))
            kit.until(lambda: _states(node) == {"confirmed": 1}, "confirmed")
            assert len(archive.get("/instances")) == 1


def test_an_archive_sends_films_by_stow(kit: Any, work: Any, pixels: Any, tmp_path: Path) -> None:
    pytest.importorskip("granian", reason="hilum[serve] is not installed")
    from hilum.node.dicomweb.tokens import add_token

    port, tokens = kit.free_port(), tmp_path / "tokens.txt"
    server = {
        "Url": f"http://127.0.0.1:{port}/dicom-web",
        "HttpHeaders": {"Authorization": f"Bearer {add_token(tokens, 'orthanc')}"},
    }
    rules = kit.settings(tmp_path / "spool", listen={"dicomweb": {"port": port, "tokens": tokens}})
    web = {"Servers": {"hilum": server}}
    with kit.orthanc(tmp_path, {}, web=True, DicomWeb=web) as archive, running(rules, work) as node:
        for number in (1, 2, 3):
            stream = BytesIO()
            kit.film(pixels, number).save_as(stream)
            archive.get("/instances", stream.getvalue())
        request = {"Resources": archive.get("/instances"), "Synchronous": True}
        archive.get("/dicom-web/servers/hilum/stow", json.dumps(request).encode())
        kit.until(lambda: overview(node.books.database).films == {"complete": 3}, "scored")
