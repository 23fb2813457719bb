"""A process of its own that reads films and draws on them: `python -m hilum.reading.reader`.

A film is somebody else's bytes, and decoders have had holes for thirty years. So none is decoded
in the process that holds the network and writes the results: it is decoded here, under limits of
memory and processor time, without leave to write files, and where the kernel gives it, without a
network.
Commands come in on standard input and answers go out on standard output, as `frames`.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hilum.confined.frames import Frame
from hilum.confined.serve import Answer, Answering, serve
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.provenance import SCORING, code_sha256
from hilum.domain.radiograph import Radiograph
from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.overlay import Style, preview
from hilum.explain.picture import render
from hilum.files.sealed import file_sha256
from hilum.imaging.gate import GateRules, screened
from hilum.imaging.limits import MAX_FILE_BYTES
from hilum.imaging.preprocess import Preprocessing
from hilum.imaging.read import read

__all__ = ["FilmReader", "main"]


class FilmReader:
    """Answers commands; keeps the film it read last, so that it can be drawn on.

    Args:
        preprocessing: of the bundle that will score.
        gate: what the bundle takes for a film.
    """

    def __init__(self, preprocessing: Preprocessing, gate: GateRules) -> None:
        self._preprocessing = preprocessing
        self._gate = gate
        self._film: Radiograph | None = None

    def answer(self, asked: Frame) -> Answer:
        """What a command asks for: `read`, `draw` or `hash`."""
        match asked.head["do"]:
            case "read":
                path, wanted = Path(asked.head["path"]), asked.head
                return self._read(path, wanted["preview"], wanted["header"])
            case "draw":
                return self._draw(asked.head, asked.blobs[0])
            case _:
                return {"sha256": _hash(Path(asked.head["path"]))}, ()

    def _read(self, path: Path, with_preview: bool, with_header: bool) -> Answer:
        self._film = None
        identity: dict[str, str] = {}
        before = _stamp(path)
        try:
            film = read(path, identity=with_header)
            identity = _identity(film)
            return self._ready(screened(film, self._gate), identity, with_preview)
        except FilmError as error:
            refusal = error
        except MemoryError:
            refusal = _too_much()
        except cv2.error as error:
            if error.code != cv2.Error.StsNoMem:
                raise
            refusal = _too_much()
        said = {
            "status": refusal.status,
            "code": refusal.code,
            "message": refusal.message[:2000],
            "sha256": _hash(path),
            "settled": before is not None and _stamp(path) == before,
            **identity,
        }
        return {"refused": said}, ()

    def _ready(self, film: Radiograph, said: dict[str, Any], with_preview: bool) -> Answer:
        facts = {
            **said,
            "codes": film.codes,
            "header": None if film.header is None else vars(film.header),
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

    def _draw(self, wanted: dict[str, Any], cells: bytes) -> Answer:
        film = self._film
        if film is None:
            raise RuntimeError("a film is drawn on after it was read")
        heatmap = np.frombuffer(cells, np.float32).reshape(wanted["cells"])
        on_film = self._preprocessing.to_film(heatmap, film.shape)
        caption = Caption(**wanted["caption"])
        drawn = render(film, on_film, Style(wanted["style"]), caption, wanted["panel"])
        return {}, [PictureFormat(wanted["stored"]).file_bytes(drawn)]


def _identity(film: Radiograph) -> dict[str, str]:
    """What tells two films of one DICOM identity apart; nothing for a film without one."""
    if not film.sop_instance_uid:
        return {}
    return {"sop_instance_uid": film.sop_instance_uid, "pixels_sha256": film.pixels_sha256}


def _too_much() -> FilmError:
    said = "reading the film would take more memory than a film needs"
    return FilmError(Status.REJECT, ReasonCode.DECODE_LIMIT, said)


def _hash(path: Path) -> str | None:
    """Of the bytes of a regular file; None where it is none, too long, or cannot be read."""
    try:
        found = path.stat()
        short = found.st_size <= MAX_FILE_BYTES
        return file_sha256(path) if stat.S_ISREG(found.st_mode) and short else None
    except (OSError, ValueError):
        return None


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written to, or replaced."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def main() -> None:
    """Run as the child process of `hilum.reading.process.ReaderProcess`."""
    cv2.setNumThreads(1)  # several of these processes run beside each other
    serve(_begin)


def _begin(head: dict[str, Any]) -> tuple[Answering, dict[str, Any]]:
    reader = FilmReader(
        Preprocessing.model_validate(head["preprocessing"]),
        GateRules.model_validate(head["gate"]),
    )
    return reader.answer, {"code_sha256": code_sha256(*SCORING)}


if __name__ == "__main__":
    main()
