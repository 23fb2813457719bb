"""A film that the gate rejects gets a report of the reason where the configuration says so."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.node.outbox import overview
from hilum.node.start import running

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def kinds_of(item: Any) -> list[str]:
    """The type of every content item below one."""
    return [
        kind
        for one in item.get("ContentSequence", ())
        for kind in (str(one.ValueType), *kinds_of(one))
    ]


def test_a_rejected_film_gets_a_reason_and_no_number(
    kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    work = replace(work, objects=replace(work.objects, kinds=("sr", "sc", "pr")))
    rules = kit.settings(tmp_path / "spool", peer, results={"kinds": ["sr"], "on_reject": "sr"})
    with running(rules, work) as node:
        modality = kit.Modality(rules.listen.dicom.port)
        modality.send(kit.film(pixels, 1, ViewPosition="LL"))
        kit.until(lambda: len(peer.objects) == 1, "a report")
        row = node.books.database.one("SELECT state, code FROM film")
        assert tuple(row) == ("complete", "VIEW_NOT_FRONTAL")
        modality.send(kit.film(pixels, 2, ViewPosition="LL"))
        kit.until(lambda: len(peer.objects) == 3, "two more")
        assert overview(node.books.database).failures == []
    reports = peer.datasets()
    for report in reports:
        assert (report.PatientID, report.Modality) == ("CANARY-8812", "SR")
        texts = [str(one.value) for one in report.iterall() if one.VR == "UT"]
        assert [text for text in texts if text.startswith("Not scored: VIEW_NOT_FRONTAL. ")]
        assert "NUM" not in kinds_of(report)
    named = kit.predecessors(reports)
    assert (len(named), named <= set(peer.objects)) == (1, True)
    for path in (rules.spool / "objects").glob("??/*"):
        check(path)


def check(path: Path) -> None:
    """Let those who wrote validators look at a report, where they are here."""
    assert dcmread(path).CompletionFlag == "COMPLETE"
    for command in (["dciodvfy", "-new"], ["dsrdump"]):
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        assert [line for line in lines if line.startswith(("Error", "E:"))] == []


def test_without_the_key_there_is_none(kit: Any, node: Any, peer: Any, pixels: Any) -> None:
    one, modality = node
    modality.send(kit.film(pixels, 1, ViewPosition="LL"))
    kit.until(lambda: overview(one.books.database).studies == {"complete": 1}, "an end")
    assert overview(one.books.database).destinations == {}
