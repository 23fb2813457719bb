"""The parent's side of a reader: start it, send it requests, time it, replace it when it ends."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from hilum.confined.child import Child, describe_exit
from hilum.confined.frames import Frame, FrameError
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.domain.provenance import SCORING, code_sha256
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading import NOUN, start_reader
from hilum.reading.film import FilmFacts, Reading, Refusal
from hilum.reading.picture import Picture
from hilum.reading.requests import Request, warnings_of

__all__ = ["Limits", "ReaderProcess"]

T = TypeVar("T")

_LOG = logging.getLogger(__package__)
"""At INFO: the warnings of decoders, by film, module and class, for `--verbose`."""
_NOT_STARTED = f"{NOUN} did not start"
_TO_START_S = 120.0
"""Seconds to import everything from a slow disk, on a busy machine."""
_TO_ANSWER_S = 5.0
"""Seconds beyond a film's own limit: the kernel ends a decoder that computes before that."""
_IN_FLIGHT = 2
"""Requests sent ahead of their answers: the reader has the next one when it finishes one."""


@dataclass(frozen=True)
class Limits:
    """Limits of reading one film.

    Attributes:
        timeout_s: seconds of clock time and of processor time, each.
        memory_bytes: address space beyond what the process has before its first film.
    """

    timeout_s: int = 30
    memory_bytes: int = 4 * 1024**3


class ReaderProcess:
    """One process that reads films, started at the first request, and anew after it ended.

    Not thread-safe: each thread needs a reader of its own.

    Args:
        preprocessing: of the network that the films are for.
        gate: rules for what is accepted as a film.
        limits: of each film.
        early: a process that was started before all this was known, used first; ended with this.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        gate: GateRules,
        limits: Limits | None = None,
        early: Child | None = None,
    ) -> None:
        self._side = preprocessing.size
        self._dtype = preprocessing.dtype
        self._limits = limits or Limits()
        self._settings = {
            "preprocessing": preprocessing.model_dump(mode="json"),
            "gate": gate.model_dump(mode="json"),
            "timeout_s": self._limits.timeout_s,
            "memory_bytes": self._limits.memory_bytes,
        }
        self._early = early
        self._child: Child | None = None
        self._waiting = 0  # requests that were sent and have no answer
        self._closed = False

    def read(self, path: Path, with_preview: bool, with_header: bool = False) -> Reading | Refusal:
        """Read, screen and resize a film, or say why not.

        Args:
            path: the film.
            with_preview: give a small JPEG too.
            with_header: give the DICOM identity too, which names the patient.

        Raises:
            FilmError: `DECODER_CRASHED` or `TIMEOUT` when the film ended the process, or would not
                end.
        """

        def result(answer: Frame) -> Reading | Refusal:
            if "refused" in answer.head:
                refusal = Refusal.model_validate(answer.head["refused"])
                pictures = [bytes(blob) for blob in answer.blobs[:1] if with_preview]
                return refusal.model_copy(update={"preview": pictures[0] if pictures else None})
            facts = FilmFacts.model_validate(answer.head)
            raster = np.frombuffer(answer.blobs[0], self._dtype).reshape(self._side, self._side)
            return Reading(facts, raster, bytes(answer.blobs[1]) if with_preview else None)

        head = {
            "do": "read",
            "path": str(path),
            "preview": with_preview,
            "header": with_header,
        }
        return self.ask(Request(head, result))

    def draw(self, picture: Picture) -> bytes:
        """Draw a heatmap on the film that was read last; the bytes of the picture file.

        Raises:
            FilmError: `DECODER_CRASHED` or `TIMEOUT`.
        """

        def result(answer: Frame) -> bytes:
            (file,) = answer.blobs
            return bytes(file)

        return self.ask(Request(picture.head, result, [picture.data]))

    def sha256(self, path: Path) -> str | None:
        """Hash a regular file's bytes; None where it is not one, or cannot be read.

        Raises:
            FilmError: `TIMEOUT`, for example when a network share does not answer.
        """

        def result(answer: Frame) -> str | None:
            found = answer.head.get("sha256")
            return found if isinstance(found, str) else None

        return self.ask(Request({"do": "hash", "path": str(path)}, result))

    def ask(self, request: Request[T]) -> T:
        """Send one request and wait for its result.

        Raises:
            FilmError: the film's own fault, or `DECODER_CRASHED` or `TIMEOUT` when it ended the
                process, or would not end.
        """
        self._send(request)
        return self._checked(request, self._receive())

    def results(self, requests: Sequence[Request[T]]) -> Iterator[T | FilmError]:
        """Send requests, one ahead of the answers; yield each result, or its error, in order.

        A film at which the process ended is read once more, alone and by a new process, before it
        is an error: the film before it, or a shortage of memory, may have been the cause.
        """
        try:
            for place, request in enumerate(requests):
                try:
                    while self._waiting < min(_IN_FLIGHT, len(requests) - place):
                        self._send(requests[place + self._waiting])
                    result = self._checked(request, self._receive())
                except FilmError as error:
                    lost = error.code is ReasonCode.DECODER_CRASHED and not self._waiting
                    result = self._again(request) if lost else error
                yield result
        finally:
            if self._waiting:  # nobody wants these answers, and the next request has another
                self._end()

    def _again(self, request: Request[T]) -> T | FilmError:
        try:
            return self.ask(request)
        except FilmError as error:
            return error

    def stop(self) -> None:
        """End the process, for good; a thread that waits for an answer gets an error."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the process, for good. No other thread may be waiting for its answer."""
        self._closed = True
        self._end()
        early, self._early = self._early, None
        if early is not None:
            early.end()

    def _end(self) -> None:
        child, self._child, self._waiting = self._child, None, 0
        if child is not None:
            child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, request: Request[T], answer: Frame) -> T:
        try:
            for module, category in warnings_of(answer):
                film = str(request.head.get("path", "the film"))
                _LOG.info("%s: %s warned (%s)", _on_one_line(film), module, category)
            return request.result(answer)
        except (ValueError, IndexError):  # pydantic's ValidationError is a ValueError
            raise self._untrusted() from None

    def _send(self, request: Request[Any]) -> None:
        child, head = self._child, request.head
        idle = not self._waiting and head["do"] not in ("draw", "pixels")
        if child is not None and idle and child.has_output():
            self._end()  # it ended, or sent what nobody requested: not the fault of this film
        child = self._child or self._start()
        self._waiting += 1
        try:
            child.send(head, request.blobs, self._limits.timeout_s + _TO_ANSWER_S)
        except TimeoutError:
            self._end()
            raise self._too_slow() from None
        except OSError:  # the process is gone; `_receive` finds out how
            pass

    def _receive(self) -> Frame:
        child = self._child
        if child is None:
            raise RuntimeError("an answer must be that to a request; none was sent")
        try:
            answer = child.receive(self._limits.timeout_s + _TO_ANSWER_S)
        except TimeoutError:
            self._end()
            raise self._too_slow() from None
        except (EOFError, OSError):  # the process, or its pipes, are gone
            self._child, self._waiting = None, 0
            code = child.wait()
            raise (self._too_slow() if code == -signal.SIGXCPU else _crashed(code)) from None
        except FrameError:
            raise self._untrusted() from None
        self._waiting -= 1
        return answer

    def _start(self) -> Child:
        """Start a process and wait until it is ready.

        Raises:
            ChildProcessError: when the system does not let a process start.
            RuntimeError: when the process ends by itself: a module is missing, or it is a bug.
            UsageError: when hilum's own files differ from those of this process.
        """
        try:
            return self._start_once()
        except ChildProcessError:  # perhaps a short lack of memory
            return self._start_once()

    def _start_once(self) -> Child:
        child = self._child = self._early or start_reader()
        self._early = None
        if self._closed:  # by another thread, which may have seen no process to end
            self._end()
            raise RuntimeError("a reader that was closed takes no more requests")
        try:
            code_of_child = child.ask(self._settings, (), _TO_START_S).head.get("code_sha256")
        except TimeoutError:
            self._end()
            raise ChildProcessError(f"{_NOT_STARTED} within {_TO_START_S:.0f} s") from None
        except (EOFError, OSError, FrameError):
            self._child = None
            line = child.last_error_line() or "no message"
            code = child.wait()
            message = f"{_NOT_STARTED} ({describe_exit(code)}): {line}"
            raise (ChildProcessError(message) if code < 0 else RuntimeError(message)) from None
        if code_of_child != code_sha256(*SCORING):
            self._end()
            raise UsageError(
                "hilum's files must not change during a run; they changed after this one started, "
                "and films would be read by different code. Start it again; a batch, into "
                "a different folder"
            )
        child.close_stderr()
        return child

    def _too_slow(self) -> FilmError:
        return FilmError(
            Status.ERROR,
            ReasonCode.TIMEOUT,
            f"a film must be read within {self._limits.timeout_s} s; this one was given up",
        )

    def _untrusted(self) -> FilmError:
        self._end()
        return FilmError(
            Status.ERROR,
            ReasonCode.DECODER_CRASHED,
            "reading the film ended in an answer that makes no sense",
        )


def _on_one_line(path: str) -> str:
    """Return a file's name with everything escaped that a terminal would obey."""
    name = Path(path).name
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def _crashed(code: int) -> FilmError:
    return FilmError(
        Status.ERROR,
        ReasonCode.DECODER_CRASHED,
        f"reading the film ended the process that read it ({describe_exit(code)})",
    )
