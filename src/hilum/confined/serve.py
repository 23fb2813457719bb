"""The child's side: confine the process, then answer one frame after the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from hilum.confined.frames import Buffer, Frame, frame_bytes, read_frame
from hilum.confined.limits import allow_cpu, confine, end_with

__all__ = ["Answer", "Answering", "serve"]

Answer = tuple[dict[str, Any], Sequence[Buffer]]
"""Head and blobs of the frame to send back."""
Answering = Callable[[Frame], Answer]
"""A function that answers one frame."""


def serve(start: Callable[[dict[str, Any]], tuple[Answering, dict[str, Any]]]) -> None:
    """Answer frames from standard input on standard output until the input ends.

    The first frame sets the limits, `memory_bytes` and `timeout_s` (processor seconds a frame), and
    carries whatever `start` needs. The output of libraries is discarded: it must not be mistaken
    for an answer.

    Args:
        start: takes the head of the first frame; returns the function that answers all later
            frames, and the head of the answer to the first.
    """
    end_with(0)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source = sys.stdin.buffer
    first = read_frame(source.read).head
    confine(first["memory_bytes"])
    answer, ready = start(first)
    _send(sink, ready, ())
    # nobody reads the warnings of libraries from here on
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    while True:
        try:
            frame = read_frame(source.read)
        except EOFError:
            return
        allow_cpu(first["timeout_s"])
        _send(sink, *answer(frame))


def _send(sink: BinaryIO, head: dict[str, Any], blobs: Sequence[Buffer]) -> None:
    for piece in frame_bytes(head, blobs):
        sink.write(piece)
    sink.flush()
