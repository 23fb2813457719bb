"""A patient's own names and numbers, looked for in everything that stays."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset

from hilum.interchange.deidentify.values import listed

__all__ = ["Identifiers"]

_NUMBERS = frozenset(
    (
        *("PatientID", "OtherPatientIDs", "AccessionNumber", "AdmissionID", "PatientAddress"),
        *("MilitaryRank", "MedicalRecordLocator", "PatientTelephoneNumbers", "StudyID"),
        *("RequestedProcedureID", "PlacerOrderNumberImagingServiceRequest", "PatientBirthDate"),
        *("FillerOrderNumberImagingServiceRequest", "PatientInsurancePlanCodeSequence"),
    )
)
_SHORTEST_NAME, _SHORTEST_NUMBER, _SHORTEST_WHOLE = 3, 4, 6
_SHORTEST_DIGITS = 9
"""A shorter number is found in any UID, sooner or later."""
_IDEOGRAPHS = "\u2e80"
"""From here on are the scripts that put no blanks between words."""
_AT_MOST = 2000


@dataclass(frozen=True)
class Identifiers:
    """Names and numbers of the people in an object.

    Attributes:
        names: parts of names of people, in small letters.
        numbers: ids and the like, in small letters, and names in writing without blanks.
        whole: complete values, as bytes in every character set that they may be written in.
    """

    names: frozenset[str]
    numbers: frozenset[str]
    whole: frozenset[bytes]

    @classmethod
    def of(cls, source: Dataset) -> Identifiers:
        """Collect them from an object, at every depth."""
        names: set[str] = set()
        signs: set[str] = set()
        numbers: set[str] = set()
        whole: set[bytes] = set()
        sets = [str(one) for one in listed(source.get("SpecificCharacterSet"))]
        for vr, word in _words(source):
            if len(whole) > _AT_MOST:
                break
            if vr == "PN":
                parts = re.split(r"[\W\d_]+", word.casefold())
                names |= {part for part in parts if len(part) >= _SHORTEST_NAME}
                signs |= {part for part in parts if len(part) > 1 and part[0] >= _IDEOGRAPHS}
            elif len(word) >= _SHORTEST_NUMBER:
                numbers.add(word.casefold())
            shortest = _SHORTEST_DIGITS if word.isdigit() else _SHORTEST_WHOLE
            if len(word) >= shortest and len(set(word)) > 2:
                whole |= _encoded(word, sets)
        return cls(frozenset(names), frozenset(numbers | signs), frozenset(whole))

    def echo(self, word: str) -> bool:
        """Return whether a value that would stay holds a name or a number.

        >>> known = Identifiers(frozenset({"doe"}), frozenset({"pid-7"}), frozenset())
        >>> known.echo("Unit of J. Doe"), known.echo("xPID-7"), known.echo("Doeville")
        (True, True, False)
        """
        small = word.casefold()
        if any(number in small for number in self.numbers):
            return True
        return not self.names.isdisjoint(re.split(r"[\W\d_]+", small))

    def in_bytes(self, data: bytes) -> bool:
        """Return whether bytes hold a complete value."""
        return any(word in data for word in self.whole)


def _words(source: Dataset) -> Iterator[tuple[str, str]]:
    for tag in source.keys():  # noqa: SIM118 (a data set's own iteration converts every value)
        try:
            element = source[tag]
        except Exception:  # noqa: S112 (a value that cannot be read does not stay either)
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _words(item)
        elif element.VR == "PN" or element.keyword in _NUMBERS:
            for value in listed(element.value):
                word = str(value).strip(" \0")
                if word:
                    yield element.VR, word


def _encoded(word: str, sets: list[str]) -> set[bytes]:
    """Return the bytes of a word in Unicode and in the object's own character set."""
    found = {word.encode("utf-8", "replace")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ValueError, LookupError):
            found.add(encode_string(word, convert_encodings(list(sets))))
    return {one for one in found if one}
