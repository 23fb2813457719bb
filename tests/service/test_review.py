"""Review of a folder that `predict` wrote: no network, the same lines, and readings that stay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.domain.documents.results import ImageResult
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.text import REASONS, percent

if TYPE_CHECKING:
    from conftest import Running, Start


LOADED = """
import sys
from pathlib import Path
from hilum.service.app import application
from hilum.service.parts import open_store
from hilum.service.server import serve_forever
from hilum.service.settings import ServiceSettings
from hilum.service.start import review_service
import hilum.cli.serve
store = open_store(Path(sys.argv[2]))
application(review_service(store, Path(sys.argv[1]), ServiceSettings()))
print([name for name in ("openvino", "torch", "onnxruntime", "cv2") if name in sys.modules])
"""


def test_review_loads_no_network_and_no_decoder(predicted: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(predicted), str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_film_is_its_line_byte_for_byte(review: Running, predicted: Path) -> None:
    client = review.client("read")
    lines = (predicted / "results.jsonl").read_text("ascii").splitlines()
    films = client.get("/v1/films", params={"limit": 200}).json()["films"]
    assert len(films) == len(lines)
    by_name = {json.loads(line)["image_id"]: line for line in lines}
    for film in films:
        answer = client.get(film["links"]["self"])
        assert answer.headers["etag"] == '"0"'
        assert answer.text.endswith(f',"result":{by_name[film["name"]]}}}')
        assert answer.json()["notice"] == NOT_A_DEVICE


def test_codes_and_scores_come_with_the_words_of_the_report(review: Running) -> None:
    client = review.client("read")
    films = client.get("/v1/films", params={"limit": 200}).json()["films"]
    shown = [client.get(film["links"]["self"]).json() for film in films]
    for film in shown:
        result = ImageResult.model_validate(film["result"])
        assert film["reasons"] == {code.value: REASONS[code] for code in result.codes}
        assert film["scores"].keys() == (result.findings or {}).keys()
        for name, words in film["scores"].items():
            found = (result.findings or {})[name]
            assert words["sentence"].startswith(percent(found.probability)[:2])
    assert any(film["reasons"] for film in shown)
    assert any(film["scores"] for film in shown)


def test_names_from_outside_are_data_alone(review: Running) -> None:
    """A name that is HTML stays a JSON string, of a type that no browser takes for a page."""
    client = review.client("read")
    answer = client.get("/v1/films", params={"q": "<img", "state": "not_scored"})
    (film,) = answer.json()["films"]
    assert film["name"] == "<img src=x onerror=alert(1)>.png"
    assert film["status"] == "error"
    assert film["codes"] == ["NOT_AN_IMAGE"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = client.get("/")
    assert NOT_A_DEVICE.split(".")[0] in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/static/%2e%2e%2findex.html").status_code == 404


def test_pictures_are_those_of_the_folder(review: Running, predicted: Path) -> None:
    client = review.client("read")
    page = client.get("/v1/films", params={"state": "positive", "limit": 200}).json()
    film = page["films"][0]
    line = client.get(film["links"]["self"]).json()["result"]
    shown = client.get(film["links"]["preview"])
    assert shown.content == (predicted / line["film"]).read_bytes()
    assert shown.headers["content-type"] == "image/jpeg"
    assert set(film["links"]["overlays"]) == set(line["heatmaps"])
    for name, link in film["links"]["overlays"].items():
        assert client.get(link).content == (predicted / line["heatmaps"][name]).read_bytes()
    missing = client.get(f"{film['links']['self']}/overlay/Nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "NO_PICTURE")
    assert client.get(f"{film['links']['self']}/pixels").status_code == 404


def test_counts_and_filters_agree(review: Running) -> None:
    client = review.client("review")
    page = client.get("/v1/films", params={"limit": 200}).json()
    counts = page["counts"]
    assert counts["all"] == len(page["films"])
    assert counts["positive"] == sum(bool(film["positives"]) for film in page["films"])
    finding = next(film["positives"][0] for film in page["films"] if film["positives"])
    found = client.get("/v1/films", params={"finding": finding, "limit": 200}).json()["films"]
    expected = {film["id"] for film in page["films"] if finding in film["positives"]}
    assert {film["id"] for film in found} == expected
    assert client.get("/v1/films", params={"sort": "size"}).json()["code"] == "QUERY_INVALID"
    assert client.get("/v1/films", params={"limit": 201}).json()["code"] == "REQUEST_INVALID"


def test_each_count_of_the_summary_is_a_part_of_the_list(review: Running) -> None:
    client = review.client("review", name="counter")

    def listed(**query: str) -> int:
        return len(client.get("/v1/films", params={"limit": 200, **query}).json()["films"])

    film = client.get("/v1/films").json()["films"][-1]
    put = {"json": {"second_look": True}, "headers": {"If-Match": '"0"'}}
    assert client.put(film["links"]["verdict"], **put).status_code in (201, 409)
    found = client.get("/v1/summary").json()
    assert found["counts"] == client.get("/v1/films").json()["counts"]
    parts = {
        "status": found["statuses"],
        "view": found["views"],
        "finding": {one["finding"]: one["positive"] for one in found["findings"]},
        "reader": {one["reader"]: one["films"] for one in found["readers"]},
    }
    for name, counts in parts.items():
        assert counts, name
        for value, films in counts.items():
            assert listed(**{name: value}) == films, (name, value)
    assert sum(found["statuses"].values()) == found["counts"]["all"]
    for one in found["reasons"]:
        part = "" if one["scored"] else "not_scored"
        shown = listed(code=one["code"], **({"state": part} if part else {}))
        assert (shown, bool(one["sentence"])) == (one["films"], True), one
    assert listed(status="ok' OR 1=1 --") == listed(code="' OR 1=1") == 0


def test_films_of_a_patient_are_those_and_no_others(review: Running) -> None:
    client = review.client("read")
    films = client.get("/v1/films", params={"limit": 200}).json()["films"]
    assert len({film["patient"] for film in films}) > 2
    for film in films:
        asked = {"limit": 200, "patient_of": film["id"]}
        own = [one["id"] for one in client.get("/v1/films", params=asked).json()["films"]]
        same = [one["id"] for one in films if film["patient"] and one["patient"] == film["patient"]]
        assert sorted(own) == sorted(same)


def test_readings_are_versions_with_both_sides_of_a_conflict(review: Running) -> None:
    anna, ben = review.client("review", name="anna"), review.client("review", name="ben")
    film = anna.get("/v1/films", params={"limit": 1}).json()["films"][0]
    place = film["links"]["verdict"]
    first = {
        "findings": {"Mass": "present"},
        "note": "<b>\u2028=cmd|'/c calc'",
        "boxes": [{"finding": "Mass", "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}],
    }
    assert anna.put(place, json=first).json()["code"] == "IF_MATCH_MISSING"
    assert anna.put(place, json=first, headers={"If-Match": "*"}).status_code == 400
    made = anna.put(place, json=first, headers={"If-Match": '"0"'})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    mine = {"findings": {"Mass": "absent"}}
    stale = ben.put(place, json=mine, headers={"If-Match": '"0"'})
    assert stale.status_code == 409
    assert stale.json()["current"]["findings"] == first["findings"]
    assert stale.json()["yours"]["findings"] == mine["findings"]
    again = {"If-Match": stale.headers["etag"]}
    assert ben.put(place, json=mine, headers=again).status_code == 201
    history = ben.get(film["links"]["history"]).json()
    readers = [(one["reader_name"], one["version"]) for one in history["readings"]]
    assert readers == [("anna", 1), ("ben", 2)]
    assert history["readings"][0]["note"] == first["note"]
    assert history["differ"] == ["Mass"]
    assert ben.get(film["links"]["self"]).json()["mine"]["version"] == 2
    assert ben.get("/v1/films", params={"state": "conflict"}).json()["counts"]["conflict"] == 1
    wrong = {"findings": {"Efusion": "present"}}
    refused = ben.put(place, json=wrong, headers={"If-Match": '"2"'})
    assert (refused.status_code, refused.json()["code"]) == (422, "FINDING_UNKNOWN")
    outside = {"boxes": [{"finding": "Mass", "x": 0.9, "y": 0, "width": 0.3, "height": 0.1}]}
    assert ben.put(place, json=outside, headers={"If-Match": '"2"'}).status_code == 422


def test_no_film_is_taken_and_none_deleted(review: Running) -> None:
    client = review.client("admin")
    film = client.get("/v1/films", params={"limit": 1}).json()["films"][0]
    assert client.post("/v1/films", content=b"a").json()["code"] == "REVIEW_ONLY"
    assert client.delete(film["links"]["self"]).json()["code"] == "REVIEW_ONLY"


def test_a_second_start_keeps_readings(start: Start, predicted: Path, tmp_path: Path) -> None:
    store = tmp_path / "again"
    first = start("--results", predicted, store=store)
    client = first.client("review")
    film = client.get("/v1/films", params={"limit": 1}).json()["films"][0]
    reading = {"findings": {"Mass": "uncertain"}}
    client.put(film["links"]["verdict"], json=reading, headers={"If-Match": '"0"'})
    assert first.stop() == 0
    second = start("--results", predicted, store=store)
    kept = second.client("read").get(film["links"]["history"]).json()
    assert [one["findings"] for one in kept["readings"]] == [reading["findings"]]
    assert second.stop() == 0
    assert first.errors.read_text().count("\n") == 1
