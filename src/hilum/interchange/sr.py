"""Comprehensive 3D SR with TID 1500: every finding with its number and call, the root of results.

Absent findings are there too: what was looked for and not found is a result.
"""

from __future__ import annotations

from pydicom.dataset import FileDataset
from pydicom.sr.coding import Code

from hilum.interchange import FilmResults, ObjectKind
from hilum.interchange.parts import content
from hilum.interchange.parts.measurements import group, report
from hilum.interchange.parts.modules import NOTICE, source_item

__all__ = ["build"]

_SOURCE = Code("121112", "DCM", "Source of Measurement")


def build(film: FilmResults) -> FileDataset:
    """Return the report with one group (TID 1501) for each finding of the bundle.

    That of a film that was not scored has no group and no number: code and reason as text.
    """
    if film.refusal:
        codes = ", ".join(code.value for code in film.codes)
        return report(film, "sr", [], [NOTICE, f"Not scored: {codes}. {film.refusal}"])
    groups = [
        group(film, name, content.image("CONTAINS", source_item(film.header), _SOURCE), "1501")
        for name in film.findings
    ]
    lines = [NOTICE, *(f"Take care: {code.value}" for code in film.codes)]
    abstained = {one.abstention for one in film.findings.values() if one.abstention}
    lines += [f"Not called: {reason}" for reason in sorted(abstained)]
    return report(film, "sr", groups, lines)


OBJECT: ObjectKind = ObjectKind(build, series=9001)
