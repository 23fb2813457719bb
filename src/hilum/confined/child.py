"""The parent's side: start a child process, exchange frames with it, time it, end it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from hilum.confined.frames import Buffer, Frame, frame_bytes, read_frame

__all__ = ["Child", "describe_exit"]

_ENVIRONMENT = {
    # several of these processes run side by side, and starting threads takes time and memory
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    # glibc gives freed memory back after each film and takes it again for the next: for 256 px
    # that is 179 page faults, 1.4 of 2.8 core-ms
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024**2),
}
"""What a child finds in its environment beside the parent's."""
_TO_END_S = 5.0
"""Seconds that a process with closed pipes gets to end by itself."""
_PIPE_BYTES = 1024**2
_SET_PIPE_SIZE = 1031
"""fcntl's F_SETPIPE_SZ, which Python 3.11 names on Linux only."""
_LAST_BYTES = 2000
"""Bytes of standard error that are kept: Python prints the error itself last."""


class Child:
    """A process that answers requests in the order in which they are sent.

    It has a process group of its own: Ctrl-C in a terminal stops the parent, which then ends the
    child. Its standard error is kept until `close_stderr`, to explain a child that does not start.

    Args:
        command: program and arguments.
        noun: name of the process in the message of a failed start.

    Raises:
        ChildProcessError: when the system cannot start a process.
    """

    def __init__(self, command: Sequence[str], noun: str) -> None:
        self.noun = noun
        try:
            self._process = subprocess.Popen(  # noqa: S603 (ours, whatever it is to work on)
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                process_group=0,
                env={**os.environ, **_ENVIRONMENT},
            )
        except OSError as error:
            raise ChildProcessError(f"{noun} did not start: {error.strerror or error}") from None
        self._source, self._sink = _number(self._process.stdout), _number(self._process.stdin)
        for pipe in (self._source, self._sink):
            os.set_blocking(pipe, False)
        _widen(self._source)

    def ask(self, head: dict[str, Any], blobs: Sequence[Buffer], seconds: float) -> Frame:
        """Send a request and wait for its answer.

        Raises:
            TimeoutError: when there is no answer within `seconds`.
            EOFError, BrokenPipeError: when the process has ended, or is about to.
            FrameError: when the answer is not a frame.
        """
        deadline = time.monotonic() + seconds
        self.send(head, blobs, seconds)
        return self.receive(max(0.0, deadline - time.monotonic()))

    def send(self, head: dict[str, Any], blobs: Sequence[Buffer], seconds: float) -> None:
        """Send a request; the child reads it when it has answered the ones before.

        Raises:
            TimeoutError: when the child does not take it within `seconds`.
            BrokenPipeError: when the process has ended.
        """
        deadline = time.monotonic() + seconds
        for piece in frame_bytes(head, blobs):
            view = memoryview(piece).cast("B")
            while view:
                try:
                    view = view[os.write(self._sink, view) :]
                except BlockingIOError:
                    _wait_for(self._sink, select.POLLOUT, deadline)

    def receive(self, seconds: float) -> Frame:
        """Wait for the answer to the oldest request that has none.

        Raises:
            TimeoutError: when there is no answer within `seconds`.
            EOFError, OSError: when the process has ended.
            FrameError: when the answer is not a frame.
        """
        deadline = time.monotonic() + seconds

        def exactly(size: int) -> bytearray:
            data = bytearray(size)
            view, filled = memoryview(data), 0
            while filled < size:
                try:
                    count = os.readv(self._source, [view[filled:]])
                except BlockingIOError:
                    _wait_for(self._source, select.POLLIN, deadline)
                    continue
                if not count:
                    return data[:filled]
                filled += count
            return data

        return read_frame(exactly)

    def has_output(self) -> bool:
        """Return whether the process has ended, or has sent something without a request."""
        return _ready(self._source, select.POLLIN, 0.0)

    def kill(self) -> None:
        """Kill the process; safe from any thread. A thread that waits for an answer gets an error.

        The pipes stay open: otherwise that thread could write to an unrelated file that was given
        the same number.
        """
        self._process.kill()

    def end(self) -> int:
        """Kill the process, close its pipes and return its exit code (-9 when it was killed).

        A process that waits inside the kernel, for a network share that hangs, ends only when the
        kernel returns.
        """
        self._process.kill()
        code = -int(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_TO_END_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return code

    def close(self) -> None:
        """End the process; for `contextlib.closing`. A process that has ended stays ended."""
        self.end()

    def wait(self) -> int:
        """Return the exit code of a process that closed its pipes; kill it after a few seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TO_END_S)
        return self.end()

    def close_stderr(self) -> None:
        """Close the pipe of standard error: the process has started, and nobody reads it now."""
        if self._process.stderr is not None:
            self._process.stderr.close()

    def last_error_line(self) -> str:
        """Return the last line on standard error of a process that has ended; "" without one."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TO_END_S)
        source, output = _number(self._process.stderr), b""
        while _ready(source, select.POLLIN, 0.0) and (more := os.read(source, _PIPE_BYTES)):
            output = (output + more)[-_LAST_BYTES:]
        lines = output.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def describe_exit(code: int) -> str:
    """Return an exit code in words.

    >>> describe_exit(-9), describe_exit(1)
    ('SIGKILL', 'exit 1')
    """
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _wait_for(file: int, event: int, deadline: float) -> None:
    if not _ready(file, event, max(0.0, deadline - time.monotonic())):
        raise TimeoutError


def _ready(file: int, event: int, seconds: float) -> bool:
    # select.select cannot watch a file whose number is 1024 or more
    poll = select.poll()
    poll.register(file, event)
    return bool(poll.poll(seconds * 1000.0))


def _widen(source: int) -> None:
    """Make room in the pipe for a whole answer, so that the child need not wait within one."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.fcntl(source, _SET_PIPE_SIZE, _PIPE_BYTES)


def _number(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise RuntimeError("a child must be started with pipes")
    return pipe.fileno()
