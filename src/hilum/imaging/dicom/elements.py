"""A walk over the elements of a DICOM data set, before a parser sees them: how deep, how many."""

from __future__ import annotations

import struct
from mmap import mmap

from pydicom.datadict import dictionary_VR

from hilum.domain.errors import FilmError, ReasonCode, Status

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "ElementWalk", "check_nesting"]

MAX_DEPTH = 32
"""Sequences in sequences; a structured report has some ten, a film two or three."""
MAX_ELEMENTS = 500_000

_UNDEFINED = 0xFFFFFFFF
_ITEM_GROUP, _SEQUENCE_END = 0xFFFE, 0xE0DD
_PIXEL_DATA = 0x7FE00010
_LONG_FORM = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs whose length has four bytes, after two that are reserved."""


def check_nesting(data: bytes, start: int, little: bool = True) -> None:
    r"""Refuse a data set that nests deeper, or holds more elements, than any film's.

    Whatever else is wrong with the bytes ends the walk: that is for the parser to say.

    Args:
        data: bytes with a data set in them.
        start: where it starts.
        little: whether its byte order is little-endian.

    Raises:
        FilmError: `DICOM_TOO_DEEP` (error) or `DECODE_LIMIT` (reject).

    Example:
        >>> opened = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff" b"\xfe\xff\0\xe0\xff\xff\xff\xff"
        >>> check_nesting(opened * 32, 0)
        >>> check_nesting(opened * 33, 0)
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: sequences may be nested 32 deep; this data set goes deeper
    """
    walk = ElementWalk(data, start, "<" if little else ">")
    for _ in range(MAX_ELEMENTS):
        if not walk.step():
            return
        if len(walk.ends) > MAX_DEPTH:
            raise FilmError(
                Status.ERROR,
                ReasonCode.DICOM_TOO_DEEP,
                f"sequences may be nested {MAX_DEPTH} deep; this data set goes deeper",
            )
    raise FilmError(
        Status.REJECT,
        ReasonCode.DECODE_LIMIT,
        f"a film's data set may have at most {MAX_ELEMENTS} elements; this one has more",
    )


class ElementWalk:
    """A walk over the elements of a data set, those in sequences too; no value is read.

    Attributes:
        place: where the next element starts.
        ends: where the sequences around it end.
        tag: of the element before, group and number; 0 for what only opens or closes a sequence.
        value: (start, end) of its value.

    Args:
        data: bytes with a data set in them; a memory map will do.
        start: where it starts.
        order: `<` for little-endian, `>` for big-endian.
    """

    def __init__(self, data: bytes | mmap, start: int, order: str) -> None:
        self.data = data
        self.place = start
        self.ends: list[int] = []
        self.tag = 0
        self.value = (start, start)
        self._order = order
        self._in_fragments = False
        self._implicit = not data[start + 4 : start + 6].isalpha()

    def step(self) -> bool:
        """Go past one element or into one sequence; False at the end of what can be read."""
        self.tag = 0
        while self.ends and self.place >= self.ends[-1] and not self._in_fragments:
            self.ends.pop()
        if self.place + 8 > len(self.data):
            return False
        group, element = struct.unpack_from(f"{self._order}HH", self.data, self.place)
        if self._in_fragments:  # the items of encapsulated pixels hold bytes and no elements
            self._in_fragments = group == _ITEM_GROUP and element != _SEQUENCE_END
            self.place += 8 + (self._number("I", self.place + 4) if self._in_fragments else 0)
            return True
        if group == _ITEM_GROUP:
            if element == _SEQUENCE_END and self.ends:
                self.ends.pop()
            self.place += 8  # an item's elements simply follow
            return True
        tag = group << 16 | element
        vr, length, head = self._head(tag)
        if tag == _PIXEL_DATA and not self.ends:
            return False
        self.place += head
        self.tag = tag
        self.value = (self.place, min(self.place + length, len(self.data)))
        if vr == b"SQ" or (length == _UNDEFINED and vr in (b"UN", b"")):
            self.ends.append(len(self.data) if length == _UNDEFINED else self.place + length)
        else:
            self._in_fragments = length == _UNDEFINED
            self.place += 0 if self._in_fragments else length
        return True

    def _head(self, tag: int) -> tuple[bytes, int, int]:
        """Return VR, length of the value, and of its header; `b""` for an unknown VR."""
        vr = self.data[self.place + 4 : self.place + 6]
        if self._implicit or not vr.isalpha():
            length = self._number("I", self.place + 4)
            return _known_vr(tag), length, 8
        if vr in _LONG_FORM:
            return vr, self._number("I", self.place + 8), 12
        return vr, self._number("H", self.place + 6), 8

    def _number(self, kind: str, at: int) -> int:
        if at + struct.calcsize(kind) > len(self.data):
            return len(self.data)
        return struct.unpack_from(f"{self._order}{kind}", self.data, at)[0]


def _known_vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b""
