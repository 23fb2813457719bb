"""Readers without processes: what is tested of a batch beside them takes milliseconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from hilum.confined.frames import Buffer, Frame, frame_bytes, read_frame
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.process import ReaderProcess
from hilum.reading.reader import FilmReader
from hilum.reading.requests import Request


class Inline(ReaderProcess):
    """A reader without a process. Requests and answers pass through frames all the same."""

    def __init__(self, preprocessing: Preprocessing, gate: GateRules, *rest: Any) -> None:
        super().__init__(preprocessing, gate, *rest)
        self._reader = FilmReader(preprocessing, gate)
        self._answers: deque[Frame] = deque()

    def _send(self, request: Request[Any]) -> None:
        sent = _through_frames(request.head, request.blobs)
        self._answers.append(_through_frames(*self._reader.answer(sent)))
        self._waiting += 1

    def _receive(self) -> Frame:
        self._waiting -= 1
        return self._answers.popleft()


def _through_frames(head: dict[str, Any], blobs: Sequence[Buffer]) -> Frame:
    data = memoryview(b"".join(frame_bytes(head, blobs)))
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        at += size
        return bytes(data[at - size : at])

    return read_frame(read)
