"""The report of TID 1500 that `sr` and `region` share: observer, procedure, algorithm, file."""

from __future__ import annotations

from collections.abc import Sequence as Items

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from hilum.domain.documents.results import FindingResult
from hilum.interchange import FilmResults
from hilum.interchange.parts import content
from hilum.interchange.parts.codes import CHEST, DECISIONS, code_of
from hilum.interchange.parts.content import CONTAINS, CONTEXT, MODIFIES
from hilum.interchange.parts.modules import (
    MANUFACTURER,
    describe,
    evidence,
    moment,
    new_file,
    reference,
    source_item,
)
from hilum.interchange.parts.uids import device_uid, tracking_uid
from hilum.interchange.parts.values import valid

__all__ = ["algorithm", "group", "observer", "report"]

_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
_LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH = Code("en-US", "RFC5646", "English (United States)")
_OBSERVER = Code("121005", "DCM", "Observer Type")
_DEVICE = Code("121007", "DCM", "Device")
_OBSERVED_BY = (
    Code("121013", "DCM", "Device Observer Name"),
    Code("121014", "DCM", "Device Observer Manufacturer"),
    Code("121015", "DCM", "Device Observer Model Name"),
    Code("121016", "DCM", "Device Observer Serial Number"),
)
_DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
_REPORTED = Code("121058", "DCM", "Procedure Reported")
_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
"""CID 100, for a film that names no procedure."""
_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
_GROUP = Code("125007", "DCM", "Measurement Group")
_TRACKING = Code("112039", "DCM", "Tracking Identifier")
_TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
_FINDING = Code("121071", "DCM", "Finding")
"""Also names the evaluation of a finding without a code; its Tracking Identifier has its name."""
_SITE = Code("363698007", "SCT", "Finding Site")
_ALGORITHM = Code("111001", "DCM", "Algorithm Name")
_VERSION = Code("111003", "DCM", "Algorithm Version")
_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
_CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
_PERCENT = Code("%", "UCUM", "Percent")
_QUALITATIVE = Code("C0034375", "UMLS", "Qualitative Evaluations")
_COMMENT = Code("121106", "DCM", "Comment")


def algorithm(film: FilmResults, name: str, more: Items[str] = ()) -> list[Dataset]:
    """Return the algorithm (TID 4019) with everything that a finding's number depends on."""
    one, found = film.algorithm, film.findings[name]
    threshold = "none" if found.threshold is None else repr(found.threshold)
    calibrator = one.calibrator if found.calibrated else "identity (not calibrated: plain sigmoid)"
    parameters = (
        f"bundle={one.id}",
        f"precision={one.precision}",
        f"calibrator={calibrator}",
        f"threshold={threshold}",
        f"threshold chosen for={one.targets.get(name, 'nothing')}",
        *more,
    )
    return [
        content.text(MODIFIES, _ALGORITHM, one.name),
        content.text(MODIFIES, _VERSION, one.software),
        *(content.text(MODIFIES, _PARAMETERS, words) for words in parameters),
    ]


def group(
    film: FilmResults, name: str, last: Dataset, template: str, more: Items[str] = ()
) -> Dataset:
    """Return the measurement group of one finding.

    Args:
        film: results of the film.
        name: of the finding.
        last: what the group ends with: the source picture, or a region on it.
        template: 1501, or 1410 for one with a region.
        more: parameters of the algorithm beside the usual ones.
    """
    found: FindingResult = film.findings[name]
    named = code_of(name)
    finding = [] if named is None else [content.code(CONTAINS, _FINDING, named)]
    items = [
        content.text(CONTEXT, _TRACKING, name),
        content.uid(CONTEXT, _TRACKING_UID, tracking_uid(film, name)),
        *finding,
        *algorithm(film, name, more),
        content.code(MODIFIES, _SITE, CHEST),
        content.number(_CERTAINTY, 100.0 * found.probability, _PERCENT),
        content.code(CONTAINS, named or _FINDING, DECISIONS[found.decision]),
        last,
    ]
    return content.container(_GROUP, items, template)


def observer(film: FilmResults) -> list[Dataset]:
    """Return the device that observed (TID 1004), as Contributing Equipment names it."""
    words = (MANUFACTURER, MANUFACTURER, film.algorithm.name[:64], film.algorithm.id)
    return [
        content.code(CONTEXT, _OBSERVER, _DEVICE),
        content.uid(CONTEXT, _DEVICE_UID, device_uid(film)),
        *(content.text(CONTEXT, *pair) for pair in zip(_OBSERVED_BY, words, strict=True)),
    ]


def report(film: FilmResults, kind: str, groups: Items[Dataset], lines: Items[str]) -> FileDataset:
    """Return a Comprehensive 3D SR of TID 1500.

    Args:
        film: results of the film.
        kind: name of the kind of object.
        groups: measurement groups; none where nothing was measured.
        lines: texts that stand in it.
    """
    document = new_file()
    describe(document, film, kind, "SR")
    document.SOPClassUID = Comprehensive3DSRStorage
    document.CompletionFlag, document.VerificationFlag = "COMPLETE", "UNVERIFIED"
    document.PreliminaryFlag = "PRELIMINARY"
    document.ContentDate, document.ContentTime = moment(film)
    document.PerformedProcedureCodeSequence = Sequence()
    document.ReferencedPerformedProcedureStepSequence = Sequence()
    document.CurrentRequestedProcedureEvidenceSequence = evidence(
        film.header, {film.header.series_instance_uid: [source_item(film.header)]}
    )
    if film.predecessor:
        before = [reference(Comprehensive3DSRStorage, film.predecessor)]
        document.PredecessorDocumentsSequence = evidence(
            film.header, {film.predecessor_series: before}
        )
    comments = [content.text(CONTAINS, _COMMENT, line) for line in lines]
    items = [
        content.code(MODIFIES, _LANGUAGE, _ENGLISH),
        *observer(film),
        content.code(MODIFIES, _REPORTED, _procedure(film)),
        *([content.container(_MEASUREMENTS, groups)] if groups else []),
        content.container(_QUALITATIVE, comments),
    ]
    content.root(document, _TITLE, "1500", items)
    return document


def _procedure(film: FilmResults) -> Code:
    """Return the imaging procedure that is reported on, as the film names it."""
    words = film.header.procedure
    if len(words) == 3 and all(map(valid, ("SH", "SH", "LO"), words)):
        return Code(*words)
    return _PROCEDURE
