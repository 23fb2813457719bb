"""Messages of several parts (multipart/related), read as they arrive and never held whole."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

__all__ = ["DICOM", "MultipartError", "PartReader", "PartSink", "boundary_of", "joined"]

DICOM = "application/dicom"
"""Media type of a part that is a DICOM file."""
_LONGEST_BOUNDARY = 200
"""Characters of a boundary, at most. RFC 2046 has 70; Orthanc 1.10 sends 73."""


class MultipartError(ValueError):
    """A message that is not of several whole parts."""


class PartSink(Protocol):
    """What takes the bytes of one part."""

    def write(self, data: bytes) -> object:
        """Take the next bytes."""
        ...

    def end(self) -> None:
        """Take notice that the part is whole."""
        ...


def boundary_of(content_type: str) -> str | None:
    """Return the boundary of a message of DICOM files; None for a different kind of message.

    >>> boundary_of('multipart/related; type="application/dicom"; boundary="a b"')
    'a b'
    >>> boundary_of("application/dicom") is None
    True
    """
    message = Message()
    message["content-type"] = content_type
    if message.get_content_type() != "multipart/related":
        return None
    kind, boundary = message.get_param("type"), message.get_param("boundary")
    if isinstance(kind, str) and kind.lower() != DICOM:
        return None
    if not isinstance(boundary, str) or not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        return None
    return boundary if boundary.isascii() and boundary.isprintable() else None


def joined(data: bytes, boundary: str) -> bytes:
    """Return a message of one DICOM file."""
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode("ascii")
    return b"".join((head, data, f"\r\n--{boundary}--\r\n".encode("ascii")))


class PartReader:
    r"""Gives each part of a message to a sink of its own.

    Args:
        boundary: between the parts.
        begin: called with the media type of a part, lower-case and without parameters; returns
            what takes its bytes.

    >>> class Kept(list):
    ...     def write(self, data): self.append(data)
    ...     def end(self): self.append(b"|")
    >>> kept = Kept()
    >>> reader = PartReader("x", lambda kind: kept)
    >>> reader.feed(joined(b"film", "x"))
    >>> reader.finish()
    >>> b"".join(kept)
    b'film|'
    """

    def __init__(self, boundary: str, begin: Callable[[str], PartSink]) -> None:
        self._begin = begin
        self._sink: PartSink | None = None
        self._name = self._value = b""
        self._kind = ""
        self._whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=16,
        )

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the message.

        Raises:
            MultipartError: for bytes that are not those of such a message.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise MultipartError("a message must have parts between its boundary") from None

    def finish(self) -> None:
        """Take notice that there are no more bytes.

        Raises:
            MultipartError: for a message that ends within a part.
        """
        if not self._whole:
            raise MultipartError("a message must end with its closing boundary")

    def _on_part_begin(self) -> None:
        self._name = self._value = b""
        self._kind = ""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._name.strip().lower() == b"content-type":
            kind = self._value.partition(b";")[0]
            self._kind = kind.strip().lower().decode("latin-1")
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        self._sink = self._begin(self._kind)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._sink is not None:
            self._sink.write(data[start:end])

    def _on_part_end(self) -> None:
        if self._sink is not None:
            self._sink.end()
        self._sink = None

    def _on_end(self) -> None:
        self._whole = True
