"""The standard's table of what becomes of each attribute, and how much an object needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

__all__ = ["EDITION", "OBJECTS", "Keep", "Row", "action_of", "need_of", "table"]

EDITION = "2026d"
"""Edition of PS3.15 whose Table E.1-1 is followed."""

OBJECTS: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.7": "SC",
    "1.2.840.10008.5.1.4.1.1.11.1": "PR",
    "1.2.840.10008.5.1.4.1.1.88.11": "TEXT",
    "1.2.840.10008.5.1.4.1.1.88.22": "ESR",
    "1.2.840.10008.5.1.4.1.1.88.33": "CSR",
    "1.2.840.10008.5.1.4.1.1.88.34": "C3D",
    "1.2.840.10008.5.1.4.1.1.88.59": "KO",
}
"""SOP class to the short name of its kind of object: those that are de-identified."""


class Keep(StrEnum):
    """What an export keeps beyond the basic profile: the options of the standard."""

    DATES_SHIFTED = "dates-shifted"
    """Dates, all of one patient moved by the same number of days."""
    DATES = "dates"
    """Dates as they are."""
    CHARACTERISTICS = "characteristics"
    """Age (up to 90), sex, size, weight and the like."""
    DEVICE = "device"
    """Names and serial numbers of devices."""
    INSTITUTION = "institution"
    """Name and address of the institution."""
    UIDS = "uids"
    """UIDs as they are."""


@dataclass(frozen=True)
class Row:
    """One attribute of the table.

    Attributes:
        basic: action of the basic profile, such as "X/Z".
        options: option, such as "uids", to its action.
    """

    basic: str
    options: Mapping[str, str]


@cache
def table() -> Mapping[int, Row]:
    """Return the rows by tag. Repeating groups and private attributes are not in it: all go.

    >>> table()[0x00100010]
    Row(basic='Z', options={})
    """
    lines = _lines("table.tsv")
    columns = lines[0][5:]
    rows: dict[int, Row] = {}
    for tag, _name, _retired, _standard, basic, *options in lines[1:]:
        if "x" in tag or "odd" in tag:
            continue
        given = {column: action for column, action in zip(columns, options, strict=False) if action}
        rows[int(tag[1:5] + tag[6:10], 16)] = Row(basic, given)
    return rows


def action_of(tag: int, kept: Collection[Keep]) -> str:
    """Return the action for an attribute of the table; "" for one that is not in it.

    Where an option asks to clean what a program cannot judge, the basic profile holds. A date that
    belongs to a device is never shifted: whoever knows it would learn the days.

    Args:
        tag: of the attribute.
        kept: the options.

    Returns:
        An action of the table, or "S" to shift a date.

    >>> action_of(0x00080020, ()), action_of(0x00080020, (Keep.DATES_SHIFTED,))
    ('Z', 'S')
    """
    row = table().get(tag)
    if row is None:
        return ""
    actions = {option: row.options[option] for option in kept if option in row.options}
    if Keep.DATES_SHIFTED in actions:
        return row.basic if "device" in row.options else "S"
    return "K" if "K" in actions.values() else row.basic


def need_of(kind: str, sequence: str, keyword: str) -> str:
    """Return the type of an attribute: 1, 1C, 2, 2C or 3.

    Args:
        kind: of the object, such as "CR".
        sequence: keyword of the sequence that the attribute is in; "" at the top.
        keyword: of the attribute.

    >>> need_of("DX", "", "PatientID"), need_of("DX", "", "StudyDescription")
    ('2', '3')
    """
    return _types().get(((sequence and "*") or kind, sequence, keyword), "3")


@cache
def _types() -> Mapping[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for sequence, keyword, kind, *objects in _lines("types.tsv")[1:]:
        for one in objects[0].split() if objects else ("*",):
            found[one, sequence, keyword] = kind
    return found


def _lines(name: str) -> list[list[str]]:
    text = files("hilum.interchange.deidentify").joinpath(name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
