"""Content items of structured reports, as plain data sets.

highdicom builds the same trees with checks of each item, at ten times the cost: a report of 14
findings then takes longer than scoring the film. Tests read every tree back with it instead.
"""

from __future__ import annotations

from collections.abc import Sequence as Items

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.valuerep import DSfloat

from hilum.interchange.parts.codes import item_of

__all__ = [
    "CONTAINS",
    "CONTEXT",
    "MODIFIES",
    "code",
    "container",
    "image",
    "number",
    "polyline",
    "root",
    "text",
    "uid",
]

CONTAINS, CONTEXT, MODIFIES = "CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD"
"""Relationships of an item to the one above it."""


def root(document: Dataset, title: Code, template: str, items: Items[Dataset]) -> None:
    """Make a document the root of a content tree.

    Args:
        document: filled in here.
        title: of the document.
        template: number of its template in PS3.16.
        items: below it.
    """
    document.ValueType, document.ContinuityOfContent = "CONTAINER", "SEPARATE"
    document.ConceptNameCodeSequence = Sequence([item_of(title)])
    document.ContentTemplateSequence = Sequence([_template(template)])
    document.ContentSequence = Sequence(items)


def container(name: Code, items: Items[Dataset], template: str = "") -> Dataset:
    """Return a container with its items, of a template where one is named."""
    item = _item("CONTAINER", CONTAINS, name)
    item.ContinuityOfContent = "SEPARATE"
    if template:
        item.ContentTemplateSequence = Sequence([_template(template)])
    item.ContentSequence = Sequence(items)
    return item


def text(relation: str, name: Code, words: str) -> Dataset:
    """Return an item of text."""
    item = _item("TEXT", relation, name)
    item.TextValue = words
    return item


def uid(relation: str, name: Code, value: str) -> Dataset:
    """Return an item that is a UID."""
    item = _item("UIDREF", relation, name)
    item.UID = value
    return item


def code(relation: str, name: Code, value: Code) -> Dataset:
    """Return an item that is a code."""
    item = _item("CODE", relation, name)
    item.ConceptCodeSequence = Sequence([item_of(value)])
    return item


def number(name: Code, value: float, unit: Code) -> Dataset:
    """Return a measurement: 16 characters as text, and every digit in binary beside them."""
    item = _item("NUM", CONTAINS, name)
    measured = Dataset()
    measured.NumericValue = DSfloat(value, auto_format=True)
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = Sequence([item_of(unit)])
    item.MeasuredValueSequence = Sequence([measured])
    return item


def image(relation: str, target: Dataset, name: Code | None = None) -> Dataset:
    """Return a reference to a picture."""
    item = _item("IMAGE", relation, name)
    item.ReferencedSOPSequence = Sequence([target])
    return item


def polyline(name: Code, points: Items[tuple[float, float]], source: Dataset) -> Dataset:
    """Return coordinates on a picture, of which `source` is the reference."""
    item = _item("SCOORD", CONTAINS, name)
    item.GraphicType = "POLYLINE"
    item.GraphicData = [value for point in points for value in point]
    item.ContentSequence = Sequence([image("SELECTED FROM", source)])
    return item


def _item(kind: str, relation: str, name: Code | None) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    if name is not None:
        item.ConceptNameCodeSequence = Sequence([item_of(name)])
    return item


def _template(number_: str) -> Dataset:
    item = Dataset()
    item.MappingResource, item.TemplateIdentifier = "DCMR", number_
    return item
