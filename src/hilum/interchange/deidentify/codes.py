"""Codes that are those of a published scheme, with the meaning that the scheme gives them.

A code item holds two texts, and software lets people write in both. So an item stays only where its
scheme and value are known, and with the meaning of the scheme, whatever the file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts as published
from pydicom.sr.coding import Code

from hilum.domain.findings import nih14
from hilum.interchange.parts.codes import CHEST, code_of, item_of

__all__ = ["METHODS", "dummy_code", "is_code", "known_code"]

_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")
_LONGEST = 64

METHODS: Mapping[str, Code] = {
    word: Code(value, "DCM", meaning)
    for word, value, meaning in (
        ("basic", "113100", "Basic Application Confidentiality Profile"),
        ("pixels", "113101", "Clean Pixel Data Option"),
        ("graphics", "113103", "Clean Graphics Option"),
        ("content", "113104", "Clean Structured Content Option"),
        ("dates", "113106", "Retain Longitudinal Temporal Information Full Dates Option"),
        (
            "dates-shifted",
            "113107",
            "Retain Longitudinal Temporal Information Modified Dates Option",
        ),
        ("characteristics", "113108", "Retain Patient Characteristics Option"),
        ("device", "113109", "Retain Device Identity Option"),
        ("uids", "113110", "Retain UIDs Option"),
        ("institution", "113112", "Retain Institution Identity Option"),
    )
}
"""CID 7050: what was done to an object."""


def is_code(item: Dataset) -> bool:
    """Return whether an item of a sequence is a code."""
    return any(keyword in item for keyword in _VALUES)


def known_code(item: Dataset) -> Dataset | None:
    """Return the code of an item in the words of its scheme; None for one that is not known.

    >>> known_code(item_of(Code("399348003", "SCT", "written by Jane"))).CodeMeaning
    'antero-posterior'
    """
    value, scheme = (
        str(item.get(keyword, "")).strip() for keyword in ("CodeValue", "CodingSchemeDesignator")
    )
    meanings = _known().get((scheme, value))
    if not meanings:
        return None
    stated = str(item.get("CodeMeaning", "")).strip()
    alike = [one for one in meanings if one.casefold() == stated.casefold()]
    return item_of(Code(value, scheme, (alike or list(meanings))[0]))


def dummy_code() -> Dataset:
    """Return a code that says nothing, where an object must have one."""
    return item_of(Code("REMOVED", "99HILUM", "Removed"))


_OWN = (
    Code("en-US", "RFC5646", "English (United States)"),
    Code("C0034375", "UMLS", "Qualitative Evaluations"),
    CHEST,
)
"""Codes of hilum's own reports that pydicom does not know, or not in these words."""


@cache
def _known() -> Mapping[tuple[str, str], dict[str, None]]:
    """Return scheme and value of every code of PS3.16 that pydicom knows, and of hilum's own."""
    from pydicom.sr._snomed_dict import mapping

    known: dict[tuple[str, str], dict[str, None]] = {}

    def add(scheme: str, value: str, meaning: str) -> None:
        known.setdefault((scheme, value), {})[meaning[:_LONGEST]] = None

    for code in (*_OWN, *(one for one in map(code_of, nih14()) if one is not None)):
        add(code.scheme_designator, code.value, code.meaning)
    for scheme, concepts in published.items():
        for values in concepts.values():
            for value, (meaning, _) in values.items():
                add(scheme, value, meaning)
    for old, new in mapping["SRT"].items():
        for meaning in known.get(("SCT", new), ()):
            add("SRT", old, meaning)
    return known
