"""Pages and metrics of a node: what is there, who may look, and no patient in any of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")
pytest.importorskip("granian", reason="hilum[serve] is not installed")

from prometheus_client.parser import text_string_to_metric_families

from hilum.node.outbox import overview
from hilum.node.settings import PageListener
from hilum.node.start import Node, running

CANARIES = ("Canary", "CANARY", "1.2.826.0.1.3680043.8.498")


@pytest.fixture
def pages(
    kit: Any, work: Any, peer: Any, tmp_path: Path
) -> Iterator[tuple[Node, httpx.Client, Any]]:
    """A node with pages, a client of them, and a modality."""
    port = kit.free_port()
    rules = kit.settings(tmp_path / "spool", peer, listen={"status": {"port": port}})
    with (
        running(rules, work) as one,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        yield one, client, kit.Modality(rules.listen.dicom.port)


def values(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_happened_is_counted_and_timed(kit: Any, pages: Any, peer: Any, pixels: Any) -> None:
    node, client, modality = pages
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    one = kit.film(pixels, 1)
    assert modality.send(one, one, kit.film(pixels, 1, PatientComments="x")) == [0, 0, 0x0111]
    kit.until(lambda: overview(node.books.database).destinations == {"pacs0": {"sent": 1}}, "sent")
    found = values(client)
    assert found["hilum_received_total", "new"] == 1
    assert found["hilum_received_total", "same"] == 1
    assert found["hilum_received_total", "DUPLICATE_SOP_CONFLICT"] == 1
    assert found["hilum_studies", "complete"] == 1
    assert found["hilum_sent_total", "pacs0", "sent"] == 1
    assert found["hilum_deliveries", "pacs0", "sent"] == 1
    assert found["hilum_oldest_waiting_seconds",] == 0
    assert found["hilum_spool_bytes",] == node.spool.held > 0
    assert ("hilum_bundle_info", node_bundle(client)) in found
    counted = {
        stage: found["hilum_stage_seconds_count", stage]
        for stage in ("receive", "wait", "read", "score", "build", "send")
    }
    assert counted == dict.fromkeys(counted, 1) | {"receive": 2}


def node_bundle(client: httpx.Client) -> str:
    shown = re.search(r"Bundle (\w+)\.", client.get("/").text)
    assert shown is not None
    return shown[1]


def test_failures_come_first_and_a_form_retries_them(
    kit: Any, pages: Any, peer: Any, pixels: Any
) -> None:
    node, client, modality = pages
    peer.answers = [0xC001]
    modality.send(kit.film(pixels, 1))
    kit.until(lambda: overview(node.books.database).failures, "a failure")
    page = client.get("/")
    text = page.text
    assert text.index("cannot understand") < text.index("Waiting") < text.index("By state")
    assert "script" not in text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    pseudonym = re.search(r"<tr><td>1</td><td>([\w-]+)</td><td>object 1 to pacs0</td>", text)
    assert pseudonym is not None
    for words in (text, client.get("/metrics").text):
        assert not [canary for canary in CANARIES if canary in words]
    assert client.get("/status.css").headers["content-type"].startswith("text/css")
    origin = {"Origin": str(client.base_url).rstrip("/")}
    answer = client.post("/retry", data={"study": "1"}, headers=origin)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    kit.until(lambda: peer.objects, "sent again")
    kit.until(lambda: "Nothing failed" in client.get("/").text, "no failure")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Origin": "http://evil.example"}, "study=1", 403),
        ({"Origin": "null"}, "study=1", 403),
        ({"Host": "evil.example"}, "study=1", 421),
        ({}, "study=1;drop", 400),
        ({}, "study=1&study=2", 400),
        ({}, "study=" + "9" * 5000, 413),
        ({}, "study=999", 303),
    ],
)
def test_others_may_not_retry(pages: Any, headers: Any, body: str, status: int) -> None:
    _, client, _ = pages
    assert client.post("/retry", content=body, headers=headers).status_code == status


def test_no_room_is_said_before_a_sender_is_put_off(
    kit: Any, pages: Any, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, client, modality = pages
    left = 200 * 10**6  # less than the largest object, and enough for this one
    monkeypatch.setattr(node.spool, "_most", node.spool.held + left)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the spool has no room for another object\n")
    assert modality.send(kit.film(pixels, 1)) == [0x0000]
    monkeypatch.setattr(node.spool, "_most", node.spool.held)
    assert modality.send(kit.film(pixels, 2, study=2)) == [0xA700]


def test_a_spool_that_cannot_be_written_is_not_ready(
    pages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    _, client, _ = pages
    monkeypatch.setattr("hilum.node.spool.os.fsync", broken)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (
        503,
        "the spool or its books cannot be written\n",
    )


def test_pages_are_for_this_machine_alone() -> None:
    with pytest.raises(ValueError, match="must be for this machine alone"):
        PageListener(host="0.0.0.0")
