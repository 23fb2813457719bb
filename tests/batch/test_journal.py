"""The journal: what was appended is what is read, a torn end is dropped, damage is named."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.batch.journal import Entry, Header, Journal, Recorded, read_entry, read_journal
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import ReasonCode, Status, UsageError

HEADER = Header(
    bundle="0123456789ab", precision="f32", code_sha256="c0de", options={"style": "hot"}
)
LONG = 40


def entry(name: str, probability: float = 0.1, film: str | None = None) -> Entry:
    findings = {"Mass": FindingResult(probability=probability, threshold=None, positive=None)}
    result = ImageResult(
        input=name,
        image_id=name,
        sha256="5a",
        status=Status.WARN,
        codes=(ReasonCode.RANGE_INFERRED,),
        findings=findings,
        film=film,
        heatmaps={"Mass": f"overlays/{name}__Mass.png"} if film else {},
        bundle="0123456789ab",
        precision="f32",
    )
    return Entry(key="5a", result=result)


def write(path: Path, *entries: Entry, recorded: Recorded | None = None) -> None:
    with Journal(path, HEADER, recorded or Recorded()) as journal:
        for one in entries:
            journal.append(one)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of three inputs."""
    path = tmp_path / "journal.jsonl"
    write(path, entry("a"), entry("b", film="films/b.jpg"), entry("c"))
    return path


def inputs(path: Path) -> list[str]:
    found = read_journal(path, HEADER)
    assert found is not None
    return list(found.places)


def entries(path: Path) -> dict[str, Entry]:
    """The entries that a journal is read to hold, each from its place."""
    found = read_journal(path, HEADER)
    assert found is not None
    with path.open("rb") as file:
        return {name: read_entry(file, place) for name, place in found.places.items()}


def test_where_there_is_none_nothing_is_said(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal.jsonl", HEADER) is None


names = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8) | st.binary(
    min_size=1, max_size=8
).map(os.fsdecode)


@given(st.dictionaries(names, st.floats(0, 1), max_size=4))
@settings(max_examples=25, deadline=None)
def test_what_is_read_is_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, float]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    appended = [entry(name, probability) for name, probability in said.items()]
    write(path, *appended)
    assert list(entries(path).values()) == appended
    found = read_journal(path, HEADER)
    assert found is not None
    assert found.end == path.stat().st_size


def test_lines_are_those_that_were_promised(path: Path) -> None:
    header, *lines = path.read_bytes().splitlines()
    assert len(lines) == 3
    for line in (header, *lines):
        crc, body = line.split(b" ", 1)
        assert crc == b"%08x" % zlib.crc32(body)
    assert json.loads(header[9:]) == HEADER.model_dump()
    assert Entry.model_validate(json.loads(lines[0][9:])) == entry("a")


def test_each_line_is_with_the_system_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEADER, Recorded()) as journal:
        for done in range(3):
            assert len(inputs(path)) == done
            journal.append(entry(str(done)))


def test_the_disk_is_waited_for_every_32_lines_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    path = tmp_path / "journal.jsonl"
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes().count(b"\n")))
    write(path, *(entry(str(number)) for number in range(LONG)))
    assert synced == [1, 32, LONG + 1]  # the first is the folder's


def test_going_on_appends(path: Path) -> None:
    found = read_journal(path, HEADER)
    before = path.read_bytes()
    write(path, entry("d"), recorded=found)
    assert path.read_bytes().startswith(before)
    assert inputs(path) == ["a", "b", "c", "d"]


def test_the_last_line_of_an_input_counts_and_no_picture_is_forgotten(path: Path) -> None:
    write(path, entry("b", 0.7), recorded=read_journal(path, HEADER))
    assert entries(path)["b"] == entry("b", 0.7)
    found = read_journal(path, HEADER)
    assert found is not None
    assert found.superseded == {"films/b.jpg", "overlays/b__Mass.png"}


def test_what_is_finished_can_be_looked_up_while_it_runs(path: Path) -> None:
    with Journal(path, HEADER, read_journal(path, HEADER) or Recorded()) as journal:
        journal.append(entry("b", 0.7))
        assert journal.of("a") == entry("a")
        assert journal.of("b") == entry("b", 0.7)
        assert journal.of("nobody") is None
        assert list(journal) == [entry("a"), entry("b", 0.7), entry("c")]
        assert journal.superseded == {"films/b.jpg", "overlays/b__Mass.png"}


def test_a_torn_end_is_dropped_wherever_it_is_torn(path: Path) -> None:
    whole = path.read_bytes()
    ends = [0]
    for line in whole.splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = read_journal(path, HEADER)
        assert found is not None
        assert found.end == max(end for end in ends if end <= cut)
        assert len(found.places) == max(0, ends.index(found.end) - 1)
        if cut % 97 == 0:  # and is cut off before anything is appended
            left = list(found.places)
            write(path, entry("z"), recorded=found)
            assert inputs(path) == [*left, "z"]


def test_a_last_line_with_another_checksum_is_dropped(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\n")
    assert inputs(path) == ["a", "b"]


@pytest.mark.parametrize("line", [1, 2, 3])
def test_damage_before_the_end_is_named(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(0, len(lines[line - 1]) - 1, 7):  # without its end, lines 3 and 4 are one
        for damaged in (
            bytes([lines[line - 1][at] ^ 1]).join(
                (lines[line - 1][:at], lines[line - 1][at + 1 :])
            ),
            lines[line - 1][:at] + lines[line - 1][at + 1 :],
            b"\n",
        ):
            path.write_bytes(b"".join([*lines[: line - 1], damaged, *lines[line:]]))
            with pytest.raises(
                UsageError, match=rf"journal\.jsonl, line {line} is damaged"
            ) as said:
                read_journal(path, HEADER)
            assert "\n" not in str(said.value)


def test_a_line_that_says_something_else_is_damage(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for body in (b"[]", b'{"key":1}', b"{", b"\xff"):
        foreign = b"%08x %b\n" % (zlib.crc32(body), body)
        path.write_bytes(b"".join([*lines[:2], foreign, *lines[2:]]))
        with pytest.raises(UsageError, match="line 3 is damaged"):
            read_journal(path, HEADER)


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for data in (b"my own notes", b"my own notes\n", b"\0"):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=r"line 1 is damaged\. Remove the journal"):
            read_journal(path, HEADER)
        assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"bundle": "ba9876543210"}, "bundle"),
        ({"precision": "bf16", "code_sha256": "other"}, "code_sha256, precision"),
        ({"options": {"style": "jet", "panel": "yes"}}, "panel, style"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_another_header_is_refused_with_what_differs(
    path: Path, changes: dict[str, object], keys: str
) -> None:
    with pytest.raises(UsageError, match=rf"another {keys}\. Name another folder") as said:
        read_journal(path, HEADER.model_copy(update=changes))
    assert "\n" not in str(said.value)
