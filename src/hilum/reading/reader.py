"""A separate process that reads films and draws on them: `python -m hilum.reading.reader`.

A film is somebody else's bytes, and decoders have had holes for thirty years. So no film is decoded
in the process that holds the network and writes the results: it is decoded here, under limits of
memory and processor time, without permission to write files and, where the kernel allows it,
without a network.
Requests arrive on standard input and answers leave on standard output, as `frames`.
"""

from __future__ import annotations

import re
import stat
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.confined.frames import Buffer, Frame
from hilum.confined.serve import Answer, Answering, serve
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.provenance import SCORING, code_sha256
from hilum.domain.radiograph import Radiograph
from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.overlay import preview
from hilum.explain.picture import render
from hilum.explain.ramp import Style
from hilum.files.sealed import file_sha256
from hilum.imaging.gate import GateRules, screen, screened
from hilum.imaging.limits import MAX_FILE_BYTES
from hilum.imaging.preprocess import Preprocessing, thumbnail
from hilum.imaging.read import decoder_warnings, guarded, read

if TYPE_CHECKING:
    from hilum.reading.deidentified import HeldObject

__all__ = ["FilmReader", "grays_of", "main"]


_SAFE = re.compile(r"[^A-Za-z0-9_.]")
_WHOLE = 1e-3
"""Difference from a whole gray level of 255 that float32 makes of one."""
_NAME = 100
"""Characters of a module's or class's name in an answer."""


class FilmReader:
    """Answers requests; keeps the film it read last, to draw on.

    Args:
        preprocessing: of the network that the films are for.
        gate: rules for what is accepted as a film.
    """

    def __init__(self, preprocessing: Preprocessing, gate: GateRules) -> None:
        self._preprocessing = preprocessing
        self._gate = gate
        self._film: Radiograph | None = None
        self._held: HeldObject | None = None

    def answer(self, request: Frame) -> Answer:
        """Answer a request, by its `do`: one of the eight below.

        Where a decoder warned, the answer has `warned`: the module and class of each warning.
        """
        head, blobs = self._answer(request)
        warned = [
            tuple(_SAFE.sub("_", name)[:_NAME] for name in pair) for pair in decoder_warnings()
        ]
        return ({**head, "warned": warned} if warned else head), blobs

    def _answer(self, request: Frame) -> Answer:
        head = request.head
        match head["do"]:
            case "read":
                return self._read(Path(head["path"]), head["preview"], head["header"])
            case "draw":
                return self._draw(head, request.blobs[0])
            case "pixels":
                return self._pixels()
            case "hash":
                return {"sha256": _hash(Path(head["path"]))}, ()
            case "hold":
                return self._hold(Path(head["path"]), head)
            case "write":
                return self._write(head["digests"])
            case "raster":
                return _reduced(Path(head["path"]), self._raster)
            case _:
                return _reduced(Path(head["path"]), _thumbnail)

    def _read(self, path: Path, with_preview: bool, with_header: bool) -> Answer:
        self._film = film = None
        identity: dict[str, str] = {}
        before = _stamp(path)
        try:
            with _memory_limit():
                film = read(path, identity=with_header)
                identity = _identity(film)
                return self._ready(screened(film, self._gate), identity, with_preview)
        except FilmError as error:
            self._film = film  # it can be looked at, though it is not scored
            refusal = {
                **_fault(error),
                "sha256": _hash(path),
                "settled": before is not None and _stamp(path) == before,
                "header": None if film is None or film.header is None else asdict(film.header),
                **identity,
            }
            # why it is not scored can often be seen: turned black and white, a hand, a collage
            return {"refused": refusal}, _previews(film if with_preview else None)

    def _hold(self, path: Path, head: dict[str, Any]) -> Answer:
        from hilum.reading.deidentified import ExportOptions, HeldObject, Keep

        self._held = None
        before = _stamp(path)
        try:
            with _memory_limit():
                options = ExportOptions(tuple(map(Keep, head["kept"])), head["clean"])
                self._held = guarded(path, lambda data: HeldObject(data, options))
                return self._held.head, ()
        except FilmError as error:
            settled = before is not None and _stamp(path) == before
            return {"refused": {**_fault(error), "sha256": _hash(path), "settled": settled}}, ()

    def _write(self, digests: list[str]) -> Answer:
        held, self._held = self._held, None
        if held is None:
            raise RuntimeError("an object must be held before it is written")
        try:
            with _memory_limit():
                return {}, [held.written(digests)]
        except FilmError as error:
            return {"fault": _fault(error)}, ()

    def _ready(self, film: Radiograph, known: dict[str, Any], with_preview: bool) -> Answer:
        facts = {
            **known,
            "codes": film.codes,
            "header": None if film.header is None else asdict(film.header),
            "sha256": film.sha256,
            "shape": film.shape,
            "view": film.view,
            "patient_id": film.patient_id,
            "age_years": film.age_years,
            "sex": film.sex,
        }
        pictures = [preview(film)] if with_preview else []
        raster = np.ascontiguousarray(self._preprocessing.raster(film)).data
        self._film = film
        return facts, [raster, *pictures]

    def _raster(self, film: Radiograph) -> Answer:
        screen(film, self._gate)
        return {"shape": film.shape}, [np.ascontiguousarray(self._preprocessing.raster(film)).data]

    def _draw(self, head: dict[str, Any], cells: Buffer) -> Answer:
        film = self._film
        if film is None:
            raise RuntimeError("a film must be read before it is drawn on")
        heatmap = np.frombuffer(cells, np.float32).reshape(head["cells"])
        on_film = self._preprocessing.to_film(heatmap, film.shape)
        caption = Caption(**head["caption"])
        seen = self._preprocessing.seen(film.shape)
        drawn = render(film, on_film, Style(head["style"]), caption, head["panel"], seen)
        stored, longest = PictureFormat(head["stored"]), head.get("longest")
        if longest is None:
            return {}, [stored.file_bytes(drawn)]
        drawn = _within(drawn, longest)
        pixels = stored is PictureFormat.PNG
        file = np.ascontiguousarray(drawn).data if pixels else stored.file_bytes(drawn)
        return {"shape": drawn.shape[:2]}, [file]

    def _pixels(self) -> Answer:
        film = self._film
        if film is None:
            raise RuntimeError("a film must be read before its pixels are given")
        values, bits = grays_of(film)
        head = {
            "rows": film.shape[0],
            "columns": film.shape[1],
            "bits": bits,
            "spacing_mm": film.spacing_mm,
            "orientation": film.orientation,
            "laterality": film.laterality,
        }
        return head, [zlib.compress(values, 1)]


def _within(picture: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Return a picture no side of which is longer."""
    rows, columns = picture.shape[:2]
    scale = longest / max(rows, columns)
    if scale >= 1.0:
        return picture
    size = (max(1, int(columns * scale)), max(1, int(rows * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def grays_of(film: Radiograph) -> tuple[bytes, int]:
    r"""Return a film's grays as whole numbers, row by row, and their bits: 8, or 16 little-endian.

    8 bits where they lose nothing; 0 is black and the largest number white.

    >>> grays_of(Radiograph(np.array([[0.0, 1.0]], np.float32), source="a.png"))
    (b'\x00\xff', 8)
    >>> grays_of(Radiograph(np.array([[0.001, 1.0]], np.float32), source="a.png"))[1]
    16
    """
    levels = film.pixels * np.float32(255.0)
    whole = np.rint(levels)
    if float(np.abs(levels - whole).max()) < _WHOLE:
        return whole.astype(np.uint8).tobytes(), 8
    return np.rint(film.pixels * np.float32(65535.0)).astype("<u2").tobytes(), 16


def _previews(film: Radiograph | None) -> list[Buffer]:
    """Return the preview of a film that is not scored; none where it cannot be drawn."""
    if film is None:
        return []
    try:
        return [preview(film)]
    except (MemoryError, ValueError, cv2.error):
        return []


def _reduced(path: Path, reduce: Callable[[Radiograph], Answer]) -> Answer:
    """Return what is made of a film, or why it cannot be used."""
    try:
        with _memory_limit():
            return reduce(read(path))
    except FilmError as error:
        return {"fault": _fault(error)}, ()


def _thumbnail(film: Radiograph) -> Answer:
    return {"sha256": film.sha256, "codes": film.codes}, [thumbnail(film).data]


@contextmanager
def _memory_limit() -> Generator[None]:
    """Turn a lack of memory into the film's own fault."""
    try:
        yield
    except MemoryError:
        raise _too_much() from None
    except cv2.error as error:
        if error.code != cv2.Error.StsNoMem:
            raise
        raise _too_much() from None


def _too_much() -> FilmError:
    message = "reading the film would take more memory than a film needs"
    return FilmError(Status.REJECT, ReasonCode.DECODE_LIMIT, message)


def _fault(error: FilmError) -> dict[str, str]:
    return {"status": error.status, "code": error.code, "message": error.message[:2000]}


def _identity(film: Radiograph) -> dict[str, str]:
    """Return what tells two films of one DICOM identity apart; nothing for a film without one."""
    if not film.sop_instance_uid:
        return {}
    return {"sop_instance_uid": film.sop_instance_uid, "pixels_sha256": film.pixels_sha256}


def _hash(path: Path) -> str | None:
    """Hash a regular file; None where it is not one, is too long, or cannot be read."""
    try:
        status = path.stat()
        short = status.st_size <= MAX_FILE_BYTES
        return file_sha256(path) if stat.S_ISREG(status.st_mode) and short else None
    except (OSError, ValueError):
        return None


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is written to, or replaced."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def main() -> None:
    """Run as the child process of `hilum.reading.process.ReaderProcess`."""
    cv2.setNumThreads(1)  # several of these processes run side by side
    serve(_start)


def _start(head: dict[str, Any]) -> tuple[Answering, dict[str, Any]]:
    reader = FilmReader(
        Preprocessing.model_validate(head["preprocessing"]),
        GateRules.model_validate(head["gate"]),
    )
    return reader.answer, {"code_sha256": code_sha256(*SCORING)}


if __name__ == "__main__":
    main()
