"""UIDs of result objects, derived from what they are about: the same film gives the same UIDs."""

from __future__ import annotations

import hashlib
import hmac
import json

from hilum.interchange import FilmResults

__all__ = ["device_uid", "object_uid", "series_uid", "tracking_uid", "uid_of", "uid_of_digest"]

_PURPOSE = b"hilum uid 1\0"
"""Keeps these apart from the pseudonyms that the same key makes."""


def uid_of(key: bytes, *words: str) -> str:
    """Return the UID of some words: 2.25 and a UUID whose bits are HMAC-SHA256(key, words).

    >>> uid_of(bytes(32), "a", "b") == uid_of(bytes(32), "a", "b") != uid_of(bytes(32), "ab")
    True
    """
    text = json.dumps(words).encode("ascii")
    return uid_of_digest(hmac.new(key, _PURPOSE + text, hashlib.sha256).digest())


def uid_of_digest(digest: bytes) -> str:
    """Return the UID of a hash: 2.25 and a UUID whose bits are the hash's first 128.

    >>> uid_of_digest(bytes(32))
    '2.25.604472133179351442128896'
    """
    number = int.from_bytes(digest[:16], "big")
    # version 8 and variant of RFC 9562: bits that the owner chose
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"2.25.{number}"


def object_uid(film: FilmResults, kind: str) -> str:
    """Return the SOP instance UID of an object.

    It depends on everything that the object says, so that a different object never has it.
    """
    return uid_of(film.key, "object", kind, *_basis(film))


def series_uid(film: FilmResults, kind: str) -> str:
    """Return the UID of the series of an object; each object is a series of its own."""
    return uid_of(film.key, "series", kind, *_basis(film))


def tracking_uid(film: FilmResults, finding: str) -> str:
    """Return the UID that joins what the objects of a film say of one finding."""
    return uid_of(film.key, "tracking", finding, *_basis(film))


def device_uid(film: FilmResults) -> str:
    """Return the UID of hilum with this bundle on this installation."""
    return uid_of(film.key, "device", film.algorithm.software, film.algorithm.id)


def _basis(film: FilmResults) -> tuple[str, ...]:
    results = [
        (name, one.probability, one.threshold, one.decision.value, one.abstention, one.calibrated)
        for name, one in film.findings.items()
    ]
    outlines = [(name, one.points, one.level) for name, one in film.outlines.items()]
    content = json.dumps([results, outlines, film.codes, sorted(film.kinds)])
    sheet = b"" if film.sheet is None else film.sheet.data
    return (
        film.header.sop_instance_uid,
        film.sha256,
        film.algorithm.id,
        film.algorithm.software,
        film.algorithm.precision,
        hashlib.sha256(content.encode() + sheet).hexdigest(),
        str(film.revision),
    )
