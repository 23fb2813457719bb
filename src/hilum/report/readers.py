"""A reader study as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hilum.domain.documents import Interval
from hilum.domain.documents.readers import (
    AidedTest,
    FindingReaders,
    Kappa,
    PanelTest,
    ReaderStudy,
    UStatistics,
)
from hilum.evaluation.agreement import MODEL
from hilum.report.parts.markdown import cell, cells_table, document
from hilum.report.parts.text import columned, wrapped

__all__ = ["aided_rows", "aided_sentence", "markdown", "printed", "sentences"]

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
        for sentence in sentences(found):
            lines += wrapped(f"- {sentence}", width)
        if found.aided:
            lines += ["", "Readers with the model's help less without:"]
            lines += columned([_AIDED[:5], *(row[:5] for row in aided_rows(found))], width)
            for test in found.aided:
                lines += wrapped(f"- {aided_sentence(test)}", width)
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
        parts.append("\n".join(f"- {line}" for line in sentences(found)))
        if found.aided:
            parts += ["### With the model's help", cells_table(_AIDED, aided_rows(found))]
            parts.append("\n".join(f"- {aided_sentence(test)}" for test in found.aided))
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


def aided_rows(found: FindingReaders) -> list[tuple[str, ...]]:
    """Return a row for each number that readers have without and with the model's help."""
    return [
        (
            test.what,
            _decimal(test.first),
            _decimal(test.second),
            _between(test.difference, test.low, test.high),
            _p(test.p),
            _between(test.difference, test.fixed_low, test.fixed_high),
            _p(test.fixed_p),
            *_u_cells(test.u_statistics),
        )
        for test in found.aided
    ]


def aided_sentence(test: AidedTest) -> str:
    """Return what a comparison of readers with themselves shows beside its margin."""
    if test.difference is None or test.low is None or test.high is None:
        reason = test.reason or "readers and cases do not vary, so there is no interval"
        return f"{test.what}: not tested ({reason})"
    head = f"{test.what}: {test.readers} readers, {test.n:,} cases that all read both ways"
    if test.better:
        return f"{head}; better with help"
    worse = f"no worse with help, by the margin of {test.margin or 0.0:g}"
    shown = f"shown to be {worse}" if test.no_worse else f"not shown to be {worse}"
    needed = _needed(test.readers_needed, test.cases_needed) if not test.no_worse else ""
    better = _needed(test.better_readers_needed, test.better_cases_needed)
    return f"{head}; {shown}{needed}; not shown to be better{better}"


def _needed(readers: int | None, cases: int | None) -> str:
    if readers is None or cases is None:
        return " (no panel would show it at this difference)"
    return f" ({readers} readers of {cases:,} cases each would show it)"


_AIDED = (
    *("number", "without", "with", "difference", "p", "these readers alone", "p"),
    *("by U-statistics", "p"),
)


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _between(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:+.3f}" if low is None else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _p_words(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _u_cells(found: UStatistics | None) -> tuple[str, str]:
    if found is None:
        return "–", "–"
    return _between(found.difference, found.low, found.high), _p(found.p)


def sentences(found: FindingReaders) -> Iterator[str]:
    """Give what a finding's readers show, a sentence each."""
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
        f"{test.what}: {test.difference:+.3f}{between}, {_p_words(test.p)}{df}; {test.readers} "
        f"readers and {test.n:,} cases, both random{_u_words(test.u_statistics)}{_margin(test)}"
    )


def _u_words(found: UStatistics | None) -> str:
    if found is None or found.difference is None:
        return "" if found is None else f"; no U-statistics ({found.reason})"
    if found.p is None:
        return f"; no U-statistics ({found.reason})"
    between = _between(found.difference, found.low, found.high)
    return f"; by U-statistics {between}, {_p_words(found.p)}"


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
