import hashlib
import io
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging import read as reading
from hilum.imaging.read import read

DicomOf = Callable[..., bytes]

GREY = np.add.outer(np.arange(150), np.arange(100)).astype(np.uint8)


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, kind)
    return stream.getvalue()


PNG, JPEG, TIFF = encoded("PNG"), encoded("JPEG"), encoded("TIFF")


def refusal(source: Path | bytes) -> tuple[Status, ReasonCode]:
    with pytest.raises(FilmError) as caught:
        read(source)
    return caught.value.status, caught.value.code


def test_a_file_and_its_bytes_are_the_same_film(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(PNG)
    of_path, of_bytes = read(path), read(PNG, name="film.png")
    np.testing.assert_array_equal(of_path.pixels, of_bytes.pixels)
    assert of_path.source == of_bytes.source == "film.png"
    assert of_path.sha256 == of_bytes.sha256 == hashlib.sha256(PNG).hexdigest()
    assert of_path.codes == ()


@pytest.mark.parametrize(
    ("name", "data", "differs"),
    [
        ("a.png", PNG, False),
        ("a.PNG", PNG, False),
        ("a", PNG, False),
        ("1.2.840.113", PNG, False),
        ("a.jpeg", JPEG, False),
        ("a.tif", TIFF, False),
        ("a.dcm", PNG, True),
        ("a.png", JPEG, True),
        ("a.jpg", TIFF, True),
        ("a.gif", PNG, True),
    ],
)
def test_content_decides_and_a_wrong_suffix_is_said(name: str, data: bytes, differs: bool) -> None:
    assert (ReasonCode.EXT_MISMATCH in read(data, name=name).codes) is differs


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", Status.ERROR, ReasonCode.EMPTY_FILE),
        (b"<html>404 Not Found</html>", Status.ERROR, ReasonCode.NOT_AN_IMAGE),
        (b"PK\x03\x04" + b"\0" * 200, Status.ERROR, ReasonCode.NOT_AN_IMAGE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", Status.ERROR, ReasonCode.FORMAT_NOT_ALLOWED),
        (b"<svg xmlns='...'/>", Status.ERROR, ReasonCode.FORMAT_NOT_ALLOWED),
        (b"%PDF-1.7", Status.ERROR, ReasonCode.FORMAT_NOT_ALLOWED),
        (b"GIF89a....", Status.REJECT, ReasonCode.FORMAT_NOT_ALLOWED),
        (b"RIFF\0\0\0\0WEBPVP8 ", Status.REJECT, ReasonCode.FORMAT_NOT_ALLOWED),
        (b"BM......", Status.REJECT, ReasonCode.FORMAT_NOT_ALLOWED),
        (b"\0\0\0\x20ftypavif", Status.REJECT, ReasonCode.FORMAT_NOT_ALLOWED),
    ],
)
def test_what_is_no_film_is_named(data: bytes, status: Status, code: ReasonCode) -> None:
    assert refusal(data) == (status, code)


def test_files_that_are_none(tmp_path: Path) -> None:
    folder, pipe, loop = tmp_path / "folder.png", tmp_path / "pipe.png", tmp_path / "loop.png"
    folder.mkdir()
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path in (folder, pipe, Path("/dev/zero")):
        assert refusal(path) == (Status.SKIP, ReasonCode.NOT_REGULAR_FILE)
    (folder / "self").symlink_to(".")
    (folder / "up").symlink_to(tmp_path)
    for path in (loop, folder / "self", folder / "up"):
        assert refusal(path) == (Status.SKIP, ReasonCode.SYMLINK_LOOP)
    dangling = tmp_path / "dangling.png"
    dangling.symlink_to(tmp_path / "gone.png")
    names = (dangling, tmp_path / "absent.png", tmp_path / ("x" * 300), tmp_path / "a\0b")
    for path in names:
        assert refusal(path) == (Status.ERROR, ReasonCode.FILE_NOT_FOUND)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(PNG)

    def denied(*_: object) -> int:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(reading.os, "open", denied)  # chmod does not stop root
    assert refusal(path) == (Status.ERROR, ReasonCode.PERMISSION_DENIED)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(PNG)

    def failing(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(reading.os, "open", failing)
    assert refusal(path) == (Status.ERROR, ReasonCode.READ_FAILED)


def test_a_file_that_grows_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(PNG)
    fstat = os.fstat

    def then_grow(descriptor: int) -> os.stat_result:
        seen = fstat(descriptor)
        with path.open("ab") as file:
            file.write(b"more")
        return seen

    monkeypatch.setattr(reading.os, "fstat", then_grow)
    assert refusal(path) == (Status.ERROR, ReasonCode.CHANGED_WHILE_READING)


def test_a_file_past_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    with path.open("wb") as file:
        file.truncate(512 * 1024**2 + 1)
    assert refusal(path) == (Status.REJECT, ReasonCode.DECODE_LIMIT)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([PNG, JPEG, TIFF]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_damage_ends_in_a_film_or_a_reason(
    data: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    with suppress(FilmError):
        assert isinstance(read(bytes(damaged[: int(kept * len(damaged))])), Radiograph)


def test_warnings_are_quiet_inside_and_as_before_outside() -> None:
    read(PNG)  # the filter is entered with the first film, and stays
    before = list(warnings.filters)
    ready = threading.Barrier(4)

    def many(_: int) -> int:
        ready.wait()
        return sum(read(PNG).shape[0] for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(many, range(4))) == {20 * 150}
    assert warnings.filters == before
    with pytest.raises(UserWarning):
        warnings.warn("still an error", UserWarning, stacklevel=1)


def test_no_warning_of_a_decoder_reaches_the_screen(tmp_path: Path, dicom_of: DicomOf) -> None:
    pixels = (np.add.outer(np.arange(150), np.arange(140)) % 256).astype(np.uint8)
    patient = "=".join(["DOE^JANE^A^B^C^D^E^F"] * 5)
    film = tmp_path / "a.dcm"
    with pytest.warns(UserWarning, match="number of PN components"):
        film.write_bytes(dicom_of(pixels, PatientName=patient))
    with pytest.warns(UserWarning, match="number of PN components"):
        _ = pydicom.dcmread(film).PatientName
    (tmp_path / "table.csv").write_text("path,Effusion\na.dcm,1\n")
    done = subprocess.run(
        [sys.executable, "-c", "from hilum.cli import command; command()", "check", "table.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "read: 1 of 1" in done.stdout
    assert done.stderr == ""
