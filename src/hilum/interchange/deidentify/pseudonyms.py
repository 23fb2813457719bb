"""Names, numbers and UIDs in place of the real ones: the same for the same key, on every machine.

Whoever has the key can try names against them; without it nobody can, as can be done with a plain
hash. So the process that parses somebody else's bytes never has the key: it says which words it
needs (`Recorder`), its parent computes them (`KeyedSecrets`), and it goes on with these
(`Answers`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hilum.interchange.parts.uids import uid_of_digest

__all__ = [
    "Answers",
    "KeyedSecrets",
    "Purpose",
    "Recorder",
    "Secrets",
    "days_of",
    "name_of",
    "new_uid",
]

_PURPOSE = b"hilum deidentify 1\0"
_DAYS = 3650
"""Most days that a patient's dates move: about ten years."""


class Purpose(StrEnum):
    """What a word is hashed for; the same word gives unrelated results for two purposes."""

    UID = "uid"
    NAME = "name"
    DAYS = "days"


class Secrets(Protocol):
    """A keyed hash of words."""

    def digest(self, purpose: Purpose, word: str) -> bytes:
        """Return 32 bytes that only the holder of the key can compute."""
        ...


@dataclass(frozen=True)
class KeyedSecrets:
    """The hash itself: HMAC-SHA256.

    A name is the pseudonym that `hilum predict --phi pseudonym` shows with the same key, so that
    results and exported films can be joined.
    """

    key: bytes = field(repr=False)

    def digest(self, purpose: Purpose, word: str) -> bytes:
        """Return 32 bytes that only the holder of the key can compute."""
        encoded = word.encode("utf-8", "surrogatepass")
        if purpose is not Purpose.NAME:
            encoded = _PURPOSE + json.dumps([purpose, word]).encode("ascii")
        elif b"\0" in encoded:
            encoded = encoded.replace(b"\0", b" ")  # what is hashed for other purposes has one
        return hmac.new(self.key, encoded, hashlib.sha256).digest()


@dataclass
class Recorder:
    """Collects the words that an object needs; its own hashes are zeros."""

    words: dict[tuple[Purpose, str], None] = field(default_factory=dict)

    def digest(self, purpose: Purpose, word: str) -> bytes:
        """Note the word."""
        self.words[purpose, word] = None
        return bytes(32)


@dataclass(frozen=True)
class Answers:
    """Hashes that somebody else computed."""

    known: Mapping[tuple[Purpose, str], bytes]

    def digest(self, purpose: Purpose, word: str) -> bytes:
        """Return the hash of a word that was recorded before.

        Raises:
            KeyError: for any other word.
        """
        return self.known[purpose, word]


def new_uid(secrets: Secrets, uid: str) -> str:
    """Return the UID that stands for a UID.

    >>> new_uid(KeyedSecrets(bytes(32)), "1.2.3") == new_uid(KeyedSecrets(bytes(32)), "1.2.3")
    True
    """
    return uid_of_digest(secrets.digest(Purpose.UID, uid))


def name_of(secrets: Secrets, word: str) -> str:
    """Return the pseudonym of a patient id or an accession number: 16 hexadecimal digits.

    >>> name_of(KeyedSecrets(bytes(32)), "CANARY-8812")
    '9d06b36e7c1ca45c'
    """
    return secrets.digest(Purpose.NAME, word).hex()[:16]


def days_of(secrets: Secrets, patient: str) -> int:
    """Return by how many days the dates of a patient move: back, by 1 to 3,650.

    >>> -3650 <= days_of(KeyedSecrets(bytes(32)), "CANARY-8812") <= -1
    True
    """
    return -1 - int.from_bytes(secrets.digest(Purpose.DAYS, patient)[:8], "big") % _DAYS
