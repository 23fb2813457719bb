"""A reader that films with certain names take over; begun as a process in place of the real one."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hilum.confined import serve
from hilum.confined.frames import Frame
from hilum.confined.serve import Answer
from hilum.reading import reader

honest = reader.read
answer = reader.FilmReader.answer
send = serve._send
CHATTY = "".join(["P", "A"])  # a string of its own


def babble() -> None:
    """Write to every pipe that there is."""
    for file in range(1, 30):
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(file).st_mode):
                os.write(file, b"nonsense " * 10)


def read(path: Path, identity: bool = False) -> object:
    match path.stem:
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(7)
        case "hang":
            threading.Event().wait()
        case "spin":
            while True:
                pass
        case "babble":
            babble()
        case "fifo":  # put in the place of a file after it was looked at
            os.close(os.open(path.with_suffix(".pipe"), os.O_RDONLY))
        case "held":  # tells through a pipe that it is within the film, and stays there
            os.close(os.open(path.with_suffix(".pipe"), os.O_RDONLY))
            threading.Event().wait()
        case "greedy":
            bytearray(64 * 1024**3)
        case "writes":
            path.with_suffix(".made").write_bytes(b"a file of mine")
    return honest(path, identity=identity)


def answered(self: reader.FilmReader, asked: Frame) -> Answer:
    name = Path(asked.head.get("path", "")).stem
    facts, blobs = answer(self, asked)
    if asked.head["do"] == "hash":
        return facts, blobs
    match name:
        case "no_raster":
            return facts, ()
        case "short_raster":
            return facts, [b"short", *blobs[1:]]
        case "no_shape":
            return {**facts, "shape": [0, 0]}, blobs
        case "nan":
            return {**facts, "age_years": float("nan")}, blobs
        case "no_hash":
            return {**facts, "sha256": "../../etc/passwd"}, blobs
        case "more":
            return {**facts, "run": "rm"}, blobs
        case "scored":
            return {"refused": {"status": "ok", "code": "OOD", "message": "", "sha256": None}}, ()
        case "list":
            return {"refused": [1, 2]}, ()
        case "chatty":
            return {**facts, "view": CHATTY}, blobs
    return facts, blobs


def sent(sink: BinaryIO, head: dict[str, object], blobs: Sequence[bytes]) -> None:
    """Say more after an answer than was asked, where a film is called so."""
    chatty = head.get("view") is CHATTY
    send(sink, head, blobs)
    if chatty:
        sink.write(b"nonsense")
        sink.flush()


if __name__ == "__main__":
    reader.read = read
    reader.FilmReader.answer = answered
    serve._send = sent
    reader.main()
