"""`hilum report`: the same pages from the folder alone, one file to send, a sheet of paper."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def batch(toy: Path, tmp_path: Path, said: Said) -> Path:
    """Three films and a file that is none, scored with all pictures."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for film in sorted((toy / "films" / "images").iterdir())[:3]:
        shutil.copyfile(film, inbox / film.name)
    (inbox / "empty.png").touch()
    code, _, _ = said("predict", toy / "bundle", inbox, "-o", tmp_path / "out", "-q")
    assert code == 3
    return tmp_path / "out"


def bytes_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*")}


def test_the_pages_come_out_the_same_to_the_byte(batch: Path, toy: Path, said: Said) -> None:
    before = bytes_of(batch)
    for name in ("report.html", "dashboard.html", "final_clinical_report.csv"):
        (batch / name).unlink()
    code, out, err = said("report", batch, "--bundle", toy / "bundle")
    assert (code, out, err) == (0, f"{batch / 'report.html'}\n", "")
    assert bytes_of(batch) == before


def test_files_to_send_leave_the_folder_alone(
    batch: Path, toy: Path, tmp_path: Path, said: Said
) -> None:
    before = bytes_of(batch)
    single, sheets = tmp_path / "send" / "films.html", tmp_path / "sheets"
    arguments = ("--bundle", toy / "bundle", "--single-file", single, "--pdf", sheets, "--json")
    code, out, err = said("report", batch, *arguments)
    assert code == 0
    assert re.fullmatch(r"about [\d.]+ MB for 4 films in one file\n", err)
    written = [Path(name) for name in json.loads(out)["files"]]
    assert written[0] == single
    assert len(written) == 5
    assert all(path.read_bytes().startswith(b"%PDF") for path in written[1:])
    assert all(path.parent == sheets for path in written[1:])
    assert bytes_of(batch) == before
    html = single.read_text("utf-8")
    assert single.stat().st_size <= 4 * 1_000_000
    assert "./films/" not in html
    assert html.count('src="data:image/') >= 3
    assert "img-src data:;" in html


def test_one_film_by_name(batch: Path, toy: Path, tmp_path: Path, said: Said) -> None:
    name = sorted(path.name for path in (tmp_path / "inbox").iterdir())[0]
    options = ("--bundle", toy / "bundle", "--film", name)
    code, out, _ = said("report", batch, *options, "--pdf", tmp_path)
    assert code == 0
    assert [Path(line).stem for line in out.split()] == [Path(name).stem]
    code, _, err = said("report", batch, *options[:3], f"{name}x", "--pdf", tmp_path)
    assert code == 2
    assert f"Did you mean '{name}'?" in err
    code, _, err = said("report", batch, *options)
    assert (code, "neither is given" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Name its folder with --bundle"),
        (("--bundle", "starter"), "Name the right one with --bundle"),
        (("--bundle", "nowhere/at/all"), "bundle.json must be there"),
    ],
)
def test_the_bundle_that_scored_is_needed(
    batch: Path, said: Said, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = said("report", batch, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_what_is_no_finished_batch_is_refused(
    batch: Path, toy: Path, tmp_path: Path, said: Said
) -> None:
    bundle = ("--bundle", toy / "bundle")
    code, _, err = said("report", tmp_path / "inbox", *bundle)
    assert (code, "has no results.jsonl" in err) == (2, True)
    code, _, err = said("report", batch, *bundle, "--single-file", batch / "report.html")
    assert (code, "outside the folder of the results" in err) == (2, True)
    with (batch / "results.jsonl").open("a") as lines:
        lines.write('{"input": "x"}\n')
    code, _, err = said("report", batch, *bundle)
    assert (code, "line 5 is not" in err) == (2, True)


def test_a_picture_outside_the_folder_is_never_written_into_a_file(
    batch: Path, toy: Path, tmp_path: Path, said: Said
) -> None:
    secret = tmp_path / "films" / "secret.png"
    secret.parent.mkdir()
    Image.new("L", (4, 4), 200).save(secret)
    lines = (batch / "results.jsonl").read_text("ascii").splitlines()
    first = json.loads(lines[1])
    first["film"] = "films/../../films/secret.png"
    (batch / "results.jsonl").write_text("\n".join([lines[0], json.dumps(first), *lines[2:]]))
    single = tmp_path / "films.html"
    assert said("report", batch, "--bundle", toy / "bundle", "--single-file", single)[0] == 0
    import base64

    assert base64.b64encode(secret.read_bytes()).decode()[:60] not in single.read_text("utf-8")
