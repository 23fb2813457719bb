"""A real archive takes what the node sends, and what it forwards back is not scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed")
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
