"""Folders as they are: films under any name, own results among them, and earlier batches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from hilum import Bundle
from hilum.batch.inputs import PassedOver, image_ids, list_films
from hilum.batch.patients import Patients, Phi
from hilum.batch.run import Finished, run_batch
from hilum.batch.score import BatchRequest
from hilum.datasets.parts.disk import draw_dicom
from hilum.domain.errors import UsageError
from hilum.reading.process import ReaderProcess

FILMS = {
    "dicom": bytes(128) + b"DICM" + bytes(20),
    "acr-nema": b"\x08\0\0\0\x04\0\0\0" + bytes(200),
    "dicom without preamble": b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(200),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "tiff": b"II*\0" + bytes(20),
    "big tiff": b"MM\0+" + bytes(20),
    "bmp": b"BM" + bytes(20),
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
}
OTHERS = {
    "empty": b"",
    "csv": b"image_id,Mass\na.png,1\n",
    "json": b'{"bundle": 1}',
    "bmi": b"BMI,age,sex\n22,41,F\n",
    "zip": b"PK\x03\x04" + bytes(200),
    "text": b"II is a number of Rome\n",
    "zeros": bytes(200),
}
SUFFIXES = [".11", ".IMA", ".dcm30", ".acr", ".img", ".dcm ", ".v2", ".txt", ".png.bak", ".été"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(*named: str) -> tuple[set[str], PassedOver]:
    passed = PassedOver()
    found = list_films(named, passed=passed)
    assert all(item.refusal is None for item in found)
    return {item.path.as_posix() for item in found}, passed


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 9), st.sampled_from(SUFFIXES)),
        st.sampled_from([*FILMS, *OTHERS]),
        min_size=1,
    )
)
@settings(max_examples=40, deadline=None)
def test_every_file_of_a_folder_is_listed_or_counted(
    tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[int, str], str]
) -> None:
    folder = tmp_path_factory.mktemp("in")
    (folder / "a.png").touch()  # a known suffix is listed whatever is in it
    films = {"a.png"}
    for (number, suffix), kind in files.items():
        (folder / f"1.2.{number}{suffix}").write_bytes({**FILMS, **OTHERS}[kind])
        films |= {f"1.2.{number}{suffix}"} if kind in FILMS else set()
    found, passed = listed(str(folder))
    assert {Path(name).name for name in found} == films
    assert len(found) + passed.suffixes.total() == 1 + len(files)
    assert bool(passed.lines()) == (len(films) < 1 + len(files))


def test_what_is_passed_over_is_named_by_suffix(here: Path) -> None:
    for name in ("in/a.png", "in/b.txt", "in/c.TXT", "in/d.csv", "in/.DS_Store", "in/._a.png"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("x")
    _, passed = listed("in")
    assert passed.lines() == [
        "passed over, not films by their first bytes: 2 .txt, 1 .csv; 2 hidden"
    ]
    (here / "in/a.png").unlink()
    with pytest.raises(UsageError, match=r"nothing; passed over, .* 2 \.txt, .* in in"):
        list_films(["in"])


def test_a_suffix_cannot_write_on_the_terminal() -> None:
    passed = PassedOver()
    passed.suffixes[".\x1b[31m" + "x" * 300] += 1
    (line,) = passed.lines()
    assert line.isprintable()
    assert len(line) < 100


# lists


def test_a_list_with_zero_bytes_is_refused_with_its_line(here: Path) -> None:
    (here / "list.csv").write_bytes(b"path\nimages/film.png\nimages/\0\0.png\n")
    with pytest.raises(UsageError, match=r"list\.csv line 3 must be text; it has a zero byte"):
        list_films(["list.csv"])


def test_a_text_that_names_no_film_is_a_file_like_any_other(here: Path) -> None:
    for name, text in {"a.txt": "Read me first.\n", "b.txt": "\0\0", "c.txt": ""}.items():
        (here / name).write_text(text)
        assert listed(name)[0] == {name}


def test_two_paths_of_windows_with_one_end_are_not_one_film(here: Path) -> None:
    (here / "1.png").touch()
    (here / "list.csv").write_text("path\nD:\\a\\1.png\nD:\\b\\1.png\n")
    assert len(listed("list.csv")[0]) == 2
    (here / "list.csv").write_text("path\nD:\\a\\1.png\n")
    assert listed("list.csv")[0] == {"1.png"}


# names in the results

paths = st.lists(
    st.builds(
        lambda parts: Path("root", *parts),
        st.lists(st.sampled_from(["S1", "S2", "I1", "I2", "x.png"]), min_size=1, max_size=4),
    ),
    unique=True,
)


@given(paths)
def test_no_two_films_have_one_name_and_each_is_the_end_of_its_path(films: list[Path]) -> None:
    made = image_ids(films)
    assert len(set(made)) == len(films)
    for name, path in zip(made, films, strict=True):
        assert path.as_posix().endswith(name)
    names = [path.name for path in films]
    assert all(
        name == path.name
        for name, path in zip(made, films, strict=True)
        if names.count(path.name) == 1
    )


# results among the films, and earlier batches


@pytest.fixture(scope="module", autouse=True)
def readers(inline: type[ReaderProcess]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hilum.batch.engines.lanes.ReaderProcess", inline)
        yield


@pytest.fixture(scope="module")
def bundle(toy: Path) -> Bundle:
    return Bundle.load(toy / "bundle")


@pytest.fixture
def inbox(toy: Path, here: Path) -> Path:
    (here / "in").mkdir()
    for film in sorted((toy / "films" / "images").iterdir())[:2]:
        shutil.copyfile(film, here / "in" / film.name)
    return here / "in"


def score(bundle: Bundle, named: str, out: Path, phi: Patients | None = None) -> Finished:
    request = BatchRequest(lanes=1, patients=phi or Patients())
    return run_batch(bundle, list_films([named]), out, request)


@pytest.mark.parametrize("out", ["in/report", "in"])
def test_own_results_below_the_films_are_no_films(bundle: Bundle, inbox: Path, out: str) -> None:
    first = score(bundle, "in", Path(out))
    assert (len(first.batch.results), first.resumed) == (2, 0)
    assert any(Path(out, "films").iterdir())
    again = score(bundle, "in", Path(out))
    assert (len(again.batch.results), again.resumed, again.replaced) == (2, 2, ())
    found, passed = listed("in")
    assert found == {f"in/{path.name}" for path in inbox.glob("*.png")}
    assert passed.results == [out]
    assert listed("in/**/*.*g")[0] == found
    # the same batch, with the reports alone
    Path(out, "journal.jsonl").unlink()
    assert listed("in")[0] == found


def test_a_folder_called_films_without_results_is_searched(here: Path) -> None:
    (here / "in/films").mkdir(parents=True)
    (here / "in/films/a.png").touch()
    (here / "in/journal.jsonl").write_text('{"event": "of another program"}\n')
    assert listed("in")[0] == {"in/films/a.png"}


def test_another_batch_is_not_replaced_without_a_word(bundle: Bundle, inbox: Path) -> None:
    one, two = sorted(f"in/{path.name}" for path in inbox.iterdir())
    out = Path("out")
    assert score(bundle, "in", out).replaced == ()
    assert score(bundle, one, out).replaced == (two,)
    assert score(bundle, "in", out).replaced == ()
    assert score(bundle, two, out).replaced == (one,)


# identity of DICOM films


@pytest.fixture
def export(here: Path) -> Path:
    for number in (1, 2, 3):
        path = here / "export" / f"S{number}" / "I1"
        draw_dicom(path.with_suffix(".dcm"), 16 * number)
        film = dcmread(path.with_suffix(".dcm"))
        film.PatientID, film.AccessionNumber = "P-7", f"ACC{number}"
        film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.7", f"1.2.7.{number}"
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"1.2.7.{number}.1"
        film.save_as(path, enforce_file_format=True)
        path.with_suffix(".dcm").unlink()
    return here / "export"


KEYS = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "accession_number")


def rows(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "phi", [Patients(Phi.FULL), Patients(Phi.PSEUDONYM, bytes(32)), Patients()]
)
def test_a_row_joins_to_the_archive_as_far_as_requested(
    bundle: Bundle, export: Path, phi: Patients
) -> None:
    score(bundle, "export", Path("out"), phi)
    made = rows(Path("out"))
    assert [row["image_id"] for row in made] == ["S1/I1", "S2/I1", "S3/I1"]
    if phi.mode is Phi.FULL and made[0]["status"] in ("ok", "warn"):
        assert [made[0][key] for key in KEYS] == ["1.2.7", "1.2.7.1", "1.2.7.1.1", "ACC1"]
    text = (Path("out") / "results.jsonl").read_text()
    if phi.mode is not Phi.FULL:
        assert "1.2.7" not in text
        assert "ACC1" not in text
    shown = {row["sop_instance_uid"] for row in made}
    assert shown == {phi.shown(f"1.2.7.{number}.1") for number in (1, 2, 3)}


def test_the_directory_of_an_export_is_skipped(bundle: Bundle, inbox: Path) -> None:
    directory = Dataset()
    directory.FileSetID = "EXPORT"
    directory.FileSetConsistencyFlag = 0
    record = Dataset()
    record.DirectoryRecordType, record.PatientID, record.PatientName = "PATIENT", "1", "A"
    directory.DirectoryRecordSequence = [record]
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.7.9"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.save_as(inbox / "DICOMDIR", enforce_file_format=True)
    done = score(bundle, "in", Path("out"))
    found = {row["image_id"]: (row["status"], row["codes"]) for row in rows(Path("out"))}
    assert found["DICOMDIR"] == ("skip", ["DICOMDIR"])
    assert not done.refused
