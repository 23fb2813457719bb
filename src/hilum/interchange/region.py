"""Comprehensive 3D SR with TID 1410: an outline on the film for each positive finding.

It is a document of its own: a viewer shows either kind of group and not both in one document.
"""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.coding import Code

from hilum.interchange import FilmResults, ObjectKind, Outline
from hilum.interchange.parts import content
from hilum.interchange.parts.measurements import group, report
from hilum.interchange.parts.modules import NOTICE, source_item

__all__ = ["build"]

_REGION = Code("111030", "DCM", "Image Region")
_EVIDENCE = (
    "An outline is the part of a heatmap above the stated share of its peak that holds the peak: "
    "supporting evidence, not the location of disease."
)


def build(film: FilmResults) -> FileDataset | None:
    """Return the report of outlines; None where no positive finding has one."""
    groups = [_group(film, name, outline) for name, outline in film.outlines.items()]
    return report(film, "region", groups, [NOTICE, _EVIDENCE]) if groups else None


def _group(film: FilmResults, name: str, outline: Outline) -> Dataset:
    region = content.polyline(_REGION, outline.points, source_item(film.header))
    return group(film, name, region, "1410", (f"outline={outline.level:g} of the peak",))


OBJECT: ObjectKind = ObjectKind(build, series=9002)
