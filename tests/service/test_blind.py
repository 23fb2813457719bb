"""Blinded readers: nothing of the model reaches them before their own first reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Response, Running, Start


@pytest.fixture(scope="module")
def blind(
    start: Start, predicted: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    running = start(
        "--results", predicted, "--blind", store=tmp_path_factory.mktemp("blind") / "store"
    )
    yield running
    running.stop()


def numbers_of(predicted: Path) -> set[str]:
    """Every probability and threshold as it is written in results.jsonl, beyond trivial ones."""
    found: set[str] = set()
    for line in (predicted / "results.jsonl").read_text("ascii").splitlines():
        for finding in (json.loads(line)["findings"] or {}).values():
            found |= {repr(finding["probability"]), repr(finding["threshold"])}
    return {number for number in found if len(number) > 5}


def test_nothing_of_the_model_is_in_a_recorded_session(blind: Running, predicted: Path) -> None:
    anna, ben = blind.client("review", name="anna"), blind.client("admin", name="ben")
    recorded: list[str] = []

    def get(path: str, **params: str | int) -> Response:
        answer = anna.get(path, params=params)
        recorded.append(answer.text)
        return answer

    page = get("/v1/films", limit=200).json()
    assert [film["name"] for film in page["films"]] == sorted(f["name"] for f in page["films"])
    assert set(page["counts"]) == {"all", "unread", "read", "not_scored", "queued"}
    for film in page["films"]:
        place = film["links"]["self"]
        one = get(place)
        if one.json()["result"] is not None:  # what could not be scored says why
            assert one.json()["result"]["findings"] is None
        for part in ("maps", "overlay/Mass", "history"):
            answer = get(f"{place}/{part}")
            assert (answer.status_code, answer.json()["code"]) == (403, "BLINDED")
    bundle = get("/v1/bundle").json()
    assert (bundle["thresholds"], bundle["evaluation"]) == (None, None)
    get("/v1/session")
    get("/metrics")
    for refused in (
        {"state": "positive"},
        {"state": "near"},
        {"sort": "priority"},
        {"sort": "finding:Mass"},
        {"finding": "Mass"},
        {"state": "conflict"},
        {"reader": "R2"},
        {"status": "warn"},
        {"code": "EMPTY_HEATMAP"},
        {"sort": "-second_look"},
    ):
        assert get("/v1/films", **refused).json()["code"] == "BLINDED", refused
    for path in ("/v1/export/labels.csv", "/v1/agreement"):
        assert anna.get(path).json()["code"] == "BLINDED"
        assert ben.get(path).status_code == 200
    counted = get("/v1/summary").json()
    assert counted["counts"] == page["counts"]
    empty = ("findings", "statuses", "reasons", "readers")
    assert not any(counted[part] for part in empty), counted
    text = "".join(recorded)
    assert '"probability"' not in text
    assert '"positives":["' not in text
    assert not [number for number in numbers_of(predicted) if number in text]


def test_both_readings_are_kept_and_readers_do_not_see_each_other(blind: Running) -> None:
    anna, ben = blind.client("review", name="anna"), blind.client("review", name="ben")
    films = anna.get("/v1/films", params={"limit": 200}).json()["films"]
    place = next(film["links"] for film in films if film["status"] == "scored")
    zero = {"If-Match": '"0"'}
    first = anna.put(place["verdict"], json={"findings": {"Mass": "absent"}}, headers=zero)
    assert (first.status_code, first.json()["blinded"]) == (201, True)
    hidden = ben.get(place["self"]).json()
    assert (hidden["blinded"], hidden["reading"]["version"]) == (True, 0)
    assert hidden["reading"]["readings"] == 0
    other = ben.put(place["verdict"], json={"findings": {"Mass": "present"}}, headers=zero)
    assert (other.status_code, other.json()["version"]) == (201, 2)
    assert anna.get(place["self"]).json()["result"]["findings"]
    seen = {"findings": {"Mass": "present"}}
    second = anna.put(place["verdict"], json=seen, headers={"If-Match": '"2"'})
    assert (second.status_code, second.json()["blinded"]) == (201, False)
    history = anna.get(place["history"]).json()["readings"]
    assert [(one["reader_name"], one["blinded"]) for one in history] == [
        ("anna", True),
        ("ben", True),
        ("anna", False),
    ]
