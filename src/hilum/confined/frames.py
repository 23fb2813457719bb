"""Messages between a parent and a confined child: JSON, then raw bytes.

A frame is the length of a header (4 bytes, big-endian), the header as JSON, and the blobs whose
lengths the header lists. Nothing is ever unpickled: a process that hostile bytes have taken over
can send wrong numbers, but no code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_FRAME_BYTES", "Frame", "FrameError", "frame_bytes", "read_frame"]

MAX_FRAME_BYTES = 256 * 1024**2
"""More than all pictures of one film need, together."""

Buffer = bytes | bytearray | memoryview


class FrameError(Exception):
    """Bytes that are not a frame: the process on the other side can no longer be trusted."""


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        head: the JSON object, without the lengths of the blobs.
        blobs: raw bytes, such as pixels.
    """

    head: dict[str, Any]
    blobs: tuple[bytes | bytearray, ...] = ()


def frame_bytes(head: dict[str, Any], blobs: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return a message as pieces, to be written one after the other.

    >>> b"".join(frame_bytes({"do": "read"}))[4:]
    b'{"do":"read","blobs":[]}'
    """
    sizes = [len(memoryview(blob).cast("B")) for blob in blobs]
    text = json.dumps({**head, "blobs": sizes}, separators=(",", ":")).encode("ascii")
    return [struct.pack(">I", len(text)) + text, *blobs]


def read_frame(read: Callable[[int], bytes | bytearray]) -> Frame:
    """Read the next message.

    Args:
        read: returns exactly the requested number of bytes; fewer at the end of the stream.

    Raises:
        EOFError: when the other side has closed the pipe, between two messages or within one.
        FrameError: for bytes that are not a message, or more than `MAX_FRAME_BYTES`.

    >>> import io
    >>> sent = io.BytesIO(b"".join(frame_bytes({"do": "read"}, [b"abc"])))
    >>> read_frame(sent.read)
    Frame(head={'do': 'read'}, blobs=(b'abc',))
    """
    (length,) = struct.unpack(">I", _exactly(read, 4))
    if length > MAX_FRAME_BYTES:
        raise FrameError("a header is longer than the longest message")
    try:
        head = json.loads(_exactly(read, length))
        sizes = head.pop("blobs")
        valid = all(type(size) is int and size >= 0 for size in sizes)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise FrameError("a header is not a JSON object with blobs") from error
    if not valid or sum(sizes) > MAX_FRAME_BYTES:
        raise FrameError("blobs have an impossible length")
    return Frame(head, tuple(_exactly(read, size) for size in sizes))


def _exactly(read: Callable[[int], bytes | bytearray], size: int) -> bytes | bytearray:
    data = read(size) if size else b""
    if len(data) < size:
        raise EOFError("the other side has closed the pipe")
    return data
