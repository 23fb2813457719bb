"""A reader study as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hilum.domain.documents import Interval
from hilum.domain.documents.readers import FindingReaders, Kappa, PanelTest, ReaderStudy
from hilum.evaluation.agreement import MODEL
from hilum.report.parts.markdown import cell, cells_table, document
from hilum.report.parts.text import columned, wrapped

__all__ = ["markdown", "printed"]

_SHORT = ("Reader", "n", "sens.", "spec.", "model sens.", "less model", "place")
_LONG = (
    *("reader", "cases", "positives", "skipped", "sensitivity", "specificity"),
    *("model at that specificity", "reader less model", "beside the curve", "AUROC"),
)


def printed(study: ReaderStudy, width: int) -> str:
    """Return the study for a terminal of `width` columns."""
    lines = wrapped(_head(study), width)
    for finding, found in study.findings.items():
        lines += ["", *wrapped(_words(finding, found), width)]
        rows = [
            (
                name,
                f"{one.n:,}",
                _two(one.sensitivity),
                _two(one.specificity),
                _two(one.model_sensitivity),
                _signed(one.difference),
                one.place.value,
            )
            for name, one in found.readers.items()
        ]
        lines += columned([_SHORT, *rows], width)
        for sentence in _sentences(found):
            lines += wrapped(f"- {sentence}", width)
    lines.append("")
    for note in study.notes:
        lines += wrapped(f"- {note}", width)
    return "\n".join(lines)


def markdown(study: ReaderStudy) -> str:
    """Return the same as a document, with every interval."""
    parts = ["# Model and readers", _head(study)]
    for finding, found in study.findings.items():
        parts += [f"## {cell(finding)}", _words(finding, found)]
        rows = [
            (
                name,
                *(f"{number:,}" for number in (one.n, one.positives, one.skipped)),
                *(
                    number.short()
                    for number in (one.sensitivity, one.specificity, one.model_sensitivity)
                ),
                one.difference.short(),
                one.place.value,
                one.auroc.short(),
            )
            for name, one in found.readers.items()
        ]
        parts.append(cells_table(_LONG, rows))
        kappas = [
            (k.first, k.second, "–" if k.kappa is None else f"{k.kappa:.3f}", f"{k.n:,}")
            for k in found.kappas
        ]
        parts.append(cells_table(("reader", "with", "kappa", "cases"), kappas))
        majority = [
            (
                f"without {m.without}" if m.without else "all",
                f"{m.n:,}",
                m.sensitivity.short(),
                m.specificity.short(),
            )
            for m in found.majority
        ]
        parts.append(cells_table(("majority", "cases", "sensitivity", "specificity"), majority))
        parts.append("\n".join(f"- {line}" for line in _sentences(found)))
    parts.append("\n".join(f"- {cell(note)}" for note in study.notes))
    parts.append(study.notice)
    return document(parts)


def _head(study: ReaderStudy) -> str:
    return (
        f"{study.model} beside {len(study.readers)} readers on {study.split.images:,} films of "
        f"{study.split.patients:,} patients ({study.split.name}); a rating of "
        f"{study.called_at:g} or more is a call. {study.interval}; seed {study.seed}."
    )


def _words(finding: str, found: FindingReaders) -> str:
    return (
        f"{finding}: {found.n:,} cases, {found.positives:,} positive. Of {len(found.readers)} "
        f"readers {found.above} lie above the model's curve, {found.on} are not separable from "
        f"it, {found.below} lie below."
    )


def _sentences(found: FindingReaders) -> Iterator[str]:
    yield _panel(found.sensitivity_test)
    yield _panel(found.auroc_test)
    among = _mean([one for one in found.kappas if one.second != MODEL])
    own = _mean([one for one in found.kappas if one.second == MODEL])
    yield f"mean kappa: among readers {among}; with the model, at each one's specificity, {own}"
    every = found.majority[0]
    yield (
        f"majority of all: sensitivity {every.sensitivity.short()}, specificity "
        f"{every.specificity.short()}"
    )


def _panel(test: PanelTest) -> str:
    if test.difference is None or test.p is None:
        return f"{test.what}: not tested ({test.reason})"
    between = "" if test.low is None else f" [{test.low:+.3f}, {test.high:+.3f}]"
    df = "" if test.df is None else f", {test.df:.1f} degrees of freedom"
    return (
        f"{test.what}: {test.difference:+.3f}{between}, p = {test.p:.3f}{df}; {test.readers} "
        f"readers and {test.n:,} cases, both random{_margin(test)}"
    )


def _margin(test: PanelTest) -> str:
    """Return what the test shows beside its margin, and the panel that would show more."""
    if test.margin is None or test.no_worse is None:
        return ""
    if test.better:
        return "; the model is better than the mean reader"
    by = f"the mean reader by more than the margin of {test.margin:g}"
    if test.no_worse:
        return f"; the model is no worse than {by}"
    needed = "; no panel would show it at this difference"
    if test.cases_needed is not None:
        needed = f"; {test.readers_needed} readers of {test.cases_needed:,} cases each would"
    return f"; not shown to be no worse than {by}{needed}"


def _mean(kappas: Sequence[Kappa]) -> str:
    known = [one.kappa for one in kappas if one.kappa is not None]
    return f"{sum(known) / len(known):.3f}" if known else "not defined"


def _two(number: Interval) -> str:
    return "–" if number.value is None else f"{number.value:.2f}"


def _signed(number: Interval) -> str:
    if number.value is None or number.low is None or number.high is None:
        return "–"
    return f"{number.value:+.2f} [{number.low:+.2f}, {number.high:+.2f}]"
