"""A process of its own that reads films and draws on them: `python -m hilum.batch.reader`.

A film is somebody else's bytes, and decoders have had holes for thirty years. So none is decoded
in the process that holds the network and writes the results: it is decoded here, under limits of
memory and processor time, without leave to write files, and where the kernel gives it, without a
network.
Commands come in on standard input and answers go out on standard output, as `frames`.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from hilum.batch.frames import Buffer, Frame, frame_bytes, read_frame
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.provenance import code_sha256
from hilum.domain.radiograph import Radiograph
from hilum.explain.caption import Caption
from hilum.explain.colours import Style
from hilum.explain.files import PictureFormat
from hilum.explain.overlay import preview
from hilum.explain.picture import render
from hilum.files.sealed import file_sha256
from hilum.imaging.gate import GateRules, screen
from hilum.imaging.limits import MAX_FILE_BYTES
from hilum.imaging.preprocess import Preprocessing
from hilum.imaging.read import read

__all__ = ["FilmReader", "confine", "main"]

Answer = tuple[dict[str, Any], Sequence[Buffer]]


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
                return self._read(Path(asked.head["path"]), asked.head["preview"])
            case "draw":
                return self._draw(asked.head, asked.blobs[0])
            case _:
                return {"sha256": _hash(Path(asked.head["path"]))}, ()

    def _read(self, path: Path, with_preview: bool) -> Answer:
        self._film = None
        identity: dict[str, str] = {}
        before = _stamp(path)
        try:
            film = read(path)
            identity = _identity(film)
            codes = (*film.codes, *screen(film, self._gate))
            return self._ready(
                film, {**identity, "codes": list(dict.fromkeys(codes))}, with_preview
            )
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


def confine(memory_bytes: int) -> None:
    """Give up what reading a film does not need: memory, files to write, the network.

    What the system does not know, or does not let an ordinary user give up, stays.

    Args:
        memory_bytes: of address space, beyond what is in use now.
    """
    # the keys and signals that stop a batch are for the batch; it ends us by closing our input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):  # where memory runs out, we go first and not the batch
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in (
        (resource.RLIMIT_AS, _address_space() + memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    _without_network()


def _address_space() -> int:
    """Bytes of it that this process has; libraries reserve more of it the more processors."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 2 * 1024**3
    return pages * resource.getpagesize()


def _without_network() -> None:
    """An own, empty network name space, where the kernel gives one."""
    import ctypes

    new_network = 0x40000000
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(new_network)


def _allow_cpu(seconds: int) -> None:
    """Processor time from now on; past it the kernel ends this process."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + seconds + 1
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, most))


def _end_with(source: int) -> None:
    """End this process as soon as nobody is left who asks, in the midst of a film too."""
    if not hasattr(select, "poll"):  # Windows
        return
    poll = select.poll()
    poll.register(source, 0)  # that the other side is gone is told in any case

    def watch() -> None:
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    begin = read_frame(source.read).head
    confine(begin["memory_bytes"])
    reader = FilmReader(
        Preprocessing.model_validate(begin["preprocessing"]),
        GateRules.model_validate(begin["gate"]),
    )
    _send(sink, {"code_sha256": code_sha256()}, ())
    # from here on nobody wants to see what a decoder has to say
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    while True:
        try:
            asked = read_frame(source.read)
        except EOFError:
            return
        _allow_cpu(begin["timeout_s"])
        _send(sink, *reader.answer(asked))


def _send(sink: BinaryIO, head: dict[str, Any], blobs: Sequence[Buffer]) -> None:
    for piece in frame_bytes(head, blobs):
        sink.write(piece)
    sink.flush()


def main() -> None:
    """The process: what a library prints must not pass for an answer."""
    _end_with(0)
    cv2.setNumThreads(1)  # several of these processes run beside each other
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
