"""Each attribute of an object, at every depth, to what the table and the options make of it.

What is not known to be harmless goes. That is stricter than the standard's table, which is a list
of what must go: here private, retired and unknown attributes go, text that is in no list goes,
codes of no published scheme go, and so do values whose form is not that of their representation.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from typing import Any

from pydicom.datadict import dictionary_is_retired, dictionary_keyword, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from hilum.interchange.deidentify.codes import dummy_code, is_code, known_code
from hilum.interchange.deidentify.identifiers import Identifiers
from hilum.interchange.deidentify.pseudonyms import Secrets, days_of, name_of, new_uid
from hilum.interchange.deidentify.table import Keep, action_of, need_of
from hilum.interchange.deidentify.values import (
    NUMBERS,
    TEXTS,
    capped_age,
    dummy,
    kept_value,
    listed,
    shifted,
)
from hilum.interchange.parts.values import valid

__all__ = ["Engine"]

_PSEUDONYMS = frozenset({"PatientID", "AccessionNumber"})
_HARMLESS = frozenset({"Manufacturer", "ManufacturerModelName", "SoftwareVersions", "RescaleType"})
"""Text that is in no row of the table and stays: what a film's look depends on."""
_BULK = frozenset(
    (
        *("PixelData", "LUTData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
        *(f"{color}PaletteColorLookupTableData" for color in ("Red", "Green", "Blue")),
    )
)
"""Bytes that stay."""
_STRUCTURE = frozenset(
    (
        *(
            "Modality",
            "PhotometricInterpretation",
            "PresentationLUTShape",
            "ImageType",
            "Laterality",
        ),
        *("ValueType", "RelationshipType", "ContinuityOfContent", "GraphicType", "ViewPosition"),
        *("PatientOrientation", "PresentationIntentType", "CompletionFlag", "VerificationFlag"),
        *("VOILUTFunction", "PixelIntensityRelationship", "PatientSex"),
    )
)
"""Code strings without which an object cannot be read: a namesake does not remove them."""
_CONTENT, _ANNOTATION = "ContentSequence", "GraphicAnnotationSequence"
_DRAWN = frozenset({"GraphicObjectSequence", "CompoundGraphicSequence"})
"""Drawings on a picture: handwriting is one."""
_GONE_GROUPS = frozenset({0x0000, 0x0002, 0xFFFA, 0xFFFC, 0xFFFE})
_PIXEL_DATA = 0x7FE00010


class Engine:
    """Makes the de-identified attributes of one object.

    Args:
        source: the object.
        kind: of the object, such as "CR".
        kept: the options.
        secrets: hash of the pseudonyms.
    """

    def __init__(
        self, source: Dataset, kind: str, kept: Collection[Keep], secrets: Secrets
    ) -> None:
        self._source = source
        self._kind = kind
        self._kept = kept
        self._secrets = secrets
        self._known = Identifiers.of(source)
        self.cleaned: set[str] = set()
        """What was cleaned beyond the basic profile: "content", "graphics"."""

    @property
    def identifiers(self) -> Identifiers:
        """Names and numbers of the people in the object."""
        return self._known

    @property
    def days(self) -> int:
        """Days that this patient's dates move; a patient without an id is known by the study."""
        patient = _text(self._source, "PatientID") or _text(self._source, "StudyInstanceUID")
        return days_of(self._secrets, patient)

    def made(self) -> Dataset:
        """Return the attributes that stay, as they stay."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom warns of are values that do not stay
            return self._dataset(self._source, "", False)

    def _dataset(self, source: Dataset, sequence: str, blank: bool) -> Dataset:
        made = Dataset()
        for tag in sorted(source.keys()):
            if tag.group in _GONE_GROUPS or tag.group % 2 or tag.group >> 8 in (0x50, 0x60):
                continue
            try:
                keyword, allowed = dictionary_keyword(tag), dictionary_VR(tag).split(" or ")
                element = source[tag]
            except Exception:  # noqa: S112 (unknown, or of bytes that are no value)
                continue
            kept = self._element(element, keyword, allowed, (sequence, blank))
            if kept is not None:
                made.add(kept)
        if sequence == _ANNOTATION and "TextObjectSequence" not in made:
            made.TextObjectSequence = Sequence([_dummy_text()])
        return made

    def _element(
        self, element: DataElement, keyword: str, allowed: list[str], place: tuple[str, bool]
    ) -> DataElement | None:
        sequence, blank = place
        need = need_of(self._kind, sequence, keyword)
        action = action_of(element.tag, self._kept)
        vr = element.VR if element.VR in allowed else allowed[0]
        if keyword in _DRAWN and sequence == _ANNOTATION:
            return None
        if element.VR not in allowed:
            value = None if action == "X" else _gone(vr, need)
        elif keyword in _PSEUDONYMS:
            word = str(element.value or "").strip(" \0")
            value = name_of(self._secrets, word) if word else ""
        elif vr == "SQ":
            value = self._sequence(element, keyword, action, (need, blank))
        elif not action and not listed(element.value):
            value = _EMPTY
        elif not action:
            value = self._unlisted(element, keyword, vr, need)
        else:
            value = self._by_action(element, action, vr, need)
        if value is None:
            return None
        if isinstance(value, DataElement):
            return value
        return DataElement(element.tag, vr, None if value is _EMPTY else value)

    def _by_action(self, element: DataElement, action: str, vr: str, need: str) -> Any:
        retired = dictionary_is_retired(element.tag)
        match action:
            case "K":
                value = self._kept_value(element, vr)
                return self._instead(action, vr, need) if value is None else value
            case "S":
                moved = None if retired else shifted(vr, element.value, self.days)
                return _gone(vr, need) if moved is None else moved
            case "U":
                return self._uids(element.value, False) or _gone(vr, need)
            case _:
                if vr == "UI" and action == "D":
                    return self._uids(element.value, False) or _gone(vr, need)
                return self._instead(action, vr, need)

    def _instead(self, action: str, vr: str, need: str) -> Any:
        """Return what stands in for a value that must go."""
        match action:
            case "X":  # of a few attributes, which their object must have all the same
                return _gone(vr, need) if need in ("1", "2") else None
            case "D":
                return dummy(vr)
            case "Z":
                return dummy(vr) if need == "1" else _EMPTY
            case "Z/D" if need == "3":
                return _EMPTY
            case _:
                return _gone(vr, need)

    def _kept_value(self, element: DataElement, vr: str) -> Any:
        if element.keyword == "PatientAge":
            return capped_age(element.value)
        value = kept_value(vr, element.value)
        return None if value is None or self._echoes(element.keyword, vr, value) else value

    def _unlisted(self, element: DataElement, keyword: str, vr: str, need: str) -> Any:
        """Return an attribute that is not in the table."""
        if keyword == "SpecificCharacterSet" or dictionary_is_retired(element.tag):
            return None
        if keyword in _BULK and vr not in NUMBERS:
            nested = element.tag == _PIXEL_DATA and element is not self._source.get(_PIXEL_DATA)
            return None if nested else element
        value: Any = None
        if vr in ("DA", "DT", "TM"):
            if Keep.DATES_SHIFTED in self._kept:
                value = shifted(vr, element.value, self.days)
            elif Keep.DATES in self._kept:
                value = kept_value(vr, element.value)
        elif vr == "UI":
            value = self._uids(element.value, Keep.UIDS in self._kept) or None
        elif vr in NUMBERS or vr in ("CS", "DS", "IS") or (vr in TEXTS and keyword in _HARMLESS):
            value = kept_value(vr, element.value)
        if value is None or self._echoes(keyword, vr, value):
            return _gone(vr, need)
        return value

    def _echoes(self, keyword: str, vr: str, value: Any) -> bool:
        """Return whether a value that would stay holds a name or number of a person."""
        if vr in NUMBERS or vr in ("UI", "DA", "DT", "TM") or keyword in _STRUCTURE:
            return False
        return any(self._known.echo(str(one)) for one in listed(value))

    def _uids(self, value: Any, kept: bool) -> list[str] | str:
        """Return UIDs in place of others; those of the standard itself stay."""
        made = [self._uid(str(one).strip(" \0"), kept) for one in listed(value)]
        made = [one for one in made if one]
        return made if len(made) > 1 else (made[0] if made else "")

    def _uid(self, uid: str, kept: bool) -> str:
        if not uid or UID(uid).name != uid:  # the standard's own have a name
            return uid
        return valid("UI", uid) if kept else new_uid(self._secrets, uid)

    def _sequence(
        self, element: DataElement, keyword: str, action: str, place: tuple[str, bool]
    ) -> Any:
        need, blank = place
        items: list[Dataset] = list(element.value or ())
        if keyword == _CONTENT:
            self.cleaned.add("content")
        elif keyword == _ANNOTATION:
            self.cleaned.add("graphics")
        elif action == "D":
            blank = True
        elif action not in ("", "K", "S", "U"):
            return self._sequence_instead(items, keyword, action, need)
        elif not action and dictionary_is_retired(element.tag):
            return None
        made = list(self._items(items, keyword, blank))
        if items and not made:
            if need == "3":
                return None
            made = [dummy_code()] if need in ("1", "1C") and any(map(is_code, items)) else []
        return Sequence(made)

    def _sequence_instead(
        self, items: list[Dataset], keyword: str, action: str, need: str
    ) -> Sequence | None:
        if action == "X" or (action != "Z" and need == "3"):
            return None
        if action == "Z" or need in ("2", "2C"):
            return Sequence()
        return Sequence(list(self._items(items, keyword, True)))

    def _items(self, items: list[Dataset], keyword: str, blank: bool) -> Iterator[Dataset]:
        for item in items:
            if not is_code(item):
                yield self._dataset(item, keyword, blank)
                continue
            code = dummy_code() if blank else known_code(item)
            if code is not None:
                yield code


_EMPTY: Any = ()
"""Stands for "there, without a value"; None stands for "not there"."""


def _gone(vr: str, need: str) -> Any:
    """Return the stand-in of a value that may not stay, as its object needs it."""
    if need == "3":
        return None
    stand_in = dummy(vr) if need in ("1", "1C") else _EMPTY
    return _EMPTY if stand_in is None else stand_in


def _text(source: Dataset, keyword: str) -> str:
    try:
        return str(source.get(keyword) or "").strip(" \0")
    except Exception:
        return ""


def _dummy_text() -> Dataset:
    """Return a text object, of which an annotation must have one where it has no drawing."""
    text = Dataset()
    text.UnformattedTextValue = dummy("ST")
    text.BoundingBoxAnnotationUnits = "DISPLAY"
    text.BoundingBoxTopLeftHandCorner = [0.0, 0.0]
    text.BoundingBoxBottomRightHandCorner = [0.01, 0.01]
    text.BoundingBoxTextHorizontalJustification = "LEFT"
    return text
