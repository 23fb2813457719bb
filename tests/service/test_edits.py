"""Readers who edit the same films at the same time: every accepted version is kept, once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")

from hilum.service.parts import open_store
from hilum.service.store.events import verify_chain

if TYPE_CHECKING:
    from conftest import Client, Running, Send

READERS = 4
JUDGMENTS = ("present", "absent", "uncertain")


class Editor(threading.Thread):
    """A reader who edits drawn films, each on the version that it saw last.

    Attributes:
        kept: what was accepted: film and version to the note.
        conflicts: edits that were answered with both versions.
        faults: what should not have been.
    """

    def __init__(self, client: Client, films: list[str], number: int, edits: int) -> None:
        super().__init__()
        self.client, self.films, self.number, self.edits = client, films, number, edits
        self.kept: dict[tuple[str, int], str] = {}
        self.conflicts = 0
        self.faults: list[str] = []

    def run(self) -> None:
        draw = np.random.default_rng((10, self.number))
        seen = dict.fromkeys(self.films, 0)
        for edit in range(self.edits):
            film = self.films[draw.integers(len(self.films))]
            note = f"reader {self.number}, edit {edit}"
            reading = {"findings": {"Mass": JUDGMENTS[draw.integers(3)]}, "note": note}
            answer = self.client.put(
                f"/v1/films/{film}/verdict",
                json=reading,
                headers={"If-Match": f'"{seen[film]}"'},
            )
            told = answer.json()
            if answer.status_code == 201:
                seen[film] = told["version"]
                self.kept[film, told["version"]] = note
            elif answer.status_code == 409:
                self.conflicts += 1
                newest = told["current"]
                if told["yours"]["note"] != note or newest["version"] <= seen[film]:
                    self.faults.append(answer.text)
                seen[film] = newest["version"]
            else:
                self.faults.append(f"{answer.status_code} {answer.text}")


def edited(running: Running, films: list[str], edits: int) -> None:
    names = [f"editor {number} of {edits}" for number in range(READERS)]
    editors = [
        Editor(running.client("review", name=name), films, number, edits // READERS)
        for number, name in enumerate(names)
    ]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
        assert editor.faults == []
    kept: dict[tuple[str, int], str] = {}
    for editor in editors:
        assert not kept.keys() & editor.kept.keys(), "one version was given to two"
        kept |= editor.kept
    assert len(kept) + sum(one.conflicts for one in editors) == edits // READERS * READERS
    assert any(one.conflicts for one in editors)
    client = running.client("read")
    for film in films:
        history = client.get(f"/v1/films/{film}/history").json()["readings"]
        found = {(film, one["version"]): one["note"] for one in history}
        assert len(found) == len(history)
        assert sorted(one["version"] for one in history) == list(range(1, len(history) + 1))
        assert found == {place: note for place, note in kept.items() if place[0] == film}
    opened = open_store(running.store, new=False)
    try:
        assert verify_chain(opened.database).fault == ""
    finally:
        opened.close()


def sent(running: Running, send: Send, count: int, end: str) -> list[str]:
    client = running.client("submit")
    return [
        send(client, f"no film {number} {end}".encode(), f"{number}.png").json()["id"]
        for number in range(count)
    ]


def test_readers_at_the_same_time_lose_nothing(scoring: Running, send: Send) -> None:
    edited(scoring, sent(scoring, send, 2, "few"), 60)


@pytest.mark.exhaustive
def test_a_thousand_edits_by_four_readers_lose_nothing(scoring: Running, send: Send) -> None:
    edited(scoring, sent(scoring, send, 10, "many"), 1000)
