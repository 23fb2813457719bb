"""readers.html: each reader beside the model's curve, the panel's tests, agreement, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hilum.domain.documents import Interval
from hilum.domain.documents.readers import FindingReaders, Place, ReaderNumbers, ReaderStudy
from hilum.report.evaluation.page import Footnotes, signed
from hilum.report.parts.page import document
from hilum.report.parts.plots import Axis, Plot, forest, forest_axis
from hilum.report.readers import aided_rows, aided_sentence, sentences

__all__ = ["PAGE", "readers_page"]

PAGE = "readers.html"
"""File name of the page, beside readers.json."""

_CHIPS = {Place.ABOVE: "warn", Place.ON: "skip", Place.BELOW: "", Place.UNKNOWN: "skip"}


def readers_page(study: ReaderStudy) -> str:
    """Return the page, as one file that loads nothing; the same study gives the same bytes."""
    footnotes = Footnotes()
    axis = _axis([one.difference for f in study.findings.values() for one in f.readers.values()])
    findings = [
        _FindingView.of(index, name, found, axis)
        for index, (name, found) in enumerate(study.findings.items())
    ]
    values = {
        "study": study,
        "findings": findings,
        "axis": forest_axis(axis),
        "chips": _CHIPS,
        "number": footnotes.number,
        "footnotes": footnotes.reasons,
        "jumps": [(f"finding-{view.index}", view.name) for view in findings],
        "contents": [("notes", "Read first"), ("all", "Findings"), ("made", "Methods")],
    }
    return "".join(document("readers", values, parts=("charts",)))


@dataclass(frozen=True)
class _ReaderView:
    """One reader's row."""

    name: str
    numbers: ReaderNumbers
    row: Markup


@dataclass(frozen=True)
class _FindingView:
    """One finding as the template shows it."""

    index: int
    name: str
    found: FindingReaders
    plot: Markup
    readers: list[_ReaderView]
    sentences: list[str]
    aided: list[tuple[str, ...]]
    aided_sentences: list[str]

    @classmethod
    def of(cls, index: int, name: str, found: FindingReaders, axis: Axis) -> _FindingView:
        """Return the view of a finding; all share the axis of differences."""
        readers = [
            _ReaderView(reader, one, _row(axis, one.difference))
            for reader, one in found.readers.items()
        ]
        return cls(
            index,
            name,
            found,
            _plot(name, found),
            readers,
            list(sentences(found)),
            aided_rows(found),
            [aided_sentence(test) for test in found.aided],
        )


def _axis(numbers: Sequence[Interval]) -> Axis:
    """Return an axis around 0 that holds the differences."""
    ends = [abs(end) for one in numbers for end in (one.value, one.low, one.high) if end]
    reach = min(1.0, max([0.1, *ends]))
    ticks = tuple((reach * k / 2, signed(reach * k / 2, 2)) for k in (-2, -1, 0, 1, 2))
    return Axis("reader less model", -reach, reach, ticks)


def _row(axis: Axis, number: Interval) -> Markup:
    return forest(axis, number.value, (number.low, number.high), [(0.0, "chance")])


def _plot(name: str, found: FindingReaders) -> Markup:
    """Draw each reader with both intervals, and the model at each one's specificity."""
    plot = Plot(
        Axis.of("1 - specificity", 0.0, 1.0), Axis.of("sensitivity", 0.0, 1.0), height=264.0
    )
    layers = [plot.line([(0.0, 0.0), (1.0, 1.0)], "guide")]
    model: list[tuple[float, float]] = []
    dots: list[Markup] = []
    for reader, one in found.readers.items():
        sensitivity, specificity = one.sensitivity, one.specificity
        if sensitivity.value is None or specificity.value is None:
            continue
        x, y = 1.0 - specificity.value, sensitivity.value
        if sensitivity.low is not None and sensitivity.high is not None:
            layers.append(plot.line([(x, sensitivity.low), (x, sensitivity.high)], "plain"))
        if specificity.low is not None and specificity.high is not None:
            ends = [(1.0 - specificity.low, y), (1.0 - specificity.high, y)]
            layers.append(plot.line(ends, "plain"))
        words = f"{reader}: sensitivity {y:.3f}, specificity {specificity.value:.3f}"
        dots.append(plot.dot(x, y, "point", words))
        if one.model_sensitivity.value is not None:
            model.append((x, one.model_sensitivity.value))
    model.sort()
    if len(model) > 1:
        layers.append(plot.line(model, "curve"))
    layers += [
        plot.dot(x, y, "value", f"model: sensitivity {y:.3f} at specificity {1.0 - x:.3f}")
        for x, y in model
    ]
    return plot.svg(f"Readers and model on {name}", *layers, *dots)
