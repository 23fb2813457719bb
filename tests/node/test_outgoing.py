"""What a destination gets: an older class of report, plain pixels, or no patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from hilum.domain.errors import UsageError
from hilum.explain.files import PictureFormat
from hilum.explain.request import Pictures
from hilum.interchange.deidentify.pseudonyms import KeyedSecrets, name_of, new_uid
from hilum.node.outbox import overview
from hilum.node.outgoing import Outgoing
from hilum.node.peers import Destination
from hilum.node.spool import Spool
from hilum.node.start import running

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PATIENT = (b"Canary", b"CANARY-8812", b"1.2.826.0.1.3680043.8.498")


@pytest.fixture(autouse=True)
def _inline_export(inline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilum.node.outgoing.ReaderProcess", inline)


def test_an_archive_gets_the_class_of_report_that_it_takes(
    kit: Any, work: Any, pixels: Any, tmp_path: Path
) -> None:
    old = kit.Peer(kit.free_port())
    old.start((ENHANCED,))
    rules = kit.settings(tmp_path / "spool", old)
    (one,) = rules.destinations
    rules = rules.model_copy(update={"destinations": (one.model_copy(update={"sr": "enhanced"}),)})
    with running(rules, work) as node:
        modality = kit.Modality(rules.listen.dicom.port)
        modality.send(kit.film(pixels, 1))
        kit.until(lambda: len(old.objects) == 1, "a report")
        modality.send(kit.film(pixels, 2))
        kit.until(lambda: len(old.objects) == 3, "two more")
        assert overview(node.books.database).failures == []
    old.stop()
    reports = old.datasets()
    assert {str(report.SOPClassUID) for report in reports} == {ENHANCED}
    named = kit.predecessors(reports)
    assert named <= set(old.objects)
    assert len(named) == 1
    assert list((rules.spool / "tmp").iterdir()) == []


@pytest.mark.parametrize("stored", [PictureFormat.PNG, PictureFormat.JPEG])
def test_a_peer_without_compression_gets_plain_pixels(
    kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path, stored: PictureFormat
) -> None:
    objects = replace(work.objects, kinds=("sc",), pictures=Pictures(stored=stored))
    rules = kit.settings(tmp_path / "spool", peer, results={"kinds": ["sc"]})
    with running(rules, replace(work, objects=objects)):
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(lambda: peer.objects, "a picture")
    (kept,) = (rules.spool / "objects").glob("??/*")
    before = dcmread(kept)
    assert before.file_meta.TransferSyntaxUID == (
        JPEGLSLossless if stored is PictureFormat.PNG else JPEGBaseline8Bit
    )
    (after,) = peer.datasets()
    after.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    assert after.SOPInstanceUID == before.SOPInstanceUID
    assert after.PhotometricInterpretation == "RGB"
    assert after.get("LossyImageCompression") == before.get("LossyImageCompression")
    assert np.array_equal(after.pixel_array, before.pixel_array)


def research(folder: Path, text: str = "") -> Path:
    path = folder / "research.yaml"
    path.write_text(f"key: research.key\n{text}")
    return path


def test_research_gets_no_patient_and_others_do(
    kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    apart = kit.Peer(kit.free_port())
    apart.start()
    objects = replace(work.objects, kinds=("sr", "sc", "pr"))
    rules = kit.settings(tmp_path / "spool", peer, apart, results={"kinds": ["sr", "sc", "pr"]})
    clinical, other = rules.destinations
    other = other.model_copy(update={"deidentify": research(tmp_path)})
    rules = rules.model_copy(update={"destinations": (clinical, other)})
    with running(rules, replace(work, objects=objects)) as node:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(
            lambda: (
                overview(node.books.database).destinations
                == {"pacs0": {"sent": 3}, "pacs1": {"failed": 1, "sent": 2}}
            ),
            "sent to both",
        )
        (failure,) = overview(node.books.database).failures
    apart.stop()
    assert failure["words"] == "not de-identified: SECONDARY_CAPTURE"
    for data in apart.objects.values():
        assert not [word for word in PATIENT if word in data]
    secrets = KeyedSecrets((tmp_path / "research.key").read_bytes())
    for one in apart.datasets():
        assert one.PatientID == name_of(secrets, "CANARY-8812")
        assert one.StudyInstanceUID == new_uid(secrets, f"{kit.ROOT}5.1")
        assert one.PatientIdentityRemoved == "YES"
        assert one.SOPInstanceUID in {
            new_uid(secrets, str(before.SOPInstanceUID)) for before in peer.datasets()
        }
    assert all(PATIENT[0] in data for data in peer.objects.values())


def test_pixels_are_cleaned_where_the_file_says_so(
    kit: Any, work: Any, peer: Any, pixels: Any, tmp_path: Path
) -> None:
    objects = replace(work.objects, kinds=("sc",))
    rules = kit.settings(tmp_path / "spool", peer, results={"kinds": ["sc"]})
    (one,) = rules.destinations
    one = one.model_copy(update={"deidentify": research(tmp_path, "clean_pixels: true\n")})
    rules = rules.model_copy(update={"destinations": (one,)})
    with running(rules, replace(work, objects=objects)) as node:
        kit.Modality(rules.listen.dicom.port).send(kit.film(pixels, 1))
        kit.until(
            lambda: (
                {"sent", "failed"}
                & overview(node.books.database).destinations.get("pacs0", {}).keys()
            ),
            "an end",
        )
        assert overview(node.books.database).failures == []
    assert not [word for data in peer.objects.values() for word in PATIENT if word in data]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keep: [everything]\n", "--keep must be one of"),
        ("kep: [dates]\n", "research.yaml:2: kep"),
        ("keep: [dates, dates-shifted]\n", "not both"),
    ],
)
def test_a_wrong_file_is_refused_at_the_start(tmp_path: Path, text: str, words: str) -> None:
    place = {"name": "it", "host": "127.0.0.1", "port": 1, "ae_title": "PEER"}
    one = Destination.model_validate({**place, "deidentify": research(tmp_path, text)})
    with pytest.raises(UsageError) as refused:
        Outgoing(one, Spool(tmp_path / "spool", 10**9, 0))
    assert words in str(refused.value)
