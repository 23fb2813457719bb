"""The books: versions, the hash chain, tokens, the list, and the bytes of films."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="hilum[serve] is not installed")

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import ReasonCode, Status, UsageError
from hilum.report.batch.results_jsonl import line_of, result_of
from hilum.service.folder import load_folder
from hilum.service.objects import FilmObjects, TooLargeError
from hilum.service.parts import DATABASE, Store, open_store
from hilum.service.store.events import verify_chain
from hilum.service.store.films import NewFilm, NewResult
from hilum.service.store.verdicts import NewVerdict, StaleVersionError, StoredVerdicts
from hilum.service.store.worklist import Worklist, WorklistQuery, WorklistState


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


def film(number: int) -> NewFilm:
    return NewFilm(f"{number:024x}", f"{number:064x}", f"film{number:03}.png", ".png", 10, "b1")


def result(priority: float | None, positives: tuple[str, ...] = ()) -> NewResult:
    status = "error" if priority is None else "ok"
    scores = {} if priority is None else {"Mass": priority}
    return NewResult("b1", "t1", "{}", status, "PA", "", priority, positives, (), scores)


def verdict(film: str, reader: str = "R1", base: int = 0, word: str = "present") -> NewVerdict:
    body = {"findings": {"Mass": word}}
    return NewVerdict(film, reader, base, False, "b1", "t1", body, [("Mass", 0.1, 0.1, 0.2, 0.2)])


def filled(store: Store, count: int) -> list[str]:
    for number in range(count):
        assert store.films.add(film(number), "R1")
        priority = None if number % 5 == 4 else (number * 7 % count) - 3.0
        positives = ("Mass",) if priority is not None and priority >= 0 else ()
        store.films.finish(film(number).id, result(priority, positives))
    return [film(number).id for number in range(count)]


def altered(store: Store, statement: str) -> str:
    """What the check says after somebody wrote to the file."""
    with sqlite3.connect(store.root / DATABASE) as other:
        assert other.execute(statement).rowcount > 0
    other.close()
    return verify_chain(store.database).fault


def test_a_film_is_added_once_and_finished_once(store: Store) -> None:
    assert store.films.add(film(1), "R1")
    assert not store.films.add(film(1), "R1")
    assert store.films.unfinished() == [film(1).id]
    store.films.finish(film(1).id, result(1.0))
    store.films.finish(film(1).id, replace(result(2.0), line='{"other":1}'))
    kept = store.films.film(film(1).id)
    assert kept is not None
    assert kept.line == "{}"
    assert store.films.unfinished() == []


def test_another_bundle_queues_a_film_again_and_keeps_the_result_before(store: Store) -> None:
    filled(store, 1)
    assert store.films.add(replace(film(0), bundle="b2"), "R1")
    store.films.finish(film(0).id, replace(result(0.5), bundle="b2", line='{"b":2}'))
    assert store.films.line(film(0).id, "b1") == "{}"
    assert store.films.line(film(0).id, "b2") == '{"b":2}'


def test_a_reading_on_an_old_version_is_refused_and_nothing_is_lost(store: Store) -> None:
    (first,) = filled(store, 1)
    verdicts = StoredVerdicts(store.database, apart=False)
    assert verdicts.add(verdict(first)).version == 1
    with pytest.raises(StaleVersionError) as stale:
        verdicts.add(verdict(first, "R2", 0, "absent"))
    assert stale.value.current == 1
    verdicts.add(verdict(first, "R2", 1, "absent"))
    assert [one.version for one in verdicts.history(first)] == [1, 2]
    read = store.films.film(first)
    assert read is not None
    assert (read.readings, read.conflict) == (2, True)


def test_readers_apart_do_not_follow_each_other_at_first(store: Store) -> None:
    (first,) = filled(store, 1)
    verdicts = StoredVerdicts(store.database, apart=True)
    verdicts.add(verdict(first, "R1", 0))
    assert verdicts.current(first, "R2") == 0
    assert verdicts.add(verdict(first, "R2", 0)).version == 2
    assert verdicts.current(first, "R2") == 2


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE event SET detail=replace(detail,'R1','R2') WHERE number=3", "event 3"),
        ("UPDATE event SET at=at+1 WHERE number=2", "event 2: it was changed"),
        ("DELETE FROM event WHERE number=2", "number 2 is missing"),
        ("UPDATE event SET actor='R9' WHERE number=4", "event 4"),
        ("UPDATE verdict SET body=replace(body,'present','absent')", "the reading it records"),
        ("DELETE FROM verdict", "the reading that it records is missing"),
        ("UPDATE result SET line='{ }' WHERE rowid=1", "the result it records was changed"),
        (
            "INSERT INTO verdict SELECT NULL,film,9,reader,made,blinded,bundle,thresholds,body "
            "FROM verdict",
            "no event records this reading",
        ),
    ],
)
def test_the_first_altered_event_is_named(store: Store, statement: str, fault: str) -> None:
    store.tokens.add("anna", ["review"])
    (first, _) = filled(store, 2)
    StoredVerdicts(store.database, apart=False).add(verdict(first))
    sound = verify_chain(store.database)
    assert (sound.fault, sound.events) == ("", 6)
    if "replace(detail" in statement:
        statement = "UPDATE event SET detail=detail||' ' WHERE number=3"
    assert fault in altered(store, statement)


def test_a_deleted_film_leaves_a_tombstone_and_a_sound_chain(store: Store) -> None:
    (first, _) = filled(store, 2)
    verdicts = StoredVerdicts(store.database, apart=False)
    verdicts.add(verdict(first))
    store.films.delete(first, "R1")
    assert store.films.film(first) is None
    assert verdicts.history(first) == []
    assert verify_chain(store.database).fault == ""
    assert store.films.add(film(0), "R1")
    store.films.finish(first, replace(result(1.0), line='{"a":1}'))
    verdicts.add(verdict(first))
    assert verify_chain(store.database).fault == ""


@pytest.mark.parametrize("sort", ["priority", "name", "-name", "added", "status", "finding:Mass"])
def test_pages_hold_each_film_once_in_one_order(store: Store, sort: str) -> None:
    ids = filled(store, 23)
    worklist = Worklist(store.database, ["Mass"])
    query, seen = WorklistQuery("R1", sort=sort, limit=4), list[str]()
    whole = worklist.page(replace(query, limit=200))
    while True:
        page = worklist.page(query)
        seen += [one.film.id for one in page.films]
        if not page.cursor:
            break
        query = replace(query, cursor=page.cursor)
    assert seen == [one.film.id for one in whole.films]
    assert sorted(seen) == sorted(ids)


@pytest.mark.parametrize("sort", ["priority", "name", "added", "status", "finding:Mass"])
def test_lists_are_made_from_indexes(
    store: Store, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of results are read for the films of one page alone."""
    filled(store, 3)
    asked: list[tuple[str, Any]] = []
    one, every = store.database.one, store.database.all

    def noted_one(query: str, values: Any = ()) -> Any:
        asked.append((query, values))
        return one(query, values)

    def noted_all(query: str, values: Any = ()) -> Any:
        asked.append((query, values))
        return every(query, values)

    monkeypatch.setattr(store.database, "one", noted_one)
    monkeypatch.setattr(store.database, "all", noted_all)
    worklist = Worklist(store.database, ["Mass"])
    query = WorklistQuery("R1", sort=sort, limit=1, finding="Mass", view="PA")
    for state in WorklistState:
        worklist.page(replace(query, state=state))
    worklist.counts("R1")
    worklist.page(WorklistQuery("R1", sort=sort))
    monkeypatch.undo()
    steps = list[str]()
    for text, values in asked:
        steps = [row["detail"] for row in store.database.all(f"EXPLAIN QUERY PLAN {text}", values)]
        of_results = [step for step in steps if step.split()[1] == "r"]
        assert [step for step in of_results if "COVERING INDEX result_listed" in step]
        others = [step for step in of_results if "COVERING" not in step]
        assert len(others) == text.count("r.line")
        assert all("SEARCH r USING INDEX" in step for step in others)
    assert any(f"film_{sort}" in step for step in steps) == (sort in ("name", "added"))


def test_the_list_begins_with_unread_films_by_margin(store: Store) -> None:
    ids = filled(store, 10)
    StoredVerdicts(store.database, apart=False).add(verdict(ids[0]))
    worklist = Worklist(store.database, ["Mass"])
    page = worklist.page(WorklistQuery("R1", limit=200))
    assert page.films[-1].film.id == ids[0]
    priorities = [one.priority for one in page.films[:-1]]
    known = [one for one in priorities if one is not None]
    assert known == sorted(known, reverse=True)
    assert priorities[len(known) :] == [None] * (len(priorities) - len(known))
    counts = worklist.counts("R1")
    assert (counts[WorklistState.ALL], counts[WorklistState.UNREAD]) == (10, 9)
    assert counts[WorklistState.NOT_SCORED] == 2
    for state in WorklistState:
        found = worklist.page(WorklistQuery("R1", state=state, limit=200)).films
        assert len(found) == counts[state], state


@pytest.mark.parametrize("query", [{"sort": "size"}, {"finding": "Edema"}, {"cursor": "xx"}])
def test_a_list_that_cannot_be_is_refused(store: Store, query: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Worklist(store.database, ["Mass"]).page(WorklistQuery("R1", **query))


def test_threads_that_end_leave_no_file_open(store: Store) -> None:
    """A server's threads come and go for weeks."""
    filled(store, 3)
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not list open files")

    def books() -> int:
        links = (os.path.realpath(path) for path in folder.iterdir())
        own = [link for link in links if Path(link).is_relative_to(store.objects.root.resolve())]
        return sum(link.endswith((DATABASE, "-wal")) for link in own)

    for _ in range(12):
        together = threading.Barrier(6)

        def look(together: threading.Barrier = together) -> None:
            together.wait(30)
            for _ in range(20):
                assert len(store.films.unfinished()) == 0

        threads = [threading.Thread(target=look) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= books() <= 2 * (8 + 1)


def test_tokens_are_kept_as_hashes_and_die_with_their_revocation(store: Store) -> None:
    secret = store.tokens.add("anna", ["review"])
    found = store.tokens.find(secret)
    assert found is not None
    assert found.reader == "R1"
    begun = store.tokens.session(secret)
    assert begun is not None
    assert store.tokens.find(begun[0], session=True) is not None
    assert store.tokens.find(begun[0]) is None
    assert store.tokens.revoke("anna") == 1
    assert store.tokens.find(secret) is None
    assert store.tokens.find(begun[0], session=True) is None
    stored = (store.root / DATABASE).read_bytes() + (store.root / f"{DATABASE}-wal").read_bytes()
    assert secret.encode() not in stored
    assert begun[0].encode() not in stored


def test_a_link_works_once(store: Store) -> None:
    once = store.tokens.once()
    assert store.tokens.find(once) is None
    assert store.tokens.session(once) is not None
    assert store.tokens.session(once) is None


def test_names_have_one_pseudonym_each(store: Store) -> None:
    for name in ("anna", "ben", "anna"):
        store.tokens.add(name, ["read"])
    assert [one.reader for one in store.tokens.all()] == ["R1", "R2", "R1"]


OPENED = Path("/proc/self/fd")


@pytest.mark.skipif(not OPENED.exists(), reason="the system does not tell which files are open")
def test_many_who_read_at_a_time_open_few_files(store: Store) -> None:
    """SQLite keeps the file of a closed connection open while others are."""
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<10000)"
    query = f"{slow} SELECT COUNT(*) FROM n"
    found: list[int] = []

    def read() -> None:
        row = store.database.one(query)
        found.append(0 if row is None else row[0])

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [10000] * 40
    names = [str(one.readlink()) for one in OPENED.iterdir() if one.is_symlink()]
    assert names.count(str(store.database.path)) <= 9


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_bytes_are_kept_under_their_hash_or_not_at_all(tmp_path: Path) -> None:
    objects = FilmObjects(tmp_path)
    kept = asyncio.run(objects.receive(pieces(b"ab", b"c"), 3))
    assert objects.film(kept.sha256).read_bytes() == b"abc"
    with pytest.raises(TooLargeError):
        asyncio.run(objects.receive(pieces(b"ab", b"cd"), 3))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sum(path.is_file() for path in (tmp_path / "objects").rglob("*")) == 1


def test_a_folder_of_something_else_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="hilum serve"):
        open_store(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"not a database, whatever it is called" * 99)
    with pytest.raises(UsageError, match="a store must be one that hilum wrote"):
        open_store(tmp_path)


def test_a_folder_with_a_name_that_is_not_utf8_is_loaded_whole(
    store: Store, tmp_path: Path
) -> None:
    """Python keeps such a byte as a lone surrogate, which pydantic's reader of JSON refuses."""
    named = ImageResult(
        input="in/b\udcff.png",
        image_id="b\udcff.png",
        sha256="0" * 64,
        status=Status.ERROR,
        codes=(ReasonCode.NOT_AN_IMAGE,),
        bundle="b1",
        precision="f32",
    )
    (tmp_path / "results.jsonl").write_text(f"{line_of(named)}\n", "ascii")
    load_folder(tmp_path, store.films)
    (film,) = Worklist(store.database, ()).page(WorklistQuery("R1")).films
    row = store.films.film(film.film.id)
    assert row is not None
    assert row.name == "b\\xff.png"
    assert result_of(row.line) == named
