"""What passes between a batch and the processes that read its films: JSON, then raw bytes.

A frame is the length of a header (4 bytes, big-endian), the header as JSON, and the blobs whose
lengths the header lists. Nothing is ever unpickled: a process that hostile bytes have taken over
can send wrong numbers, and no code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_FRAME_BYTES", "Frame", "FrameError", "frame_bytes", "read_frame"]

MAX_FRAME_BYTES = 256 * 1024**2
"""More than all pictures of one film need."""

Buffer = bytes | bytearray | memoryview


class FrameError(Exception):
    """Bytes that are no frame: the process on the other side is not to be believed any more."""


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        head: what it says.
        blobs: bytes that go with it.
    """

    head: dict[str, Any]
    blobs: tuple[bytes, ...] = ()


def frame_bytes(head: dict[str, Any], blobs: Sequence[Buffer] = ()) -> list[Buffer]:
    """A message as the pieces to be written one after the other.

    >>> b"".join(frame_bytes({"do": "read"}))[4:]
    b'{"do":"read","blobs":[]}'
    """
    sizes = [len(memoryview(blob).cast("B")) for blob in blobs]
    text = json.dumps({**head, "blobs": sizes}, separators=(",", ":")).encode("ascii")
    return [struct.pack(">I", len(text)) + text, *blobs]


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """The next message.

    Args:
        read: gives exactly as many bytes as asked for; fewer where the other side has gone.

    Raises:
        EOFError: when the other side has closed between two messages or within one.
        FrameError: for bytes that are no message, or more than `MAX_FRAME_BYTES`.

    >>> import io
    >>> sent = io.BytesIO(b"".join(frame_bytes({"do": "read"}, [b"abc"])))
    >>> read_frame(sent.read)
    Frame(head={'do': 'read'}, blobs=(b'abc',))
    """
    (length,) = struct.unpack(">I", _exactly(read, 4))
    if length > MAX_FRAME_BYTES:
        raise FrameError("a header is longer than any message")
    try:
        head = json.loads(_exactly(read, length))
        sizes = head.pop("blobs")
        sound = all(type(size) is int and size >= 0 for size in sizes)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise FrameError("a header is no JSON object with blobs") from error
    if not sound or sum(sizes) > MAX_FRAME_BYTES:
        raise FrameError("blobs are of impossible length")
    return Frame(head, tuple(_exactly(read, size) for size in sizes))


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size) if size else b""
    if len(data) < size:
        raise EOFError("the other side has gone")
    return data
