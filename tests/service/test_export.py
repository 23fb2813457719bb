"""Readings come back as a dataset: `check` and `evaluate` read it, and votes are counted."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Running, Said


WORDS = ("present", "absent", "uncertain", "not_judged")


def test_three_readers_make_a_dataset(
    review: Running, predicted: Path, tmp_path: Path, said: Said
) -> None:
    readers = [review.client("review", name=name) for name in ("anna", "ben", "cleo")]
    films = readers[0].get("/v1/films", params={"limit": 200, "sort": "name"}).json()["films"]
    films = [film for film in films if film["status"] in ("ok", "warn")]
    given: dict[str, list[str]] = {}
    for number, film in enumerate(films):
        for place, reader in enumerate(readers):
            word = WORDS[(number * (place + 1) + place) % 4 if number % 3 else number % 2]
            reading = {"findings": {"Mass": word, "Effusion": "absent"}, "note": "=1+1"}
            version = reader.get(film["links"]["self"]).headers["etag"]
            answer = reader.put(
                film["links"]["verdict"], json=reading, headers={"If-Match": version}
            )
            assert answer.status_code == 201
            given.setdefault(film["name"], []).append(word)
    labels = tmp_path / "labels"
    assert said("serve", "export", review.store, "-o", labels)[0] == 0
    code, _, err = said("check", labels, "--uncertain", "ignore", "--json")
    assert code in (0, 3), err
    from hilum.datasets import open_dataset
    from hilum.domain.findings import LabelState

    cohort = open_dataset(labels)
    column = cohort.labels.index("Mass")
    states = {record.image_id: record.states[column] for record in cohort.records}
    for name, words in given.items():
        votes = [word for word in words if word != "not_judged"]
        counts = Counter(votes)
        expected = LabelState.UNLABELLED if not votes else LabelState.NEGATIVE
        if len(counts) == 1:
            expected = {"present": 1, "absent": 0, "uncertain": -1}[votes[0]]
        elif 2 * counts["present"] > len(votes):
            expected = LabelState.POSITIVE
        assert states[name] == LabelState(expected), (name, words)
    table = predicted / "final_clinical_report.csv"
    code, out, err = said(
        *("evaluate", table, "--labels", labels, "-o", tmp_path / "numbers"),
        *("--votes", "majority", "--uncertain", "ignore", "--resamples", "100", "--json"),
    )
    assert code in (0, 3), err
    assert json.loads(out)
    found = json.loads((labels / "agreement.json").read_text("utf-8"))
    assert found == readers[0].get("/v1/agreement").json()
    names = [one.get("/v1/session").json()["reader"] for one in readers]
    said_by = [(name, dict(zip(names, words, strict=True))) for name, words in given.items()]
    agree_as_recounted(said_by, found, predicted)
    blinded = readers[0].get("/v1/agreement", params={"blinded": True}).json()
    assert (blinded["readings"], blinded["findings"]) == (0, [])


def agree_as_recounted(
    said_by: list[tuple[str, dict[str, str]]], found: dict[str, Any], predicted: Path
) -> None:
    """Each pair's kappa on the mass is scikit-learn's, from the words and the results."""
    metrics = pytest.importorskip("sklearn.metrics")
    lines = map(json.loads, (predicted / "results.jsonl").read_text("ascii").splitlines())
    called = {True: "present", False: "absent"}
    model = {
        one["image_id"]: called[one["findings"]["Mass"]["positive"]]
        for one in lines
        if one["findings"]
    }
    said = [words | {"model": model[name]} for name, words in said_by]
    mass = next(one for one in found["findings"] if one["finding"] == "Mass")
    assert len(mass["pairs"]) == 6
    for pair in mass["pairs"]:
        both = [(one[pair["one"]], one[pair["other"]]) for one in said]
        both = [one for one in both if set(one) <= {"present", "absent"}]
        assert pair["films"] == len(both)
        expected = metrics.cohen_kappa_score(*zip(*both, strict=True))
        value = pair["kappa"]["value"]
        assert (value is None and expected != expected) or value == pytest.approx(expected)
    among = [one["kappa"]["value"] for one in mass["pairs"] if one["other"] != "model"]
    assert mass["readers"]["value"] == pytest.approx(sum(among) / 3)
    assert found["notice"].startswith("hilum is research software")


def test_an_export_has_no_formula_and_says_where_it_is_from(review: Running) -> None:
    client = review.client("review", name="=cmd|'/c calc'")
    film = client.get("/v1/films", params={"state": "unread"}).json()["films"][0]
    version = client.get(film["links"]["self"]).headers["etag"]
    reading = {
        "findings": {"Mass": "present"},
        "note": "@SUM(1)",
        "boxes": [{"finding": "Mass", "x": 0.5, "y": 0.25, "width": 0.125, "height": 0.5}],
    }
    headers = {"If-Match": version}
    assert client.put(film["links"]["verdict"], json=reading, headers=headers).status_code == 201
    for name in ("labels.csv", "boxes.csv"):
        rows = list(csv.reader(io.StringIO(client.get(f"/v1/export/{name}").text)))
        cells = [cell for row in rows for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t"))]
        assert all("not a medical device" in row[-1] for row in rows[1:])
    lines = client.get("/v1/export/verdicts.jsonl").text.splitlines()
    assert {"reader", "time", "blinded", "bundle", "thresholds"} <= set(json.loads(lines[0]))


def test_many_edits_of_few_films_are_all_in_the_history(review: Running, said: Said) -> None:
    """Four readers give readings on the newest version they know, at once."""
    films = review.client("read").get("/v1/films", params={"limit": 2}).json()["films"]
    accepted: list[tuple[str, int]] = []
    conflicts: list[dict[str, Any]] = []

    def edit(name: str) -> None:
        client = review.client("review", name=name)
        for number in range(15):
            film = films[number % 2]
            reading = {"findings": {}, "note": f"{name} {number}"}
            version = client.get(film["links"]["self"]).headers["etag"]
            headers = {"If-Match": version}
            answer = client.put(film["links"]["verdict"], json=reading, headers=headers)
            if answer.status_code == 201:
                accepted.append((film["id"], answer.json()["version"]))
            else:
                assert answer.status_code == 409
                conflicts.append(answer.json())

    threads = [threading.Thread(target=edit, args=(f"reader {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accepted) + len(conflicts) == 60
    assert len(accepted) == len(set(accepted))
    assert all(one["current"] and one["yours"]["note"] for one in conflicts)
    client = review.client("read")
    for film in films:
        history = client.get(film["links"]["history"]).json()["readings"]
        assert [one["version"] for one in history] == list(range(1, len(history) + 1))
        mine = {version for where, version in accepted if where == film["id"]}
        assert mine <= {one["version"] for one in history}
    code, out, _ = said("serve", "audit", review.store)
    assert code == 0
    assert out.split()[1].startswith("event")


@pytest.mark.parametrize("verb", ["audit", "export"])
def test_a_folder_that_is_no_store_is_refused(said: Said, tmp_path: Path, verb: str) -> None:
    more = ("-o", tmp_path / "out") if verb == "export" else ()
    code, _, err = said("serve", verb, tmp_path, *more)
    assert code == 2
    assert "a store must be a folder that `hilum serve` made" in err


def test_serve_says_what_it_needs(said: Said, tmp_path: Path) -> None:
    assert said("serve", "--results", tmp_path, "starter")[0] == 2
    code, _, err = said("serve", "--results", tmp_path, "--store", tmp_path / "store")
    assert (code, "must hold results.jsonl" in err) == (2, True)
    code, _, err = said(
        "serve", "--results", tmp_path, "--host", "0.0.0.0", "--store", tmp_path / "s"
    )
    assert (code, "needs a token" in err) == (2, True)
    code, _, err = said(
        "serve", "token", "add", "anna", "--scope", "revue", "--store", tmp_path / "t"
    )
    assert (code, "Did you mean 'review'?" in err) == (2, True)
