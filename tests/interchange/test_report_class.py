"""Reports of an older class hold the same, are valid, and name each other as they were sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

pytest.importorskip("highdicom", reason="hilum[dicom] is not installed")

from hilum.interchange import FilmResults
from hilum.interchange.parts.modules import file_bytes
from hilum.interchange.parts.report_class import REPORT_CLASSES, change_class

KINDS = ("sr", "region")


def changed(data: bytes, word: str) -> bytes:
    report = dcmread(BytesIO(data))
    change_class(report, REPORT_CLASSES[word])
    return file_bytes(report)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", ["comprehensive", "enhanced"])
def test_it_is_valid_and_says_the_same(
    film_results: Callable[..., FilmResults],
    file_of: Any,
    dciodvfy: Callable[[bytes], list[str]],
    kind: str,
    word: str,
) -> None:
    data = file_of(film_results(), kind)
    made = changed(data, word)
    assert made == changed(data, word) != data
    assert dciodvfy(made) == dciodvfy(data) == []
    before, after = dcmread(BytesIO(data)), dcmread(BytesIO(made))
    assert after.SOPClassUID == after.file_meta.MediaStorageSOPClassUID == REPORT_CLASSES[word]
    assert after.SOPInstanceUID not in (before.SOPInstanceUID, "")
    for one in (before, after):
        del one.SOPClassUID, one.SOPInstanceUID
    assert before == after


def test_what_it_replaces_is_named_as_it_was_sent(
    film_results: Callable[..., FilmResults], file_of: Any
) -> None:
    film = film_results()
    first = file_of(film, "sr")
    head = dcmread(BytesIO(first))
    later = replace(
        film,
        revision=2,
        predecessor=str(head.SOPInstanceUID),
        predecessor_series=str(head.SeriesInstanceUID),
    )

    def named(report: Dataset) -> tuple[str, str]:
        series = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        item = series.ReferencedSOPSequence[0]
        return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)

    sent = dcmread(BytesIO(changed(first, "enhanced")))
    after = dcmread(BytesIO(changed(file_of(later, "sr"), "enhanced")))
    assert named(after) == (str(sent.SOPClassUID), str(sent.SOPInstanceUID))


@pytest.mark.parametrize("kind", ["sc", "pr"])
def test_other_objects_stay(
    film_results: Callable[..., FilmResults], file_of: Any, kind: str
) -> None:
    data = file_of(film_results(), kind)
    assert changed(data, "enhanced") == data
