"""Key object selection: the film and its picture, where a finding is positive."""

from __future__ import annotations

from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.uid import KeyObjectSelectionDocumentStorage, SecondaryCaptureImageStorage

from hilum.interchange import FilmResults, ObjectKind
from hilum.interchange.parts import content
from hilum.interchange.parts.measurements import observer
from hilum.interchange.parts.modules import (
    NOTICE,
    describe,
    evidence,
    moment,
    new_file,
    reference,
    source_item,
)
from hilum.interchange.parts.uids import object_uid, series_uid

__all__ = ["build"]

_TITLE = Code("113000", "DCM", "Of Interest")
_DESCRIPTION = Code("113012", "DCM", "Key Object Description")


def build(film: FilmResults) -> FileDataset | None:
    """Return the selection (TID 2010); None where no finding is positive."""
    positive = [name for name, found in film.findings.items() if found.positive]
    if not positive:
        return None
    selection = new_file()
    describe(selection, film, "ko", "KO")
    selection.SOPClassUID = KeyObjectSelectionDocumentStorage
    selection.ContentDate, selection.ContentTime = moment(film)
    selection.ReferencedPerformedProcedureStepSequence = Sequence()
    chosen = {film.header.series_instance_uid: [source_item(film.header)]}
    if "sc" in film.kinds and film.sheet is not None:
        picture = reference(SecondaryCaptureImageStorage, object_uid(film, "sc"))
        chosen[series_uid(film, "sc")] = [picture]
    selection.CurrentRequestedProcedureEvidenceSequence = evidence(film.header, chosen)
    words = f"Positive: {', '.join(positive)}. {NOTICE}"
    items = [
        *observer(film),
        content.text(content.CONTAINS, _DESCRIPTION, words),
        *(content.image(content.CONTAINS, one) for objects in chosen.values() for one in objects),
    ]
    content.root(selection, _TITLE, "2010", items)
    return selection


OBJECT: ObjectKind = ObjectKind(build, series=9005, usual=False)
