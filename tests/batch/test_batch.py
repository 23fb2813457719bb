"""Every input one row, whatever it is; the rest goes on; and the same bytes every time."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hilum import Bundle
from hilum.batch.inputs import list_films
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.domain.findings import nih14
from hilum.explain.map_layer import map_layer
from hilum.explain.request import HeatmapRequest, PictureFormat, Pictures
from hilum.files.sealed import file_sha256
from hilum.reading.process import ReaderProcess
from hilum.report.batch import film_report
from hilum.report.batch.results_jsonl import schema

DX = "1.2.840.10008.5.1.4.1.1.1.1"
REPORTS = {"final_clinical_report.csv", "results.jsonl", "report.html", "dashboard.html"}
FOR_RESUMING = {"journal.jsonl", ".lock"}

EXPECTED = {
    "a/00000001_000.png": ("ok", ()),
    "a/00000001_001.png": ("ok", ()),
    "b/00000001_000.png": ("ok", ()),
    "color.png": ("warn", (ReasonCode.COLOR_CONVERTED,)),
    "damaged.png": ("error", (ReasonCode.DECODE_TRUNCATED,)),
    "empty.png": ("error", (ReasonCode.EMPTY_FILE,)),
    "lateral.dcm": ("reject", (ReasonCode.VIEW_NOT_FRONTAL,)),
    "lateral.png": ("ok", ()),
    "missing.png": ("error", (ReasonCode.FILE_NOT_FOUND,)),
    "pipe.png": ("skip", (ReasonCode.NOT_REGULAR_FILE,)),
    "small.png": ("reject", (ReasonCode.TOO_SMALL,)),
    "tall.png": ("ok", ()),
    "text.png": ("error", (ReasonCode.NOT_AN_IMAGE,)),
    "x" * 300: ("error", (ReasonCode.FILE_NOT_FOUND,)),
}


@dataclass(frozen=True)
class Batch:
    inbox: Path
    out: Path
    results: tuple[ImageResult, ...]

    def of(self, name: str) -> ImageResult:
        return next(r for r in self.results if r.input == str(self.inbox / name))

    def rows(self) -> list[dict[str, str]]:
        text = (self.out / "final_clinical_report.csv").read_bytes().decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))


def lateral(pixels: np.ndarray) -> FileDataset:
    """A DICOM film whose header says lateral."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DX, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = DX, "1.2.3"
    made.Modality, made.ViewPosition = "DX", "LL"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = pixels.tobytes()
    return made


@pytest.fixture(scope="module")
def inbox(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inbox")
    films = sorted((toy / "films" / "images").iterdir())
    for name, film in (
        ("a/00000001_000.png", films[0]),
        ("a/00000001_001.png", films[1]),
        ("b/00000001_000.png", films[2]),
        ("lateral.png", films[3]),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(film, root / name)
    whole = films[4].read_bytes()
    (root / "damaged.png").write_bytes(whole[: len(whole) // 2])
    (root / "empty.png").touch()
    (root / "text.png").write_text("a letter, not a film")
    os.mkfifo(root / "pipe.png")
    with Image.open(films[5]) as film:
        gray = film.convert("L")
    tinted = Image.merge("RGB", (gray, gray, gray.point(lambda value: value * 0.9)))
    tinted.save(root / "color.png")
    gray.resize((64, 64)).save(root / "small.png")
    gray.resize((150, 260)).save(root / "tall.png")
    lateral(np.asarray(gray)).save_as(root / "lateral.dcm", enforce_file_format=True)
    return root


def predicted(toy: Path, inbox: Path, out: Path, lanes: int | None = None) -> Batch:
    films = list_films([str(inbox), str(inbox / "missing.png"), str(inbox / ("x" * 300))])
    finished = run_batch(Bundle.load(toy / "bundle"), films, out, BatchRequest(lanes=lanes))
    return Batch(inbox, out, tuple(finished.batch.results))


@pytest.fixture(scope="module")
def batch(toy: Path, inbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return predicted(toy, inbox, tmp_path_factory.mktemp("out"))


def test_every_input_has_one_row_with_its_status_in_order(batch: Batch) -> None:
    # how far a drawn film is from real ones is for the tests of the gate
    found = {
        Path(result.input).relative_to(batch.inbox).as_posix(): (
            result.status,
            tuple(code for code in result.codes if code is not ReasonCode.OOD_SCORE_HIGH),
        )
        for result in batch.results
    }
    assert found == EXPECTED
    assert list(found) == sorted(EXPECTED)
    assert len(batch.results) == len(EXPECTED)


def test_only_scored_films_have_numbers(batch: Batch) -> None:
    for result in batch.results:
        assert (result.findings is not None) == result.status.scored
        # what was decoded has a picture, scored or not
        assert result.film is not None or result.status is not Status.OK
        if result.film is not None:
            assert (batch.out / result.film).is_file()
        assert bool(result.message) != result.status.scored
        readable = Path(result.input).name not in ("missing.png", "pipe.png", "x" * 300)
        assert result.sha256 == (file_sha256(Path(result.input)) if readable else None)


def test_a_film_s_numbers_are_the_bundle_s(batch: Batch, toy: Path) -> None:
    bundle = Bundle.load(toy / "bundle")
    for result in batch.results:
        if result.findings is not None:
            alone = bundle.predict(Path(result.input))
            assert [f.probability for f in result.findings.values()] == [
                f.probability for f in alone.findings.values()
            ]
            assert result.positives == alone.positives
            assert (result.bundle, result.precision) == (bundle.id, "f32")


def test_maps_are_those_of_the_positive_findings_and_no_overlay_is_drawn(
    batch: Batch, toy: Path
) -> None:
    listed = [file for result in batch.results for file in result.maps.values()]
    assert sorted(listed) == sorted(f"maps/{p.name}" for p in (batch.out / "maps").iterdir())
    assert listed
    assert not any((batch.out / "overlays").iterdir())
    bundle = Bundle.load(toy / "bundle")
    for result in batch.results:
        assert list(result.maps) == result.positives
        assert result.heatmaps == {}
        prediction = bundle.predict(Path(result.input)) if result.maps else None
        for finding, file in result.maps.items():
            assert file.endswith(f"__{finding}.png")
            assert prediction is not None
            layer = map_layer(
                prediction.analysis.map_of(finding),
                bundle.manifest.preprocessing,
                prediction.film.shape,
            )
            assert (batch.out / file).read_bytes() == layer


def test_overlays_on_request_have_the_films_size(toy: Path, tmp_path: Path) -> None:
    films, bundle = sorted((toy / "films" / "images").iterdir())[:3], Bundle.load(toy / "bundle")
    request = BatchRequest(Pictures(HeatmapRequest.parse("top"), overlays=True))
    results = run_batch(bundle, films, tmp_path, request).batch.results
    for result in results:
        assert list(result.maps) == list(result.heatmaps)
        ((finding, file),) = result.heatmaps.items()
        assert file == f"overlays/{Path(result.input).stem}__{finding}.png"
        with Image.open(tmp_path / file) as drawn, Image.open(result.input) as film:
            assert drawn.size == film.size
            assert drawn.mode == "RGB"
    assert "overlays/" in (tmp_path / "report.html").read_text("utf-8")
    # without overlays it is another batch
    with pytest.raises(UsageError, match="another overlays, style"):
        run_batch(bundle, films, tmp_path, BatchRequest(Pictures(HeatmapRequest.parse("top"))))


def test_films_of_one_name_in_two_folders_are_both_kept(batch: Batch) -> None:
    one, other = batch.of("a/00000001_000.png"), batch.of("b/00000001_000.png")
    assert (one.image_id, other.image_id) == ("a/00000001_000.png", "b/00000001_000.png")
    assert one.film != other.film
    assert not set(one.maps.values()) & set(other.maps.values())
    assert (batch.out / str(one.film)).is_file()


def test_all_reports_are_there_and_nothing_half_written(batch: Batch) -> None:
    assert {path.name for path in batch.out.iterdir()} == (
        REPORTS | FOR_RESUMING | {"films", "maps", "overlays"}
    )


def test_the_csv_has_the_columns_promised(batch: Batch, toy: Path) -> None:
    rows = batch.rows()
    findings = list(nih14())
    promised = [
        *("Image_ID", "status", "codes", "view", *findings),
        *(f"{finding}_positive" for finding in findings),
        *("Clinical_Summary", "bundle"),
    ]
    assert list(rows[0])[: len(promised)] == promised
    assert len(rows) == len(EXPECTED)
    for row, result in zip(rows, batch.results, strict=True):
        assert row["status"] == result.status
        assert row["codes"] == ";".join(result.codes)
        assert row["bundle"] == result.bundle
        for finding in findings:
            if result.findings is None:
                assert (row[finding], row[f"{finding}_positive"]) == ("", "")
            else:
                said = result.findings[finding]
                assert float(row[finding]) == pytest.approx(said.probability, rel=1e-8)
                call = "" if said.positive is None else str(int(said.positive))
                assert row[f"{finding}_positive"] == call


def test_the_lines_of_results_validate_and_say_what_was_promised(batch: Batch) -> None:
    validator = Draft202012Validator(schema())
    lines = (batch.out / "results.jsonl").read_text().splitlines()
    assert len(lines) == len(EXPECTED)
    promised = {"input", "sha256", "status", "codes", "view", "findings", "heatmaps", "bundle"}
    for line, result in zip(lines, batch.results, strict=True):
        document = json.loads(line)
        validator.validate(document)
        assert promised | {"precision"} <= set(document)
        assert document["status"] == result.status
        for said in (document["findings"] or {}).values():
            assert {"probability", "threshold", "positive"} <= set(said)


def bytes_of(out: Path) -> dict[str, bytes]:
    """All but the journal, whose lines come as films are finished."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "journal.jsonl")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_the_same_inputs_give_the_same_bytes(batch: Batch, toy: Path, tmp_path: Path) -> None:
    again = predicted(toy, batch.inbox, tmp_path / "again", lanes=1)
    assert bytes_of(again.out) == bytes_of(batch.out)
    predicted(toy, batch.inbox, tmp_path / "again")
    assert bytes_of(again.out) == bytes_of(batch.out)


def test_more_films_than_are_held_at_a_time(toy: Path, tmp_path: Path) -> None:
    films = list_films([str(toy / "films" / "images")])
    told: list[tuple[int, int]] = []
    batch = run_batch(
        Bundle.load(toy / "bundle"), films, tmp_path, advance=lambda *step: told.append(step)
    ).batch
    assert [result.input for result in batch.results] == [str(film.path) for film in films]
    assert {result.status for result in batch.results} <= {Status.OK, Status.WARN}
    assert told[-1] == (len(films), len(films))
    assert len(told) > 1


@pytest.mark.parametrize("folder", ["films", "maps", "overlays"])
def test_results_are_never_written_over_the_films(toy: Path, tmp_path: Path, folder: str) -> None:
    film = next((toy / "films" / "images").iterdir())
    names = (f"{folder}/a.png", f"{folder}/deep/b.png", f"{folder}/link.png", "link/a.png")
    (tmp_path / folder / "deep").mkdir(parents=True)
    for name in names[:2]:
        shutil.copyfile(film, tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / folder)
    (tmp_path / names[2]).symlink_to(film)
    (tmp_path / "results.jsonl").touch()  # as after an earlier batch
    bundle = Bundle.load(toy / "bundle")
    for name in names:
        with pytest.raises(UsageError, match="results must not be written over films"):
            run_batch(bundle, [film, tmp_path / name], tmp_path)
        assert (tmp_path / name).read_bytes() == film.read_bytes()


def test_the_pictures_of_an_earlier_batch_go_with_it(
    batch: Batch, toy: Path, tmp_path: Path
) -> None:
    again = predicted(toy, batch.inbox, tmp_path)
    film = Path(again.of("tall.png").input)
    (tmp_path / "notes.txt").write_text("mine")
    small = run_batch(Bundle.load(toy / "bundle"), [film], tmp_path).batch
    left = {path.name for folder in ("films", "maps") for path in (tmp_path / folder).iterdir()}
    (result,) = small.results
    assert left == {Path(file).name for file in (result.film, *result.maps.values())}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_archive_s_report_is_pages_and_those_of_a_larger_one_go(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_report, "REPORT", film_report.FilmReport(most=2))
    films, bundle = sorted((toy / "films" / "images").iterdir())[:5], Bundle.load(toy / "bundle")
    (tmp_path / "report-mine.html").write_text("mine")
    for count, pages in ((5, {"", "-2", "-3"}), (2, {""}), (3, {"", "-2"})):
        run_batch(bundle, films[:count], tmp_path)
        found = {path.name for path in tmp_path.glob("report*.html")}
        assert found == {f"report{page}.html" for page in (*pages, "-mine")}
    assert (tmp_path / "report-mine.html").read_text() == "mine"


def test_a_picture_that_fails_costs_no_score_and_is_drawn_next_time(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, bundle = sorted((toy / "films" / "images").iterdir())[:4], Bundle.load(toy / "bundle")
    everything = BatchRequest(Pictures(HeatmapRequest.parse("all"), overlays=True))
    whole = tuple(run_batch(bundle, films, tmp_path / "whole", everything).batch.results)

    def crashes(*_: object) -> bytes:
        raise FilmError(Status.ERROR, ReasonCode.DECODER_CRASHED, "gone while it drew")

    with monkeypatch.context() as patched:
        patched.setattr(ReaderProcess, "draw", crashes)
        cut = tuple(run_batch(bundle, films, tmp_path / "out", everything).batch.results)
    for result, expected in zip(cut, whole, strict=True):
        assert result.status is Status.WARN
        assert ReasonCode.HEATMAP_FAILED in result.codes
        assert (result.findings, result.heatmaps) == (expected.findings, {})
        assert result.maps == expected.maps
    again = run_batch(bundle, films, tmp_path / "out", everything)
    assert again.resumed == 0
    assert tuple(again.batch.results) == whole
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_pictures_can_be_jpeg(toy: Path, tmp_path: Path) -> None:
    films = sorted((toy / "films" / "images").iterdir())[:2]
    top = HeatmapRequest.parse("top")
    request = BatchRequest(Pictures(top, overlays=True, stored=PictureFormat.JPEG))
    bundle = Bundle.load(toy / "bundle")
    for result in run_batch(bundle, films, tmp_path, request).batch.results:
        (file,) = result.heatmaps.values()
        with Image.open(tmp_path / file) as picture:
            assert (picture.format, picture.size) == ("JPEG", (128, 128))
    # as PNG it is another batch, and where its films are gone its pictures go with them
    with pytest.raises(UsageError, match="another pictures"):
        run_batch(bundle, films, tmp_path, BatchRequest(Pictures(top, overlays=True)))
    # drawn by a run that was killed before its journal told of it
    (tmp_path / "overlays" / f"{films[0].stem}__{bundle.labels.findings[0]}.jpg").touch()
    (tmp_path / "overlays" / "mine__too.jpg").touch()
    (result,) = run_batch(bundle, films[:1], tmp_path, request).batch.results
    left = {path.name for path in (tmp_path / "overlays").iterdir()}
    assert left == {"mine__too.jpg", *(Path(file).name for file in result.heatmaps.values())}
