"""Fractional segmentation of the heatmaps: one segment for each finding whose map is not empty.

Off by default: viewers show neither fractional segmentations nor any on projection images. There
is no parametric map: it needs a frame of reference that a radiograph does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.coding import Code
from pydicom.uid import JPEGLSLossless

from hilum.interchange import FilmResults, ObjectKind
from hilum.interchange.parts.codes import CHEST, code_of
from hilum.interchange.parts.modules import (
    MANUFACTURER,
    RESEARCH,
    add_body_part,
    add_orientation,
    describe,
    moment,
    new_file,
)
from hilum.interchange.parts.uids import object_uid, series_uid, tracking_uid, uid_of

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

__all__ = ["build"]

_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
"""CID 7150."""
_LEARNED = Code("123110", "DCM", "Artificial Intelligence")
_MOST = 255


def build(film: FilmResults) -> FileDataset | None:
    """Return the segmentation; None where no map has anything on the film."""
    from highdicom.seg import (
        Segmentation,
        SegmentationFractionalTypeValues,
        SegmentationTypeValues,
    )

    maps = _maps(film)
    if not maps:
        return None
    made = Segmentation(
        source_images=[_source(film)],
        pixel_array=np.stack(list(maps.values()), axis=-1)[None],
        segmentation_type=SegmentationTypeValues.FRACTIONAL,
        fractional_type=SegmentationFractionalTypeValues.OCCUPANCY,
        max_fractional_value=_MOST,
        segment_descriptions=[
            _described(film, number, name) for number, name in enumerate(maps, start=1)
        ],
        series_instance_uid=series_uid(film, "seg"),
        series_number=1,
        sop_instance_uid=object_uid(film, "seg"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=film.algorithm.name[:64],
        software_versions=film.algorithm.software,
        device_serial_number=film.algorithm.id,
        transfer_syntax_uid=JPEGLSLossless,
        content_label="HILUM",
        content_description=f"hilum heatmaps: {RESEARCH}",
    )
    document = new_file(JPEGLSLossless)
    document.update(made)
    describe(document, film, "seg", "SEG")
    add_body_part(document, film.header)
    add_orientation(document, film.header)
    organization = uid_of(film.key, "dimensions", object_uid(film, "seg"))  # highdicom draws one
    for item in (*document.DimensionOrganizationSequence, *document.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    document.ContentDate, document.ContentTime = moment(film)
    return document


def _maps(film: FilmResults) -> dict[str, NDArray[np.float32]]:
    """Return the maps that are not empty, each as shares of its own peak, as in pictures."""
    found: dict[str, NDArray[np.float32]] = {}
    map_of = film.map_of
    if map_of is None:
        return found
    for name in film.findings:
        heat = map_of(name)
        peak = float(heat.max())
        if peak > np.finfo(np.float32).tiny:
            found[name] = np.clip(heat / peak, 0.0, 1.0).astype(np.float32)
    return found


def _described(film: FilmResults, number: int, name: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    return SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=_ABNORMAL,
        segmented_property_type=code_of(name) or _ABNORMAL,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=film.algorithm.name[:64], family=_LEARNED, version=film.algorithm.software
        ),
        tracking_uid=tracking_uid(film, name),
        tracking_id=name,
        anatomic_regions=[CHEST],
    )


def _source(film: FilmResults) -> Dataset:
    """Return the film as far as a segmentation needs to know it."""
    header = film.header
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = header.sop_class_uid, header.sop_instance_uid
    source.StudyInstanceUID = header.study_instance_uid
    source.SeriesInstanceUID = header.series_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(source, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(source, keyword, "")
    source.ReferringPhysicianName = ""
    source.Rows, source.Columns = header.rows, header.columns
    source.PatientOrientation = ["", ""]
    return source


OBJECT: ObjectKind = ObjectKind(build, series=9006, usual=False, package="highdicom")
