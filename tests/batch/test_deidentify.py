"""`hilum deidentify` over a folder: rows, blocked pixels, resuming, and nothing of the patient."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import JPEG2000Lossless, RLELossless

import hilum
from hilum.batch.deidentify import options_of
from hilum.batch.drawn_text import TextRecall, covered, measure_recall
from hilum.batch.export_rows import ExportRow
from hilum.domain.errors import UsageError
from hilum.imaging.burned_text import has_text, text_boxes
from hilum.interchange.parts.modules import file_bytes, new_file
from hilum.phantom.film import draw_example

CANARY = ("CANARY", "Canary", "8812", "19470513", "ACC-4711")
SIDE = 512


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.float32]:
    return draw_example(None, 5, SIDE).pixels


def film(pixels: NDArray[np.float32], number: int, **more: object) -> FileDataset:
    """A DX film of the canary patient."""
    made = new_file()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.9.1", "1.9.2"
    made.SOPInstanceUID = f"1.9.3.{number}"
    made.PatientName, made.PatientID = "Canary^Jane", "CANARY-8812"
    made.PatientBirthDate, made.AccessionNumber = "19470513", "ACC-4711"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = np.rint(pixels * 4095).astype("<u2").tobytes()
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def written(
    film: NDArray[np.float32], words: str, at: tuple[int, int], size: float, thick: int = 1
) -> NDArray[np.float32]:
    """A film with words in white."""
    ink = np.zeros(film.shape, np.uint8)
    cv2.putText(ink, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, thick)
    return np.where(ink > 127, np.float32(1.0), film)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, drawn: NDArray[np.float32]) -> Path:
    """Films that leave, films that do not, and files that are none."""
    root = tmp_path_factory.mktemp("CANARY-8812")
    lettered = written(drawn, "MUSTERMANN ERIKA 13.05.1947", (14, 60), 0.8)
    assert has_text(lettered)
    hidden = film(drawn, 8)
    values = np.frombuffer(hidden.PixelData, "<u2").reshape(SIDE, SIDE).copy()
    values[:8, :64] |= 0xF000  # an overlay of old, in the bits above the picture's
    hidden.PixelData = values.tobytes()
    plain = {
        "Canary_1.dcm": film(drawn, 1),
        "text.dcm": film(lettered, 2),
        "yes.dcm": film(drawn, 3, BurnedInAnnotation="YES"),
        "sc.dcm": film(drawn, 4, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        "ct.dcm": film(drawn, 5, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
        "again.dcm": film(drawn, 1, InstanceNumber=7),
        "hidden.dcm": hidden,
    }
    for name, one in plain.items():
        (root / name).write_bytes(file_bytes(one))
    for number, syntax in ((6, RLELossless), (7, JPEG2000Lossless)):
        coded = film(drawn, number)
        coded.compress(syntax, generate_instance_uid=False)
        (root / f"coded{number}.dcm").write_bytes(file_bytes(coded))
    (root / "empty.dcm").write_bytes(b"")
    (root / "cut.dcm").write_bytes((root / "Canary_1.dcm").read_bytes()[:3000])
    (root / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    return root


def export(folder: Path, out: Path, key: Path, **more: object) -> dict[str, ExportRow]:
    """The rows of a run by the names of the inputs."""
    names = sorted(path.name for path in folder.iterdir())
    rows = hilum.deidentify(folder, out, key=key, **more)  # pyright: ignore
    assert len(rows) == len(names)
    return dict(zip(names, rows, strict=True))


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    root = tmp_path_factory.mktemp("export")
    rows = export(folder, root / "out", root / "key", mapping=root / "map.csv")
    return {"rows": rows, "out": root / "out", "key": root / "key", "map": root / "map.csv"}


OUTCOMES = {
    "Canary_1.dcm": "ok",
    "again.dcm": "DUPLICATE_SOP_CONFLICT",
    "coded6.dcm": "ok",
    "coded7.dcm": "ok",
    "ct.dcm": "MODALITY_NOT_SUPPORTED",
    "cut.dcm": "DECODE_TRUNCATED",
    "empty.dcm": "EMPTY_FILE",
    "hidden.dcm": "ok",
    "picture.png": "FORMAT_NOT_ALLOWED",
    "sc.dcm": "SECONDARY_CAPTURE",
    "text.dcm": "BURNED_IN_TEXT",
    "yes.dcm": "BURNED_IN_ANNOTATION",
}


def test_every_input_has_a_row_and_text_is_blocked(done: dict[str, object]) -> None:
    rows: dict[str, ExportRow] = done["rows"]  # pyright: ignore
    assert {name: row.code or row.status for name, row in rows.items()} == OUTCOMES
    out: Path = done["out"]  # pyright: ignore
    with (out / "deidentified.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["input"] for row in table] == sorted(row.input for row in rows.values())
    assert {row["file"] for row in table if row["file"]} == {
        path.relative_to(out).as_posix() for path in (out / "objects").iterdir()
    }


def test_nothing_in_the_folder_names_the_patient(done: dict[str, object]) -> None:
    out: Path = done["out"]  # pyright: ignore
    for path in [out, *out.rglob("*")]:
        assert not any(word in path.name for word in CANARY)
        if path.is_file():
            data = path.read_bytes()
            assert [word for word in CANARY if word.encode() in data] == [], path.name


def test_pixels_are_those_of_the_film(done: dict[str, object], folder: Path) -> None:
    rows: dict[str, ExportRow] = done["rows"]  # pyright: ignore
    out: Path = done["out"]  # pyright: ignore
    for name in ("Canary_1.dcm", "coded6.dcm", "coded7.dcm"):
        before, after = dcmread(folder / name), dcmread(out / rows[name].file)
        assert after.PixelData == before.PixelData
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    clear = dcmread(out / rows["hidden.dcm"].file)
    assert clear.PixelData == dcmread(folder / "Canary_1.dcm").PixelData


def test_the_mapping_is_for_its_owner_alone(done: dict[str, object]) -> None:
    mapping: Path = done["map"]  # pyright: ignore
    rows: dict[str, ExportRow] = done["rows"]  # pyright: ignore
    assert stat.S_IMODE(mapping.stat().st_mode) == 0o600
    with mapping.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4
    assert {row["patient_before"] for row in table} == {"CANARY-8812"}
    assert {row["patient_after"] for row in table} == {rows["Canary_1.dcm"].patient}
    assert {row["file"] for row in table} == {row.file for row in rows.values() if row.file}


def test_a_second_run_does_nothing_and_a_cut_one_goes_on(
    done: dict[str, object], folder: Path
) -> None:
    out: Path = done["out"]  # pyright: ignore
    key: Path = done["key"]  # pyright: ignore
    rows: dict[str, ExportRow] = done["rows"]  # pyright: ignore
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    stamps = {path: path.stat().st_mtime_ns for path in (out / "objects").iterdir()}
    assert export(folder, out, key) == rows
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    journal = out / "deidentified.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4]) + lines[4][:20])  # killed while it wrote
    (out / rows["coded6.dcm"].file).unlink()
    assert export(folder, out, key) == rows
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before if path != journal} == {
        path: before[path] for path in before if path != journal
    }
    with pytest.raises(UsageError, match="same key, options and version"):
        export(folder, out, key, keep=["device"])


def test_the_same_key_gives_the_same_bytes_elsewhere(
    done: dict[str, object], folder: Path, tmp_path: Path
) -> None:
    out: Path = done["out"]  # pyright: ignore
    key: Path = done["key"]  # pyright: ignore
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "a.dcm").write_bytes((folder / "Canary_1.dcm").read_bytes())
    (row,) = export(moved, tmp_path / "out", key).values()
    assert (tmp_path / "out" / row.file).read_bytes() == (out / row.file).read_bytes()
    (other,) = export(moved, tmp_path / "other", tmp_path / "key").values()
    assert other.sop_instance_uid != row.sop_instance_uid
    assert other.file != row.file


def test_text_is_blacked_out_and_more_may_leave(
    done: dict[str, object], folder: Path, tmp_path: Path
) -> None:
    key: Path = done["key"]  # pyright: ignore
    rows = export(folder, tmp_path / "out", key, clean_pixels=True)
    ok = {name for name, row in rows.items() if row.status == "ok"}
    assert ok == {
        *("Canary_1.dcm", "coded6.dcm", "coded7.dcm", "hidden.dcm"),
        *("sc.dcm", "text.dcm", "yes.dcm"),
    }
    assert rows["text.dcm"].boxes > 0
    cleaned = dcmread(tmp_path / "out" / rows["text.dcm"].file)
    before = dcmread(folder / "text.dcm").pixel_array
    changed = cleaned.pixel_array != before
    assert cleaned.BurnedInAnnotation == "NO"
    codes = [one.CodeValue for one in cleaned.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101"]
    assert (cleaned.pixel_array[changed] == before.min()).all()
    assert 0 < changed.mean() < 0.2
    assert not has_text(cleaned.pixel_array.astype(np.float32) / 4095)


def test_places_and_options_are_checked(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="-o must lie outside the films"):
        hilum.deidentify(folder, folder / "out", key=tmp_path / "key")
    with pytest.raises(UsageError, match="--mapping must lie outside"):
        hilum.deidentify(
            folder, tmp_path / "out", key=tmp_path / "key", mapping=tmp_path / "out" / "map.csv"
        )
    with pytest.raises(UsageError, match="must lie outside the output folder"):
        hilum.deidentify(folder, tmp_path / "out", key=tmp_path / "out" / "key")
    with pytest.raises(UsageError, match="not both"):
        options_of(["dates", "dates-shifted"], False)
    with pytest.raises(UsageError, match="Did you mean 'device'"):
        options_of(["devise"], False)
    assert not (tmp_path / "out").exists()


# the detector


def test_recall_is_measured_on_drawn_text() -> None:
    recall = measure_recall(texts=25, films=1)
    assert recall.texts == 25
    assert recall.gate < recall.found  # measured: 48 of 50, and 24 by the gate
    assert recall.found >= 22
    assert recall.blackened < 0.05
    assert sum(recall.missed.values()) == 2 * (recall.texts - recall.found)


def test_markers_stay_and_text_at_an_edge_goes_to_the_edge(drawn: NDArray[np.float32]) -> None:
    marked = written(drawn, "L", (440, 60), 1.2, 3)
    assert not any(
        box.left < 460 < box.right and box.top < 50 < box.bottom for box in text_boxes(marked)
    )
    named = written(drawn, "DOE JANE 1947", (12, 30), 0.6)
    found = text_boxes(named)
    assert covered(named != drawn, found)
    assert any(box.top == 0 and box.left == 0 for box in found)


def test_the_command_says_what_happened(
    folder: Path,
    tmp_path: Path,
    said: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recall = TextRecall(50, 48, 24, {"12 px": 2, "top left": 2}, 0.01)
    monkeypatch.setattr("hilum.batch.drawn_text.measure_recall", lambda: recall)
    words = ("deidentify", str(folder / "Canary_1.dcm"), str(folder / "yes.dcm"))
    places = ("-o", str(tmp_path / "out"), "--key", str(tmp_path / "key"))
    code, out, err = said(*words, *places)
    assert code == 3
    assert out == f"{tmp_path / 'out' / 'deidentified.csv'}\n"
    assert "burned-in text: the gate, which blocks a film, sees" in err
    assert "1 ok, 1 reject BURNED_IN_ANNOTATION" in err
    assert "Canary" not in err + out.replace(str(tmp_path), "")
    code, out, err = said(*words[:2], *places, "-q")
    assert (code, err) == (0, "")
    code, out, _ = said(*words, *places, "--json", "-q")
    assert json.loads(out)["outcomes"] == {"ok": 1, "reject BURNED_IN_ANNOTATION": 1}
