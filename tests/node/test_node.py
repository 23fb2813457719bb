"""A film goes in by C-STORE, and its report comes out at each peer, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.node.outbox import forget, overview, retry
from hilum.node.start import running
from hilum.reading.process import ReaderProcess

pytestmark = [  # pynetdicom's sender does not close a socket that could not connect
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def numbers(report: Any) -> list[float]:
    """Every measured value of a report, in order."""
    found: list[float] = []
    for item in report.get("ContentSequence", ()):
        if item.ValueType == "NUM":
            found.append(float(item.MeasuredValueSequence[0].NumericValue))
        found += numbers(item)
    return found


def test_a_film_comes_back_as_a_report_and_a_late_one_makes_a_second_revision(
    kit: Any, node: Any, peer: Any, pixels: Any
) -> None:
    one, modality = node
    assert modality.send(kit.film(pixels, 1)) == [0x0000]
    (first,) = kit.until(peer.datasets, "a report")
    assert (first.StudyInstanceUID, first.PatientID) == (f"{kit.ROOT}5.1", "CANARY-8812")
    row = json.loads(one.books.database.one("SELECT line FROM film")[0])
    shares = [finding["probability"] for finding in row["findings"].values()]
    assert numbers(first) == pytest.approx([100 * share for share in shares], abs=0.01)
    assert "CANARY" not in json.dumps(row)
    assert "PredecessorDocumentsSequence" not in first

    assert modality.send(kit.film(pixels, 2)) == [0x0000]
    kit.until(lambda: len(peer.objects) == 3, "two more reports")
    before = [
        report.PredecessorDocumentsSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0]
        .ReferencedSOPInstanceUID
        for report in peer.datasets()
        if "PredecessorDocumentsSequence" in report
    ]
    assert before == [first.SOPInstanceUID]
    assert set(peer.times.values()) == {1}
    # what the archive sends back is known again
    classes = (str(first.SOPClassUID),)
    first.file_meta = kit.film(pixels, 1).file_meta
    assert modality.send(first, contexts=classes) == [0x0000]
    kit.until(lambda: overview(one.books.database).studies == {"complete": 1}, "an end")
    assert overview(one.books.database).films == {"complete": 2, "ignored": 1}


def test_two_patients_in_a_study_get_nothing(kit: Any, node: Any, peer: Any, pixels: Any) -> None:
    one, modality = node
    films = kit.film(pixels, 1), kit.film(pixels, 2, PatientID="OTHER")
    assert modality.send(*films) == [0x0000, 0x0000]
    kit.until(lambda: overview(one.books.database).studies == {"failed": 1}, "a failure")
    assert overview(one.books.database).failures[0]["code"] == "PATIENT_CONFLICT"
    assert peer.objects == {}


def test_answers_of_a_peer_decide_what_is_sent_again(
    kit: Any, node: Any, peer: Any, pixels: Any
) -> None:
    one, modality = node
    peer.answers = [0xA700, 0xA700, 0xB000, 0xC001]
    modality.send(kit.film(pixels, 1))
    kit.until(lambda: peer.objects, "sent after two that were put off")
    kit.until(lambda: overview(one.books.database).destinations["pacs0"] == {"sent": 1}, "sent")
    words, tries = one.books.database.one("SELECT words, tries FROM delivery")
    assert (words, tries) == ("coercion of data elements", 3)
    modality.send(kit.film(pixels, 2, study=2))
    kit.until(lambda: overview(one.books.database).failures, "a failure")
    (failure,) = overview(one.books.database).failures
    assert (failure["status"], failure["words"], failure["tries"]) == (
        *("0xC001", "cannot understand"),
        1,
    )
    assert retry(one.books.database, failure["study"]) == (0, 1)
    kit.until(lambda: len(peer.objects) == 2, "sent again")
    assert forget(one.books.database, failure["study"]) is not None
    assert overview(one.books.database).films == {"complete": 1}


def test_a_dead_destination_holds_up_no_other_and_gets_all_later(
    kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    dead = kit.Peer(kit.free_port())
    rules = kit.settings(tmp_path / "spool", dead, peer)
    with running(rules, work) as one:
        modality = kit.Modality(rules.listen.dicom.port)
        modality.send(kit.film(pixels, 1), kit.film(pixels, 2, study=2))
        kit.until(lambda: len(peer.objects) == 2, "sent to the one that lives")
        assert overview(one.books.database).destinations["pacs0"].get("sent") is None
        dead.start()
        kit.until(lambda: len(dead.objects) == 2, "sent to the other later")
        dead.stop()
    assert dead.objects == peer.objects
    assert set(dead.times.values()) == {1}


def test_a_peer_that_takes_no_reports_fails_them_at_once(
    kit: Any, work: Any, pixels: Any, tmp_path: Path
) -> None:
    narrow = kit.Peer(kit.free_port())
    narrow.start(("1.2.840.10008.5.1.4.1.1.7",))
    rules = kit.settings(tmp_path / "spool", narrow)
    with running(rules, work) as one:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(lambda: overview(one.books.database).failures, "a failure")
        (failure,) = overview(one.books.database).failures
    narrow.stop()
    assert failure["words"] == "the peer does not take this kind of object"


def test_a_film_that_ends_its_reader_twice_is_failed_and_the_node_goes_on(
    kit: Any, node: Any, peer: Any, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, modality = node
    read, ended = ReaderProcess.read, []

    def crash(self: ReaderProcess, path: Path, *rest: Any, **options: Any) -> Any:
        if path.read_bytes().find(b"7.66") > 0:
            ended.append(path)
            raise FilmError(Status.ERROR, ReasonCode.DECODER_CRASHED, "it ended")
        return read(self, path, *rest, **options)

    monkeypatch.setattr(ReaderProcess, "read", crash)
    monkeypatch.setattr(ReaderProcess, "sha256", lambda *_: None)
    assert modality.send(kit.film(pixels, 66), kit.film(pixels, 2, study=2)) == [0, 0]
    kit.until(lambda: peer.objects, "the report of the other")
    kit.until(lambda: overview(one.books.database).films == {"complete": 1, "failed": 1}, "an end")
    assert len(ended) == 2
    assert overview(one.books.database).failures[1]["code"] == "DECODER_CRASHED"
