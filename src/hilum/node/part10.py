"""The head of a DICOM file: what it says of the data set behind it, and where that starts."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hilum.imaging.dicom.elements import ElementWalk

__all__ = ["LONGEST_HEAD", "FileHead", "file_head"]

LONGEST_HEAD = 65536
"""Bytes of preamble and meta information, at most; that of a film has some four hundred."""
_PREAMBLE = 132
_SOP_CLASS, _SOP_INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_LONGEST = 64


@dataclass(frozen=True)
class FileHead:
    """What the head of a file says.

    Attributes:
        sop_class, sop_instance, syntax: UIDs, not checked.
        start: bytes of the head.
    """

    sop_class: str
    sop_instance: str
    syntax: str
    start: int


def file_head(data: bytes) -> FileHead | None:
    r"""Return the head of a file; None for bytes that are not the start of one.

    Args:
        data: the first `LONGEST_HEAD` bytes, or the whole of a shorter file.

    >>> uid = b"\x02\0\x10\0UI\x08\x001.2.840\0"
    >>> file_head(bytes(128) + b"DICM" + uid + b"\x08\0\x05\0CS\0\0")
    FileHead(sop_class='', sop_instance='', syntax='1.2.840', start=148)
    """
    if data[128:_PREAMBLE] != b"DICM":
        return None
    walk = ElementWalk(data, _PREAMBLE, "<")
    found: dict[int, str] = {}
    while data[walk.place : walk.place + 2] == b"\x02\0":
        if not walk.step() or walk.ends or walk.place > len(data):
            return None
        start, end = walk.value
        if end - start <= _LONGEST:
            found[walk.tag] = data[start:end].strip(b" \0").decode("ascii", "replace")
    if _SYNTAX not in found or walk.place + struct.calcsize("HH") > len(data):
        return None
    return FileHead(
        found.get(_SOP_CLASS, ""), found.get(_SOP_INSTANCE, ""), found[_SYNTAX], walk.place
    )
