"""Meaning of an evaluation's numbers, in words made by fixed rules."""

from __future__ import annotations

from hilum.domain.documents import Interval
from hilum.domain.documents.comparison import Pair
from hilum.domain.documents.evaluation import (
    CONTAMINATED,
    Evaluation,
    FindingEvaluation,
)
from hilum.domain.errors import counted
from hilum.report.evaluation.label_noise import label_noise_lines
from hilum.report.parts.text import columned, wrapped

__all__ = [
    "GRADES",
    "NONE",
    "best_and_worst",
    "interpretation",
    "shown",
    "spread_words",
    "terminal_summary",
    "warnings_above",
]

NONE = "–"

GRADES = ((0.9, "very well"), (0.8, "well"), (0.7, "moderately"), (0.0, "weakly"))
"""Least AUROC of each word, where the interval allows a word at all."""


def shown(number: Interval | None, digits: int = 3) -> str:
    """Return a number with its interval, or a dash where there is none.

    >>> shown(Interval(value=0.8123, low=0.77, high=0.85)), shown(None)
    ('0.812 [0.770, 0.850]', '–')
    """
    return NONE if number is None else number.short(digits)


def spread_words(pair: Pair) -> str:
    """Return what seeds and patients give a macro difference, apart; empty where it is not known.

    Args:
        pair: two models, each with several runs.
    """
    spread = pair.macro_auroc.spread
    if spread is None:
        return ""
    if spread.seeds == 0.0:
        return (
            f"Standard error of the macro AUROC's difference: {spread.patients:.4f} from patients; "
            "the runs differ no more than chance patients make them"
        )
    return (
        f"Standard error of the macro AUROC's difference: {spread.seeds:.4f} from seeds and "
        f"{spread.patients:.4f} from patients. Seeds alone would move the difference of two single "
        f"runs by {spread.one_run:.4f} (standard deviation)"
    )


def interpretation(finding: FindingEvaluation) -> str:
    """Return the meaning of a finding's numbers, in a sentence.

    Of the AUROC, the first that holds: there is none; it has no interval; its interval contains
    0.5, or lies below; its interval reaches down to what view, sex and age give without a film;
    else the word that `GRADES` has for its value. Then what a flag is worth: at the first
    operating point, how many of 100 flagged films have the finding, and how many of 100 with it
    are flagged.
    """
    flags = next(iter(finding.operating_points.values()), None)
    ranking = _ranks(finding)
    if flags is None or flags.sensitivity.value is None or finding.auroc.low is None:
        return ranking
    found = f"of 100 films with it {100 * flags.sensitivity.value:.0f} are flagged"
    if flags.ppv.value is None:
        return f"{ranking}; no film is flagged"
    return f"{ranking}; {found}, of 100 flagged {100 * flags.ppv.value:.0f} have it"


def _ranks(finding: FindingEvaluation) -> str:
    area, baseline = finding.auroc, finding.metadata_baseline.value
    if area.value is None:
        return f"not evaluated: {area.reason}"
    if area.low is None or area.high is None:
        return f"too few patients to tell ({finding.positive_patients} with the finding)"
    if area.high < 0.5:
        return "ranks films the wrong way round"
    if area.low <= 0.5:
        return "cannot be distinguished from chance"
    if baseline is not None and area.low <= baseline:
        return f"cannot be distinguished from view, sex and age alone ({baseline:.3f})"
    return "ranks films " + next(word for least, word in GRADES if area.value >= least)


def best_and_worst(evaluation: Evaluation) -> str:
    """Return the findings with the highest and the lowest AUROC; empty with fewer than two.

    Of many findings the extremes are partly luck, those of few patients above all.
    """
    areas = [
        (finding.auroc.value, name, finding)
        for name, finding in evaluation.findings.items()
        if finding.auroc.value is not None
    ]
    if len(areas) < 2:
        return ""
    (_, low, worst), (_, high, best) = min(areas)[:3], max(areas)[:3]
    return (
        f"Best ranked: {high}, AUROC {shown(best.auroc)} ("
        f"{counted(best.positive_patients, 'patient')} with it). "
        f"Worst ranked: {low}, AUROC {shown(worst.auroc)} ("
        f"{counted(worst.positive_patients, 'patient')} with it)."
    )


def warnings_above(evaluation: Evaluation) -> list[str]:
    """Return the notes that must stand above every number."""
    return [note for note in evaluation.notes if note.startswith(CONTAMINATED)]


_LINES = 23
"""Lines of an evaluation in a terminal: a screen, with the lines that name the tables."""


def terminal_summary(evaluation: Evaluation, width: int) -> str:
    """Return what an evaluation says in short: at most 23 lines of at most `width` characters.

    Every number has its interval, its split and its n. The findings with the most films come
    first, and as many as there is room for; all tables are in evaluation.md.
    """
    split, macro, constant = evaluation.split, evaluation.macro, evaluation.constant_predictor
    look = (
        "" if evaluation.look is None else f" Evaluation number {evaluation.look} of these films."
    )
    look = look if evaluation.level == "film" else f" A row is a {evaluation.level}.{look}"
    calibrated = [one.calibration.verdict == "calibrated" for one in evaluation.findings.values()]
    above = [
        *(line for note in warnings_above(evaluation) for line in wrapped(note, width)),
        *wrapped(
            f"{evaluation.model} on {split.name}: {counted(split.images, 'film')} of "
            f"{counted(split.patients, 'patient')} ({split.sha256[:12]}).{look} "
            f"In brackets: {evaluation.interval.partition(';')[0]}.",
            width,
        ),
    ]
    below = [
        *(part for line in label_noise_lines(evaluation) for part in wrapped(line, width)),
        *wrapped(
            f"Calibrated: {sum(calibrated)} of {counted(len(calibrated), 'finding')}. Mean ECE "
            f"{shown(macro.ece_equal_mass, 4)}; of a constant predictor, which sees no film, "
            f"{shown(constant.ece_equal_mass, 4)}.",
            width,
        ),
        *wrapped(evaluation.notice, width),
    ]
    rows = [
        (name[:_NAME], f"{one.positives:,}", shown(one.auroc), shown(one.average_precision))
        for name, one in sorted(evaluation.findings.items(), key=lambda item: -item[1].positives)
    ]
    room = max(3, _LINES - len(above) - len(below) - 2)
    left = len(rows) - room
    if left > 0:
        rows, left = rows[: room - 1], left + 1
        below.insert(0, f"and {left} more findings, with fewer positive films")
    title = f"Macro ({macro.findings_counted} of {macro.findings_total})"
    rows.append((title, "", shown(macro.auroc), shown(macro.average_precision)))
    table = columned([("Finding", "Positive", "AUROC", "AP"), *rows], width)
    room = _LINES - len(above) - len(table) - len(below)
    first = warnings_above(evaluation)
    notes = [wrapped(f"- {note}", width) for note in evaluation.notes if note not in first]
    if sum(map(len, notes)) <= room:
        table += [line for note in notes for line in note]
    elif room:
        table.append(f"- {counted(len(notes), 'note')} on labels and films: --full")
    return "\n".join((*above, *table, *below))


_NAME = 22
"""Characters of a finding's name that are shown."""
