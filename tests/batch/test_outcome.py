"""Two films of one DICOM identity: the first by name keeps it, whichever was read first."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from hilum.batch.journal import Entry, Header, Journal, Recorded
from hilum.batch.run import BatchOutcome
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import ReasonCode, Status

HEADER = Header(bundle="0123456789ab", precision="f32", code_sha256="c0de")


def entry(name: str, uid: str = "", pixels: str = "") -> Entry:
    result = ImageResult(
        input=f"inbox/{name}",
        image_id=name,
        sha256=name * 3,
        status=Status.OK,
        patient="a pseudonym",
        findings={"Mass": FindingResult(probability=0.5, threshold=None, positive=None)},
        film=f"films/{name}.jpg",
        bundle="0123456789ab",
        precision="f32",
    )
    return Entry(key=name * 3, result=result, sop_instance_uid=uid, pixels_sha256=pixels)


def outcome(path: Path, *entries: Entry) -> BatchOutcome:
    with Journal(path, HEADER, Recorded()) as journal:
        for one in entries:
            journal.append(one)
        return BatchOutcome(journal, [one.result.input for one in entries])


TWINS = (
    entry("a", "1.2", "p"),
    entry("b", "1.2", "q"),
    entry("c", "1.2", "p"),
    entry("d", "1.3", "q"),
    entry("e"),
)


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_the_first_by_name_keeps_its_result_in_whatever_order(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    found = list(outcome(tmp_path / "journal", *(TWINS[place] for place in order), TWINS[4]))
    assert [result.image_id for result in found] == ["a", "b", "c", "d", "e"]
    rejected = found.pop(1)
    assert all(result.status is Status.OK for result in found)
    assert (rejected.status, rejected.codes) == (
        Status.REJECT,
        (ReasonCode.DUPLICATE_SOP_CONFLICT,),
    )
    assert rejected.sha256 == "bbb"
    assert "'a' shows another" in rejected.message


def test_who_is_rejected_for_its_identity_shows_its_film_and_no_score(tmp_path: Path) -> None:
    rejected = list(outcome(tmp_path / "journal", *TWINS))[1]
    assert (rejected.findings, rejected.film, rejected.heatmaps) == (None, "films/b.jpg", {})
    assert (rejected.patient, rejected.age_years) == ("", None)


def test_films_without_an_identity_are_never_twins(tmp_path: Path) -> None:
    found = outcome(tmp_path / "journal", entry("a", "", "p"), entry("b", "", "q"))
    assert {result.status for result in found} == {Status.OK}


def test_it_is_read_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    found = outcome(tmp_path / "journal", *TWINS)
    assert len(found) == len(TWINS)
    assert list(found) == list(found)
    assert list(found)[1] in found
    assert TWINS[1].result not in found
