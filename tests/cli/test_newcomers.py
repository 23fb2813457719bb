"""What a first command meets: typing errors, places that cannot be written, summaries that fit."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from typer.main import get_command

from hilum.bundle.bundle import shipped
from hilum.cli.app import app
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import UsageError, counted
from hilum.domain.findings import nih14
from hilum.files.sealed import read_sealed
from hilum.phantom.film import draw_example
from hilum.report.evaluation.sentences import terminal_summary
from hilum.report.parts.text import columned

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of films: right, inverted, and no film at all."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "films"
    folder.mkdir()
    film = (draw_example("Effusion", seed=1).pixels * 255).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, film.shape, np.uint8)
    for name, pixels in (("right", film), ("inverted", 255 - film), ("noise", noise)):
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    hand(folder / "hand.dcm", film)
    return folder


def hand(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    """Write a DICOM film of another part of the body."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality, dataset.BodyPartExamined = "DX", "HAND"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def test_every_film_that_was_decoded_has_a_picture(said: Said, films: Path) -> None:
    code, _, _ = said("predict", "starter", films, "-o", "out", "-q")
    assert code == 3
    rows = {
        Path(row["input"]).stem: row
        for row in map(json.loads, Path("out/results.jsonl").read_text().splitlines())
    }
    codes = {name: row["codes"] for name, row in rows.items() if row["status"] == "reject"}
    assert codes == {
        "inverted": ["INVERTED_SUSPECTED"],
        "noise": ["OOD"],
        "hand": ["BODY_PART_NOT_CHEST"],
    }
    page = Path("out/report.html").read_text()
    for row in rows.values():
        preview = Path("out") / row["film"]
        assert cv2.imread(str(preview)) is not None
        assert f'src="./{row["film"]}"' in page
    again = Path("out/results.jsonl").read_bytes()
    assert said("predict", "starter", films, "-o", "out", "-q")[0] == 3
    assert Path("out/results.jsonl").read_bytes() == again


@pytest.mark.parametrize(
    "options",
    [("--overlays",), ("--panel",), ("--style", "triptych"), ("--pictures-as", "png")],
)
def test_whoever_says_how_overlays_are_drawn_gets_them(
    said: Said, films: Path, options: tuple[str, ...]
) -> None:
    given_ = ("predict", "starter", films / "right.png", "--threshold", "0", "-q")
    said(*given_, "-o", "wide", *options)
    said(*given_, "-o", "small")
    drawn = sorted(path.name for path in Path("wide/overlays").iterdir())
    assert drawn == sorted(path.name for path in Path("wide/maps").iterdir())
    assert drawn
    assert not any(Path("small/overlays").iterdir())
    page = Path("wide/report.html").read_text()
    assert all(f"./overlays/{name}" in page for name in drawn)
    assert 'class="reading sheets"' not in page


def test_inputs_that_do_not_exist_write_nothing(said: Said, films: Path) -> None:
    code, out, err = said("predict", "starter", "/nope", "gone.png", "-o", "x")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "there must be a film to score" in err
    assert not Path("x").exists()
    # one that exists is enough: each other one gets its row
    assert said("predict", "starter", films / "right.png", "gone.png", "-o", "x", "-q")[0] == 3


@pytest.mark.parametrize("verb", ["predict", "check", "phantom", "demo"])
@pytest.mark.parametrize("out", ["/proc/x", "/dev/null/x", "a\0b", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_line(
    said: Said, films: Path, verb: str, out: str
) -> None:
    words = {"predict": ("starter", films), "check": (films,), "phantom": ("nih",), "demo": ()}
    before = sorted(films.parent.rglob("*"))
    code, said_, err = said(verb, *words[verb], "-o", out)
    assert (code, said_, err.count("\n")) == (2, "", 1)
    assert sorted(films.parent.rglob("*")) == before


def test_without_a_place_no_other_batch_is_replaced(said: Said, films: Path) -> None:
    one, other = films / "right.png", films / "noise.png"
    code, out, _ = said("predict", "starter", one, "-q", "--tables-only")
    assert (code, out) == (0, "hilum-report/report.html\n")
    assert said("predict", "starter", one, "-q", "--tables-only")[0] == 0
    before = Path("hilum-report/results.jsonl").read_bytes()
    code, _, err = said("predict", "starter", other, "--tables-only")
    assert (code, err.count("\n")) == (2, 1)
    assert "holds something else" in err
    assert Path("hilum-report/results.jsonl").read_bytes() == before


def test_the_counts_of_one_are_singular(said: Said, films: Path) -> None:
    _, out, err = said(
        "predict", "starter", films / "right.png", "-o", "x", "--tables-only", "--format", "console"
    )
    assert "1 input: 1 ok" in err
    assert "1 film in" in err
    assert "1 input: 1 ok" in out
    assert not re.search(r"(?<![\d.,])1 (inputs|films|patients|findings)\b", out + err)


@given(st.integers(0, 3000), st.sampled_from(["film", "study", "batch"]))
def test_a_noun_is_singular_for_one_alone(number: int, noun: str) -> None:
    words = counted(number, noun)
    assert words.startswith(f"{number:,} ")
    assert words.endswith(noun) is (number == 1)


def test_a_folder_of_films_alone_gets_three_lines(said: Said, films: Path) -> None:
    code, out, err = said("check", films)
    assert (code, err) == (2, "")
    many, table, score = out.splitlines()
    assert many == f"4 films in {films}."
    assert table.startswith("No table of labels")
    assert f"hilum predict starter {films}" in score
    (films / "labels.csv").write_text("a,b\n")
    assert said("check", films)[1] == ""


@pytest.mark.parametrize(("word", "near"), [("dream", None), ("evalute", "evaluate")])
def test_only_a_near_verb_is_suggested(said: Said, word: str, near: str | None) -> None:
    code, _, err = said(word, "starter")
    assert (code, err.count("\n")) == (2, 1)
    assert f"No such command '{word}'" in err
    assert ("Did you mean" in err) is (near is not None)
    assert near is None or f"'{near}'" in err


def test_a_shipped_bundle_is_known_by_name_to_localize(said: Said, films: Path) -> None:
    code, _, err = said("localize", "starter")
    assert (code, err.count("\n")) == (2, 1)
    assert "a bundle's heatmaps are measured with --data" in err
    assert not Path("starter").exists()


def test_every_verb_is_quiet_and_prints_json() -> None:
    verbs: dict[str, Any] = dict(get_command(app).commands)  # pyright: ignore
    verbs |= {f"watch {verb}": command for verb, command in verbs.pop("watch").commands.items()}
    for verb, command in verbs.items():
        if verb in ("serve", "node"):  # they answer requests, and have no result to print
            continue
        options = {word for one in command.params for word in one.opts}
        assert {"-q", "--quiet", "--json"} <= options, verb


def test_verbs_that_read_films_are_verbose() -> None:
    commands: dict[str, Any] = get_command(app).commands  # pyright: ignore
    for verb in ("predict", "check", "train", "cache", "calibrate", "evaluate", "localize"):
        assert any("--verbose" in one.opts for one in commands[verb].params), verb


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hilum", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("hilum ")


@pytest.mark.parametrize("width", [80, 60])
def test_an_evaluation_fits_the_terminal(width: int) -> None:
    evaluation = read_sealed(Evaluation, shipped()["starter"] / "evaluation.json")
    lines = terminal_summary(evaluation, width).splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= width
    assert "201 films of 141 patients" in "\n".join(lines)


def test_a_check_fits_the_terminal(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    said("phantom", "nih", "-o", "nih", "--patients", 20, "-q")
    code, out, _ = said("check", "nih", "--no-films")
    assert len(out.splitlines()) <= 40
    assert max(map(len, out.splitlines())) <= 80
    full = said("check", "nih", "--no-films", "--full")
    assert full[0] == code
    assert len(full[1].splitlines()) > 40
    assert "| Finding" in full[1]


@given(st.lists(st.tuples(st.text("ab", max_size=40), st.text("12")), min_size=1, max_size=4))
def test_columns_are_never_wider_than_asked(rows: list[tuple[str, str]]) -> None:
    assert all(len(line) <= 20 for line in columned(rows, 20))


def test_a_finding_that_the_set_lacks_is_not_suggested_to_itself() -> None:
    with pytest.raises(UsageError) as caught:
        nih14().index("No Finding")
    assert "Did you mean" not in str(caught.value)
    assert "NIH-14, which has Atelectasis" in str(caught.value)


def test_verbose_names_library_and_class_and_never_a_word(said: Said, films: Path) -> None:
    bad = films / "warned.dcm"
    data = (films / "hand.dcm").read_bytes()
    at = data.index(b"\x18\x00\x15\x00CS")
    bad.write_bytes(data[:at] + b"\x10\x00\x20\x00LO\x44\x00" + b"DOE " * 17 + data[at:])
    _, _, err = said("predict", "starter", bad, "-o", "x", "--tables-only", "--verbose")
    assert re.search(r"^warned\.dcm: pydicom\.\w+ warned \(UserWarning\)$", err, re.M), err
    assert "DOE" not in err
    _, _, err = said("predict", "starter", bad, "-o", "y", "--tables-only")
    assert "warned (" not in err
    assert not logging.getLogger("hilum.reading").handlers
