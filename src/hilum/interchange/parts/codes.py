"""Codes of result objects: of findings from the catalog, and the fixed ones of templates."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from hilum.domain.documents.results import Decision
from hilum.domain.findings import find

__all__ = ["CHEST", "DECISIONS", "PROCESSING", "SOURCE_IMAGE", "code_of", "item_of"]

_ORDER = ("SCT", "DCM", "UMLS")
"""SNOMED CT first, then DICOM's own; UMLS where nothing else has a source."""

CHEST = Code("816094009", "SCT", "Chest")
"""CID 4031."""
PROCESSING = Code("109102", "DCM", "Processing Equipment")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

_UNDETERMINED = Code("373068000", "SCT", "Undetermined")
DECISIONS = {
    Decision.POSITIVE: Code("52101004", "SCT", "Present"),
    Decision.NEGATIVE: Code("272519000", "SCT", "Absent"),
    Decision.ABSTAINED: _UNDETERMINED,
    Decision.NOT_CALLED: _UNDETERMINED,
}
"""CID 240, for the call on a finding."""


def code_of(finding: str) -> Code | None:
    """Return the code of a finding; None where the catalog has none with a source.

    >>> code_of("Cardiomegaly").value, code_of("Hernia").scheme_designator, code_of("No Finding")
    ('287272002', 'UMLS', None)
    """
    codes = {code.scheme: code for code in find(finding).codes}
    for scheme in _ORDER:
        if scheme in codes:
            found = codes[scheme]
            return Code(found.value, scheme, found.meaning)
    return None


def item_of(code: Code) -> Dataset:
    """Return a code as the item of a code sequence."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
