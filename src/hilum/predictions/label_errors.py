"""How often labels are right: a table of their sensitivity and specificity, with its own n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from hilum.datasets.parts.disk import read_header, read_rows
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import find

__all__ = ["SHIPPED", "LabelErrors", "read_label_errors"]

SHIPPED = ("nih",)
"""Tables that ship with the package, by name."""

_COLUMNS = ("finding", "sensitivity", "positives", "specificity", "negatives")
_MORE = ("design_effect_positives", "design_effect_negatives", "source")
_JOIN = "|"


@dataclass(frozen=True)
class LabelErrors:
    """Sensitivity and specificity of labels against a better reference, for one finding.

    Attributes:
        findings: one finding; of several, a film counts as positive where any of them is.
        sensitivity: share of truly positive cases that are labeled positive, in [0, 1].
        specificity: share of truly negative cases that are labeled negative, in [0, 1].
        positives, negatives: independent cases behind each: films by the design effect.
        source: where the numbers are from; empty where the table does not say.
    """

    findings: tuple[str, ...]
    sensitivity: float
    specificity: float
    positives: float
    negatives: float
    source: str = ""

    @property
    def name(self) -> str:
        """The findings in words.

        >>> LabelErrors(("Mass", "Nodule"), 0.42, 0.95, 605.0, 3771.0).name
        'Mass or Nodule'
        """
        return " or ".join(self.findings)


def read_label_errors(table: Path | str) -> tuple[LabelErrors, ...]:
    """Read a table of label errors: `finding,sensitivity,positives,specificity,negatives`.

    `finding` is a finding, or several joined by `|`. `positives` and `negatives` are the cases that
    the two shares were counted on. Where cases are of the same patients, the columns
    `design_effect_positives` and `design_effect_negatives` say by how much they count less. A
    column `source` is printed with the numbers.

    Args:
        table: a CSV, or the name of a table that ships: `nih`.

    Raises:
        UsageError: for a file that is not there, or an unknown finding.
        DatasetError: for a missing column, a number out of range, a finding twice, or labels that
            are no better than chance; with the row.

    >>> [row.name for row in read_label_errors("nih")][:2]
    ['Pneumothorax', 'Mass or Nodule']
    """
    if str(table) in SHIPPED and not Path(table).exists():
        own = files("hilum.predictions").joinpath(f"label_errors_{table}.csv")
        with as_file(own) as path:
            return _read(path)
    if not Path(table).is_file():
        raise UsageError(
            f"--label-noise must name a table, or {', '.join(SHIPPED)}; {table} is not there"
        )
    return _read(Path(table))


def _read(path: Path) -> tuple[LabelErrors, ...]:
    header = {name.strip().casefold() for name in read_header(path)}
    more = [name for name in _MORE if name in header]
    rows: list[LabelErrors] = []
    for number, cells in read_rows(path, (*_COLUMNS, *more)):
        where = f"{path.name} row {number}"
        rows.append(_row(dict(zip((*_COLUMNS, *more), cells, strict=True)), where))
    if not rows:
        raise DatasetError(f"a table of label errors must have a row; {path.name} has none")
    names = [row.name for row in rows]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DatasetError(f"{path.name} must name each finding once; it has two rows of {twice}")
    return tuple(rows)


def _row(cells: dict[str, str], where: str) -> LabelErrors:
    findings = _findings(cells["finding"], where)
    sensitivity, specificity = (
        _number(cells, name, where, (0.0, 1.0)) for name in ("sensitivity", "specificity")
    )
    if sensitivity + specificity <= 1.0:
        raise DatasetError(
            f"{where}: sensitivity and specificity must add up to more than 1, or labels are no "
            f"better than chance; got {sensitivity:g} and {specificity:g}"
        )
    positives, negatives = (
        _number(cells, kind, where, (1.0, math.inf))
        / _number({effect: "1", **cells}, effect, where, (1.0, math.inf))
        for kind, effect in (("positives", _MORE[0]), ("negatives", _MORE[1]))
    )
    source = cells.get("source", "").strip()
    return LabelErrors(findings, sensitivity, specificity, positives, negatives, source)


def _findings(cell: str, where: str) -> tuple[str, ...]:
    try:
        names = sorted({find(name.strip()).name for name in cell.split(_JOIN)})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    if len(names) < len(cell.split(_JOIN)):
        raise DatasetError(f"{where}: a finding must be named once; got '{cell}'")
    return tuple(names)


def _number(cells: dict[str, str], name: str, where: str, ends: Sequence[float]) -> float:
    low, high = ends
    text = cells[name].strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high or math.isinf(value):
        wanted = f"{low:g} or more" if math.isinf(high) else f"between {low:g} and {high:g}"
        raise DatasetError(f"{where}: {name} must be a number, {wanted}; got '{text}'")
    return value
