"""The identifiers of an encoded data set, found without decoding it.

Whoever receives a film must answer for it before a reader process has seen it: whose it claims to
be, and whether it is a result of hilum. That is a handful of short values near the start, which a
walk over the elements finds. No sequence is built, no value is longer than 64 bytes, and pixels
are never reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap

from hilum.imaging.dicom.elements import MAX_DEPTH, MAX_ELEMENTS, ElementWalk

__all__ = ["Identifiers", "identifiers_of"]

_LONGEST = 64
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_PATIENT, _STUDY, _SERIES = 0x00100020, 0x0020000D, 0x0020000E
_MANUFACTURER, _CONTRIBUTING = 0x00080070, 0x0018A001
_WANTED = frozenset({_SOP_CLASS, _SOP_INSTANCE, _PATIENT, _STUDY, _SERIES})


@dataclass(frozen=True)
class Identifiers:
    """What a data set says of itself; empty where it does not.

    Attributes:
        sop_class, sop_instance, study, series: UIDs, not checked.
        patient: patient id, as it is encoded; left out of `repr`.
        makers: manufacturers of the equipment that contributed to it.
    """

    sop_class: str = ""
    sop_instance: str = ""
    study: str = ""
    series: str = ""
    patient: bytes = b""
    makers: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Identifiers(...)"


def identifiers_of(data: bytes | mmap, start: int, little: bool = True) -> Identifiers | None:
    r"""Return the identifiers of a data set; None where it nests or lists more than a film does.

    Args:
        data: bytes with a data set in them.
        start: where it starts.
        little: whether its byte order is little-endian.

    >>> identifiers_of(b"\x20\0\x0d\0UI\x04\x001.2\0" b"\x20\0\x10\0SH\x02\0a ", 0).study
    '1.2'
    """
    walk = ElementWalk(data, start, "<" if little else ">")
    found: dict[int, bytes] = {}
    makers: list[str] = []
    contributing = False
    for _ in range(MAX_ELEMENTS):
        more = walk.step()
        depth = len(walk.ends)
        if not more or (walk.tag > _SERIES and depth == 0):
            return Identifiers(
                _text(found.get(_SOP_CLASS)),
                _text(found.get(_SOP_INSTANCE)),
                _text(found.get(_STUDY)),
                _text(found.get(_SERIES)),
                found.get(_PATIENT, b""),
                tuple(makers),
            )
        if depth > MAX_DEPTH:
            return None
        if walk.tag == _CONTRIBUTING and depth == 1:
            contributing = True
        elif depth == 0:
            contributing = False
            if walk.tag in _WANTED and walk.tag not in found:
                found[walk.tag] = _short(walk)
        elif contributing and depth == 1 and walk.tag == _MANUFACTURER:
            makers.append(_text(_short(walk)))
    return None


def _short(walk: ElementWalk) -> bytes:
    """Return the value of the element before, without padding; nothing where it is too long."""
    start, end = walk.value
    if end - start > _LONGEST:
        return b""
    return bytes(walk.data[start:end]).strip(b" \0")


def _text(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace")
