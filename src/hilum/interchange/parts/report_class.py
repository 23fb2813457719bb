"""Reports as an older class of structured report, for an archive that does not take the newest."""

from __future__ import annotations

import hashlib

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from hilum.interchange.parts.uids import uid_of_digest

__all__ = ["REPORT_CLASSES", "change_class"]

REPORT_CLASSES = {
    "comprehensive3d": Comprehensive3DSRStorage,
    "comprehensive": ComprehensiveSRStorage,
    "enhanced": EnhancedSRStorage,
}
"""Word to SOP class. What hilum reports has no coordinates in space, so that all three hold it."""


def change_class(report: FileDataset, sop_class: UID) -> None:
    """Make a Comprehensive 3D SR one of a different class, with a UID of its own.

    The UID depends on the report's own and on the class, so that it is the same each time; the
    report that it replaces is named as it was sent to the same place. Other objects stay as they
    are.

    Args:
        report: changed here.
        sop_class: one of `REPORT_CLASSES`.
    """
    if report.SOPClassUID != Comprehensive3DSRStorage or sop_class == Comprehensive3DSRStorage:
        return
    report.SOPClassUID = sop_class
    uid = _uid(report.SOPInstanceUID, sop_class)
    report.SOPInstanceUID = uid

    def renamed(item: Dataset) -> None:
        for element in item:
            if element.VR == "SQ":
                for one in element.value:
                    renamed(one)
        if item.get("ReferencedSOPClassUID") == Comprehensive3DSRStorage:
            item.ReferencedSOPClassUID = sop_class
            item.ReferencedSOPInstanceUID = _uid(item.ReferencedSOPInstanceUID, sop_class)

    renamed(report)


def _uid(own: str, sop_class: UID) -> str:
    return uid_of_digest(
        hashlib.sha256(f"hilum report class\0{sop_class}\0{own}".encode()).digest()
    )
