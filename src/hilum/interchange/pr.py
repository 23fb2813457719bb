"""Grayscale presentation state: words and outlines over the film itself, in one layer to hide.

It shows the film as the film says: its windows and tables are copied, none is changed.
"""

from __future__ import annotations

import base64

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage
from pydicom.valuerep import format_number_as_ds

from hilum.domain.radiograph import DicomDisplay, DicomHeader, DicomTable
from hilum.interchange import FilmResults, ObjectKind, Outline
from hilum.interchange.parts.modules import (
    NOTICE,
    RESEARCH,
    add_body_part,
    describe,
    moment,
    new_file,
    source_item,
)
from hilum.interchange.parts.uids import tracking_uid

__all__ = ["build"]

LAYER = "HILUM"
_COLOR = (52000, 44000, 48000)
"""Recommended color of the layer, CIELab in 16 bits: a light orange."""


def build(film: FilmResults) -> FileDataset:
    """Return the presentation state."""
    state = new_file()
    describe(state, film, "pr", "PR")
    state.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    state.PresentationCreationDate, state.PresentationCreationTime = moment(film)
    state.ContentLabel = LAYER
    state.ContentDescription = f"hilum: {RESEARCH}"
    state.ContentCreatorName = ""
    add_body_part(state, film.header)
    series = Dataset()
    series.SeriesInstanceUID = film.header.series_instance_uid
    series.ReferencedImageSequence = Sequence([source_item(film.header)])
    state.ReferencedSeriesSequence = Sequence([series])
    state.DisplayedAreaSelectionSequence = Sequence([_area(film.header)])
    _add_display(state, film.header.display)
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = LAYER, 1
    layer.GraphicLayerRecommendedDisplayCIELabValue = list(_COLOR)
    layer.GraphicLayerDescription = f"hilum, {RESEARCH}"
    state.GraphicLayerSequence = Sequence([layer])
    state.GraphicAnnotationSequence = Sequence(
        [_words(film), *(_outlined(film, name, one) for name, one in film.outlines.items())]
    )
    return state


def _area(header: DicomHeader) -> Dataset:
    """Return the whole film, fitted to the screen."""
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [header.columns, header.rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    if header.pixel_spacing_mm is None:
        area.PresentationPixelAspectRatio = [1, 1]
    else:
        area.PresentationPixelSpacing = [_number(one) for one in header.pixel_spacing_mm]
    return area


def _add_display(state: Dataset, display: DicomDisplay) -> None:
    """Copy the film's own way from stored values to gray."""
    if display.modality is not None:
        table = _table(display.modality, display.signed)
        table.ModalityLUTType = "US"
        state.ModalityLUTSequence = Sequence([table])
    elif (display.slope, display.intercept) != (1.0, 0.0):
        state.RescaleSlope = _number(display.slope)
        state.RescaleIntercept = _number(display.intercept)
        state.RescaleType = "US"
    shown = Dataset()
    if display.window is not None:
        center, width, function = display.window
        shown.WindowCenter, shown.WindowWidth = _number(center), _number(width)
        if function != "LINEAR":
            shown.VOILUTFunction = function
    if display.voi is not None:
        shown.VOILUTSequence = Sequence([_table(_filled(display.voi), display.voi.first < 0)])
    if len(shown):
        state.SoftcopyVOILUTSequence = Sequence([shown])
    state.PresentationLUTShape = "INVERSE" if display.inverted else "IDENTITY"


def _table(table: DicomTable, signed: bool) -> Dataset:
    item = Dataset()
    entries = base64.b64decode(table.entries)
    first = table.first if signed else table.first & 0xFFFF
    vr = "SS" if signed else "US"
    item.add_new("LUTDescriptor", vr, [len(entries) // 2 & 0xFFFF, first, table.bits])
    item.add_new("LUTData", "OW", entries)
    return item


def _filled(table: DicomTable) -> DicomTable:
    """Return a VOI table with 8 or 16 bits an entry, all that a presentation state may have.

    Only the share of the full scale counts, so that the film looks the same.
    """
    if table.bits in (8, 16):
        return table
    entries = np.frombuffer(base64.b64decode(table.entries), "<u2").astype(np.float64)
    scaled = np.rint(entries * (65535.0 / ((1 << table.bits) - 1))).clip(0, 65535)
    data = base64.b64encode(scaled.astype("<u2").tobytes()).decode("ascii")
    return DicomTable(table.first, 16, data)


def _number(value: float) -> str:
    """Return a number in the 16 characters that a decimal string may have."""
    return format_number_as_ds(value)


def _annotation(film: FilmResults) -> Dataset:
    item = Dataset()
    item.ReferencedImageSequence = Sequence([source_item(film.header)])
    item.GraphicLayer = LAYER
    return item


def _words(film: FilmResults) -> Dataset:
    """Return the text in the corner: what it is, and each positive finding."""
    item = _annotation(film)
    text = Dataset()
    text.UnformattedTextValue = "\r\n".join([*_lines(film), NOTICE])[:1024]
    text.BoundingBoxAnnotationUnits = "DISPLAY"
    text.BoundingBoxTopLeftHandCorner = [0.01, 0.01]
    text.BoundingBoxBottomRightHandCorner = [0.6, 0.25]
    text.BoundingBoxTextHorizontalJustification = "LEFT"
    item.TextObjectSequence = Sequence([text])
    return item


def _lines(film: FilmResults) -> list[str]:
    positive = {name: one for name, one in film.findings.items() if one.positive}
    likely = sorted(positive, key=lambda name: -positive[name].probability)
    lines = [f"{film.algorithm.name} {film.algorithm.id}"]
    for name in likely:
        one = positive[name]
        note = "" if one.calibrated else ", not calibrated"
        lines.append(
            f"{name.replace('_', ' ')}: {100 * one.probability:.1f} % "
            f"(threshold {100 * (one.threshold or 0.0):.1f} %{note})"
        )
    if not positive:
        lines.append("no finding at or above its threshold")
    return lines


def _outlined(film: FilmResults, name: str, outline: Outline) -> Dataset:
    """Return the outline of a finding, with its name beside it."""
    item = _annotation(film)
    line = Dataset()
    line.GraphicAnnotationUnits, line.GraphicDimensions = "PIXEL", 2
    line.NumberOfGraphicPoints = len(outline.points)
    line.GraphicData = [number for point in outline.points for number in point]
    line.GraphicType, line.GraphicFilled = "POLYLINE", "N"
    line.TrackingID, line.TrackingUID = name, tracking_uid(film, name)
    item.GraphicObjectSequence = Sequence([line])
    text = Dataset()
    text.UnformattedTextValue = name.replace("_", " ")
    text.AnchorPointAnnotationUnits = "PIXEL"
    text.AnchorPoint = list(min(outline.points, key=lambda point: (point[1], point[0])))
    text.AnchorPointVisibility = "N"
    item.TextObjectSequence = Sequence([text])
    return item


OBJECT: ObjectKind = ObjectKind(build, series=9004)
