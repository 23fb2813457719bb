"""A child process that answers frames on its standard output: begun, asked, timed, ended."""

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

__all__ = ["Child", "how_it_ended"]

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""Several of these processes run beside each other, and to begin threads takes time and memory."""
_TO_END_S = 5.0
"""From closed pipes to a gone process."""
_PIPE_BYTES = 1024**2
_SET_PIPE_SIZE = 1031
"""fcntl's F_SETPIPE_SZ, which Python 3.11 names on Linux only."""
_LAST_BYTES = 2000
"""Of what it said: an error is told at the end."""


class Child:
    """A process that is asked one thing at a time.

    It has a process group of its own: Ctrl-C in a terminal stops who asks, who then ends it. What
    it says on standard error is kept for whoever wants to know why it did not begin; a child that
    has begun closes that.

    Args:
        command: program and arguments.
        noun: what the process is, for the message when it does not begin.

    Raises:
        ChildProcessError: when the system gives no process.
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
                env={**os.environ, **_ONE_THREAD},
            )
        except OSError as error:
            raise ChildProcessError(f"{noun} did not begin: {error.strerror or error}") from None
        self._source, self._sink = _number(self._process.stdout), _number(self._process.stdin)
        os.set_blocking(self._sink, False)
        _widen(self._source)

    def ask(self, head: dict[str, Any], blobs: Sequence[Buffer], seconds: float) -> Frame:
        """Send a command and wait for its answer.

        Raises:
            TimeoutError: when there is none in time.
            EOFError, BrokenPipeError: when the process has ended, or is about to.
            FrameError: when the answer is none.
        """
        deadline = time.monotonic() + seconds
        for piece in frame_bytes(head, blobs):
            view = memoryview(piece).cast("B")
            while view:
                _wait_for(self._sink, select.POLLOUT, deadline)
                view = view[os.write(self._sink, view) :]

        def exactly(size: int) -> bytes:
            data = bytearray(size)
            view, filled = memoryview(data), 0
            while filled < size:
                _wait_for(self._source, select.POLLIN, deadline)
                got = os.readv(self._source, [view[filled:]])
                if not got:
                    break
                filled += got
            return bytes(view[:filled])

        return read_frame(exactly)

    def has_more(self) -> bool:
        """Whether it has died, or says something that nobody asked for."""
        return _ready(self._source, select.POLLIN, 0.0)

    def kill(self) -> None:
        """End it; for any thread. Who waits for its answer gets an error.

        The pipes stay open, lest that thread writes to another file that got their number.
        """
        self._process.kill()

    def end(self) -> int:
        """End it, and close its pipes; its exit code, which is -9 for one that had to be ended.

        One that waits within the kernel, for a share that hangs, ends when that lets it go.
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
        """End it; for `contextlib.closing`. One that has ended stays so."""
        self.end()

    def ended(self) -> int:
        """The exit code of one that has closed its pipes, and is given the time to end itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TO_END_S)
        return self.end()

    def begun(self) -> None:
        """It works: what it says on standard error from now on is nobody's concern."""
        if self._process.stderr is not None:
            self._process.stderr.close()

    def last_words(self) -> str:
        """The last line on standard error of one that has closed its pipes; empty without one."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TO_END_S)
        source, said = _number(self._process.stderr), b""
        while _ready(source, select.POLLIN, 0.0) and (got := os.read(source, _PIPE_BYTES)):
            said = (said + got)[-_LAST_BYTES:]
        lines = said.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def how_it_ended(code: int) -> str:
    """An exit code for people.

    >>> how_it_ended(-9), how_it_ended(1)
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
    # not select.select, which knows no file beyond the 1024th
    poll = select.poll()
    poll.register(file, event)
    return bool(poll.poll(seconds * 1000.0))


def _widen(source: int) -> None:
    """Room in the pipe for a whole answer, so that no one waits for the other within it."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.fcntl(source, _SET_PIPE_SIZE, _PIPE_BYTES)


def _number(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise RuntimeError("a child is begun with pipes")
    return pipe.fileno()
