"""DICOM objects of a batch: beside the results, on the film they are about, and never its input."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from hilum import Bundle
from hilum.batch.dicom_objects import DicomRequest
from hilum.batch.inputs import Shard, list_films
from hilum.batch.merge import merge
from hilum.batch.patients import Patients, Phi
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.explain.files import PictureFormat
from hilum.explain.request import Pictures
from hilum.files.atomic import UNFINISHED
from hilum.files.films import film_paths
from hilum.imaging.read import read
from hilum.phantom.film import draw_example
from hilum.reading.process import ReaderProcess
from hilum.reading.requests import Request

ROOT = "1.2.826.0.1.3680043.8.498."
KEY = bytes(range(32))


def drawn(seed: int = 5, shape: tuple[int, int] = (256, 256)) -> NDArray[np.uint16]:
    """A drawn film, stretched where it is asked for."""
    import cv2

    pixels = draw_example(None, seed=seed).pixels
    return np.rint(cv2.resize(pixels, shape[::-1]) * 4095).astype(np.uint16)


def dicom(pixels: NDArray[np.uint16], number: int = 3, **elements: object) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = f"{ROOT}{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID = f"{ROOT}{number}"
    film.StudyInstanceUID, film.SeriesInstanceUID = f"{ROOT}1", f"{ROOT}2"
    film.PatientName, film.PatientID = "Canary^Unlikely", "CANARY-8812"
    film.StudyDate, film.StudyTime = "20200304", "101112"
    film.Modality, film.ViewPosition, film.BodyPartExamined = "DX", "PA", "CHEST"
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = pixels.tobytes()
    for keyword, value in {"PatientAge": "81", **elements}.items():
        if value is None:
            delattr(film, keyword)
        else:  # also what is not valid
            vr = dictionary_VR(keyword)
            film[keyword] = DataElement(keyword, vr, value, validation_mode=IGNORE)
    stream = io.BytesIO()
    film.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@dataclass(frozen=True)
class Made:
    """A batch with DICOM objects: its folder, and its rows by name."""

    out: Path
    rows: dict[str, dict[str, Any]]

    def object(self, film: str, kind: str) -> Dataset:
        return dcmread(self.out / self.rows[film]["dicom"][kind])


Run = Callable[..., Made]


@pytest.fixture(scope="module")
def bundle(toy: Path) -> Bundle:
    return Bundle.load(toy / "bundle", threads=1)


@pytest.fixture
def run(
    bundle: Bundle, tmp_path: Path, inline: type[ReaderProcess], monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setattr("hilum.batch.engines.lanes.ReaderProcess", inline)

    def call(
        films: dict[str, bytes],
        kinds: tuple[str, ...] = ("sr", "region", "sc", "pr"),
        out: str = "out",
        **options: Any,
    ) -> Made:
        inbox = tmp_path / "in"
        inbox.mkdir(exist_ok=True)
        for name, data in films.items():
            (inbox / name).write_bytes(data)
        pictures = options.pop("pictures", None)
        request = DicomRequest(kinds, KEY, pictures or Pictures())
        request = BatchRequest(
            pictures=pictures, threshold=options.pop("threshold", 0.0), dicom=request, **options
        )
        listed = list_films([str(inbox / name) for name in films])
        run_batch(bundle, listed, tmp_path / out, request)
        lines = (tmp_path / out / "results.jsonl").read_text().splitlines()
        rows = {row["image_id"]: row for row in map(json.loads, lines)}
        return Made(tmp_path / out, rows)

    return call


def polygons(report: Dataset) -> dict[str, NDArray[np.float64]]:
    """Finding to (N, 2) column and row."""
    (measured,) = [
        one
        for one in report.ContentSequence
        if one.ValueType == "CONTAINER" and one.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    found: dict[str, NDArray[np.float64]] = {}
    for group in measured.ContentSequence:
        (region,) = [one for one in group.ContentSequence if one.ValueType == "SCOORD"]
        name = group.ContentSequence[0].TextValue
        found[name] = np.array(region.GraphicData, np.float64).reshape(-1, 2)
    return found


def test_every_scored_dicom_film_has_its_objects_and_the_rows_list_them(run: Run) -> None:
    made = run({"a.dcm": dicom(drawn())})
    row = made.rows["a.dcm"]
    assert list(row["dicom"]) == ["sr", "region", "sc", "pr"]
    assert row["dicom_missing"] == ""
    for kind, name in row["dicom"].items():
        assert re.fullmatch(f"dicom/[0-9a-f]{{32}}/{kind}.dcm", name)
        assert made.object("a.dcm", kind).PatientID == "CANARY-8812"
        assert "PatientAge" not in made.object("a.dcm", kind)  # `81` is no age
    assert "CANARY" not in (made.out / "results.jsonl").read_text()
    assert "CANARY" not in (made.out / "journal.jsonl").read_text()


def test_the_numbers_are_those_of_the_row(run: Run) -> None:
    made = run({"a.dcm": dicom(drawn())}, kinds=("sr",))
    values = {
        group.ContentSequence[0].TextValue: item.MeasuredValueSequence[0].FloatingPointValue
        for group in made.object("a.dcm", "sr").ContentSequence[8].ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }
    findings = made.rows["a.dcm"]["findings"]
    assert values == {name: 100.0 * one["probability"] for name, one in findings.items()}


@pytest.mark.parametrize(
    ("film", "why"),
    [
        (dicom(drawn(), StudyInstanceUID=None), "no valid Study Instance UID"),
        (dicom(drawn(), SeriesInstanceUID=""), "no valid Series Instance UID"),
        (dicom(drawn(), StudyInstanceUID="1.2.03"), "no valid Study Instance UID"),
    ],
    ids=["no study", "no series", "not a UID"],
)
def test_a_film_without_uids_gets_none_and_the_row_says_so(film: bytes, why: str, run: Run) -> None:
    made = run({"a.dcm": film})
    row = made.rows["a.dcm"]
    assert row["findings"] is not None
    assert row["dicom"] == {}
    assert why in row["dicom_missing"]
    assert not (made.out / "dicom").exists()


def test_a_film_that_is_no_dicom_gets_none_and_the_row_says_so(run: Run) -> None:
    from PIL import Image

    stream = io.BytesIO()
    gray = np.rint(draw_example(None, seed=5).pixels * 255).astype(np.uint8)
    Image.fromarray(gray).save(stream, "PNG")
    row = run({"a.png": stream.getvalue()}).rows["a.png"]
    assert row["dicom"] == {}
    assert row["dicom_missing"] == "the file is not a DICOM object"


@pytest.mark.parametrize("identity", list(Phi))
def test_what_rows_show_of_a_patient_changes_no_object(identity: Phi, run: Run) -> None:
    patients = Patients(identity, KEY)
    made = run({"a.dcm": dicom(drawn())}, kinds=("sr",), patients=patients)
    assert str(made.object("a.dcm", "sr").PatientName) == "Canary^Unlikely"
    assert ("CANARY" in made.rows["a.dcm"]["patient"]) is (identity is Phi.FULL)


def test_two_runs_give_the_same_bytes(run: Run) -> None:
    kinds = ("sr", "region", "sc", "pr", "ko", "seg")
    one = run({"a.dcm": dicom(drawn())}, kinds=kinds, out="one")
    two = run({"a.dcm": dicom(drawn())}, kinds=kinds, out="two")
    for name in one.rows["a.dcm"]["dicom"].values():
        assert (one.out / name).read_bytes() == (two.out / name).read_bytes()
    assert len(one.rows["a.dcm"]["dicom"]) == 6


@pytest.mark.parametrize(
    ("shape", "elements"),
    [
        ((256, 256), {}),
        ((256, 200), {"PatientOrientation": ["L", "F"]}),
        ((200, 256), {"PhotometricInterpretation": "MONOCHROME1"}),
        ((256, 256), {"ImagerPixelSpacing": [0.2, 0.3]}),
        ((300, 256), {"PixelAspectRatio": [4, 3]}),
    ],
    ids=["square", "tall", "wide and inverted", "pixels that are wide", "pixels that are tall"],
)
def test_the_outline_lies_round_the_peak_of_the_heatmap_on_the_stored_picture(
    shape: tuple[int, int], elements: dict[str, object], run: Run, bundle: Bundle
) -> None:
    import cv2

    pixels = drawn(shape=shape)
    if elements.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = 4095 - pixels
    data = dicom(pixels, **elements)
    made = run({"a.dcm": data}, kinds=("region",))
    prediction = bundle.predict(read(data))
    found = polygons(made.object("a.dcm", "region"))
    assert found
    for name, polygon in found.items():
        heat = cv2.resize(prediction.heatmap(name), shape[::-1])
        row, column = np.unravel_index(int(heat.argmax()), heat.shape)
        center = (float(column) + 0.5, float(row) + 0.5)
        away = cv2.pointPolygonTest(polygon.astype(np.float32), center, True)
        assert away > -2.0, (name, away)  # the peak may lie at the film's edge
        assert polygon.min() >= 0.0
        assert (polygon.max(axis=0) <= (shape[1], shape[0])).all()
        assert polygon[0].tolist() == polygon[-1].tolist()
        # inside it is hotter than half of the peak, outside of it lies no hotter spot
        filled = np.zeros(shape, np.uint8)
        cv2.fillPoly(filled, [np.rint(polygon - 0.5).astype(np.int32)], 1)
        inside = heat[filled > 0] / heat.max()
        assert np.mean(inside >= 0.45) > 0.95


def test_the_picture_keeps_the_sides_of_the_film(run: Run) -> None:
    import cv2

    pixels = drawn()
    pixels[20:50, 215:240] = 4095  # a marker on the right of the film, where the patient's left is
    picture = run({"a.dcm": dicom(pixels)}, kinds=("sc",)).object("a.dcm", "sc").pixel_array
    assert max(picture.shape) <= 2048
    half = picture[:, : picture.shape[1] // 2].mean(axis=2).astype(np.float32)
    film = cv2.resize(np.float32(pixels / 4095.0 * 255.0), (448, 448))

    def likeness(shown: NDArray[np.float32]) -> float:
        return float(cv2.matchTemplate(half, shown, cv2.TM_CCOEFF_NORMED).max())

    assert likeness(film) > 0.95 > likeness(np.ascontiguousarray(film[:, ::-1]))


def test_jpeg_pictures_make_jpeg_captures(run: Run) -> None:
    pictures = Pictures(stored=PictureFormat.JPEG)
    made = run({"a.dcm": dicom(drawn())}, kinds=("sc",), pictures=pictures)
    picture = made.object("a.dcm", "sc")
    assert picture.LossyImageCompression == "01"
    assert picture.pixel_array.shape == (picture.Rows, picture.Columns, 3)


def test_a_picture_that_could_not_be_drawn_costs_neither_score_nor_report(
    run: Run, inline: type[ReaderProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    films = {"a.dcm": dicom(drawn())}
    ask = inline.ask

    def crash(self: ReaderProcess, request: Request[Any]) -> Any:
        if "longest" in request.head:
            raise FilmError(Status.ERROR, ReasonCode.DECODER_CRASHED, "it is gone")
        return ask(self, request)

    monkeypatch.setattr(inline, "ask", crash)
    row = run(films).rows["a.dcm"]
    assert row["findings"] is not None
    assert list(row["dicom"]) == ["sr", "region", "pr"]
    assert row["dicom_missing"] == "sc: the picture could not be drawn"
    monkeypatch.setattr(inline, "ask", ask)
    assert "sc" in run(films).rows["a.dcm"]["dicom"]  # the next run tries again


def test_a_resumed_batch_makes_an_object_anew_that_was_removed(run: Run) -> None:
    films = {"a.dcm": dicom(drawn())}
    made = run(films)
    path = made.out / made.rows["a.dcm"]["dicom"]["sr"]
    before = path.read_bytes()
    path.unlink()
    run(films)
    assert path.read_bytes() == before


def test_a_batch_with_other_kinds_is_another_batch(run: Run) -> None:
    films = {"a.dcm": dicom(drawn())}
    run(films)
    with pytest.raises(UsageError, match="another dicom"):
        run(films, kinds=("sr",))


def test_nothing_is_kept_of_a_film_whose_identity_is_another_s(run: Run) -> None:
    films = {"a.dcm": dicom(drawn(5)), "b.dcm": dicom(drawn(6))}
    made = run(films)
    assert made.rows["b.dcm"]["codes"] == ["DUPLICATE_SOP_CONFLICT"]
    assert made.rows["b.dcm"]["dicom"] == {}
    (folder,) = (made.out / "dicom").iterdir()
    assert made.rows["a.dcm"]["dicom"]["sr"] == f"dicom/{folder.name}/sr.dcm"


def test_two_copies_of_a_film_have_a_folder_each_with_the_same_bytes(run: Run) -> None:
    data = dicom(drawn())
    made = run({"a.dcm": data, "b.dcm": data})
    one, two = (made.rows[name]["dicom"]["sr"] for name in ("a.dcm", "b.dcm"))
    assert one != two
    assert (made.out / one).read_bytes() == (made.out / two).read_bytes()


def test_what_a_killed_run_left_unfinished_goes(run: Run) -> None:
    films = {"a.dcm": dicom(drawn())}
    made = run(films)
    left = (made.out / made.rows["a.dcm"]["dicom"]["sr"]).with_name(f".sr.dcm{UNFINISHED}")
    left.write_bytes(b"half")
    run(films)
    assert not left.exists()


def test_parts_put_together_have_the_objects_of_all(run: Run, bundle: Bundle) -> None:
    films = {f"{n}.dcm": dicom(drawn(n), number=10 + n) for n in range(4)}
    parts = [run(films, kinds=("sr",), out=f"part{n}", shard=Shard(n, 2)) for n in (1, 2)]
    whole = run(films, kinds=("sr",), out="whole")
    out = whole.out.with_name("merged")
    merge(bundle, [part.out for part in parts], out)
    for row in whole.rows.values():
        name = row["dicom"]["sr"]
        assert (out / name).read_bytes() == (whole.out / name).read_bytes()
    assert (out / "results.jsonl").read_bytes() == (whole.out / "results.jsonl").read_bytes()


def test_objects_are_not_films_of_the_next_batch(run: Run) -> None:
    made = run({"a.dcm": dicom(drawn())})
    with pytest.raises(UsageError, match="passed over, results of hilum"):
        list_films([str(made.out)])
    assert list(film_paths(made.out)) == []
    # films that lie in a folder of that name are films
    film = made.out / "dicom" / "b.dcm"
    film.write_bytes(dicom(drawn(6), number=4))
    assert [one.path for one in list_films([str(made.out)])] == [film]
    run({"a.dcm": dicom(drawn())})
    assert film.exists()


def test_a_short_key_is_refused() -> None:
    with pytest.raises(UsageError, match="key of 32 bytes"):
        DicomRequest(("sr",), b"short")
