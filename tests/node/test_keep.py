"""Bytes go by age, and never before they were sent; rows and states stay."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from hilum.node.books import NodeBooks
from hilum.node.keep import Keeper
from hilum.node.outbox import Outbox, overview
from hilum.node.records import BuiltObject, FilmOutcome, FilmState, Receipt, ReceivedFilm, Refused
from hilum.node.settings import Keeping
from hilum.node.spool import Spool
from hilum.node.start import running

DAY_S = 86400.0
FILM, OBJECT, REFUSED = "a1" * 32, "b2" * 32, "c3" * 32


class Kept:
    """Books with one scored film, its object, and a refusal; and their files."""

    def __init__(self, root: Path, destinations: tuple[str, ...] = ("pacs",)) -> None:
        self.spool = Spool(root, 10**9, 0)
        self.books = NodeBooks(root)
        self.outbox = Outbox(self.books.database)
        self.spool.write(b"film", self.spool.film(FILM))
        self.spool.write(b"object", self.spool.object(OBJECT))
        self.spool.write(b"refused", self.spool.refused(REFUSED))
        self.books.receive(self.film)
        self.books.refuse(Refused("1.9", REFUSED, 7, 0xC000, "NOT_READABLE"))
        run = self.books.begin(1)
        assert run is not None
        made = BuiltObject(1, "sr", "2.25.1", "2.25.2", "1.2", "1.2.840.10008.1.2.1", OBJECT, 6)
        outcome = FilmOutcome(1, FilmState.COMPLETE, "", "{}")
        self.books.finish(run, [outcome], [made], destinations)

    film = ReceivedFilm("1.2.3", "1.2", FILM, 4, "p")

    def keeper(self, **days: float) -> Keeper:
        return Keeper(Keeping(**days), self.books.database, self.spool)

    def after(self, days: float, **ages: float) -> set[str]:
        """What is still there after some days."""
        self.keeper(**ages).sweep(time.time() + days * DAY_S)
        places = {"film": FILM, "object": OBJECT, "refused": REFUSED}
        return {name for name, one in places.items() if getattr(self.spool, name)(one).exists()}

    def send(self, how: str) -> None:
        (one,) = self.outbox.take("pacs", set(), 9, 1e9)
        {
            "sent": lambda: self.outbox.confirm(one, 0, ""),
            "failed": lambda: self.outbox.fail(one, 0xC000, ""),
            "waiting": lambda: self.outbox.put_off(one, 0xA700, ""),
            "sending": lambda: None,
        }[how]()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "spool")
    yield made
    made.books.close()


AGES = {"received_days": 7, "results_days": 30}


@pytest.mark.parametrize("state", ["waiting", "sending", "failed"])
def test_nothing_goes_before_it_was_sent(kept: Kept, state: str) -> None:
    kept.send(state)
    assert kept.after(10_000, **AGES) == {"film", "object"}  # nobody waits for what was refused


def test_bytes_go_at_their_age_and_rows_stay(kept: Kept) -> None:
    kept.send("sent")
    assert kept.after(6.9, **AGES) == {"film", "object", "refused"}
    assert kept.after(7.1, **AGES) == {"object"}
    assert kept.after(29.9, **AGES) == {"object"}
    before = overview(kept.books.database)
    assert kept.after(30.1, **AGES) == set()
    assert kept.spool.held == 0
    assert overview(kept.books.database) == before
    assert (before.films, before.destinations) == ({"complete": 1}, {"pacs": {"sent": 1}})
    # the same film once more is known, and so is what the archive sends back
    assert kept.books.receive(kept.film) is Receipt.SAME
    assert kept.books.is_result("2.25.1")


def test_without_an_age_everything_stays(kept: Kept) -> None:
    kept.send("sent")
    assert kept.after(10_000) == {"film", "object", "refused"}
    assert kept.after(10_000, results_days=1) == {"film", "refused"}


def test_what_no_destination_was_to_get_stays(tmp_path: Path) -> None:
    alone = Kept(tmp_path / "spool", destinations=())
    assert alone.after(10_000, **AGES) == {"film", "object"}
    alone.books.close()


def test_a_late_film_of_another_patient_is_seen_when_the_first_is_gone(kept: Kept) -> None:
    kept.send("sent")
    kept.after(8, **AGES)
    kept.books.receive(ReceivedFilm("1.2.4", "1.2", "d4" * 32, 4, "another"))
    run = kept.books.begin(1)
    assert run is not None
    assert (run.conflicted, [film.number for film in run.films]) == (True, [2])


def test_a_kill_between_row_and_file_leaves_no_file(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.send("sent")
    monkeypatch.setattr(kept.spool, "remove", lambda _place: None)
    assert kept.after(40, **AGES) == {"film", "object", "refused"}
    kept.spool.tidy(*kept.books.files())
    monkeypatch.undo()
    assert not kept.spool.film(FILM).exists()
    assert not kept.spool.object(OBJECT).exists()


@effort(max_examples=12, deadline=None)
@given(
    states=st.lists(
        st.sampled_from(["sent", "confirmed", "unconfirmed", "failed", "waiting", "sending"]),
        max_size=3,
    ),
    days=st.floats(0, 60),
)
def test_what_is_not_sent_to_all_is_whole(
    states: list[str], days: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law: whatever the states and the age, an object that some destination lacks is there."""
    names = tuple(f"to{place}" for place in range(len(states)))
    one = Kept(tmp_path_factory.mktemp("spool"), destinations=names)
    try:
        for name, state in zip(names, states, strict=True):
            one.books.database.write(
                lambda connection, name=name, state=state: connection.execute(
                    "UPDATE delivery SET state=? WHERE destination=?", (state, name)
                )
            )
        left = one.after(days, **AGES)
        if not states or set(states) - {"sent", "confirmed"}:
            assert left >= {"film", "object"}
        else:
            assert ("film" in left, "object" in left) == (days < 7, days < 30)
    finally:
        one.books.close()


def test_a_node_removes_by_itself(
    kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    rules = kit.settings(tmp_path / "spool", peer, keep={"received_days": 1e-9})
    with running(rules, work) as one:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(lambda: overview(one.books.database).destinations == {"pacs0": {"sent": 1}}, "it")
    with running(rules, work) as one:
        kit.until(lambda: not list((rules.spool / "films").glob("??/*")), "the film gone")
        assert overview(one.books.database).films == {"complete": 1}
        assert len(list((rules.spool / "objects").glob("??/*"))) == 1
