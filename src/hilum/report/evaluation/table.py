"""An evaluation and a comparison as Markdown: the tables a paper or a model card prints."""

from __future__ import annotations

from hilum.domain.documents import Interval
from hilum.domain.documents.comparison import CalibrationEffect, Comparison, Pair, PairDifference
from hilum.domain.documents.evaluation import Evaluation, FindingEvaluation, SummaryEvaluation
from hilum.domain.errors import counted
from hilum.evaluation.entries import LEVELS
from hilum.report.evaluation.label_noise import label_noise_tables
from hilum.report.evaluation.sentences import (
    NONE,
    best_and_worst,
    interpretation,
    shown,
    spread_words,
    warnings_above,
)
from hilum.report.parts.markdown import document, table

__all__ = [
    "calibration_table",
    "comparison_markdown",
    "effect_table",
    "findings_table",
    "markdown",
    "points_table",
    "ranking_table",
    "rivals_table",
    "scores_table",
    "subgroups_table",
]

_AT = f"{LEVELS[0]:.2f}"
_CALIBRATION = (
    "Calibrated means: the intervals of slope and O/E contain 1, and the ECE is no larger than "
    "chance gives a calibrated model with as many films. A low ECE alone proves nothing: that of "
    "the constant predictor is small although it sees no film. Resampling adds noise to every bin, "
    "so the interval of an ECE may lie above its value."
)
_SUBGROUPS = (
    "Groups differ in more than their name: films of a view are of other patients too. A mean over "
    "other findings is another number: compare only rows that count as many."
)


def markdown(evaluation: Evaluation) -> str:
    """Return all tables, after a line on what was evaluated and before the notes.

    No number stands without its split, its n and its interval.
    """
    points = points_table(evaluation)
    groups = subgroups_table(evaluation)
    parts = [
        *(f"**{note}**" for note in warnings_above(evaluation)),
        _facts(evaluation),
        ranking_table(evaluation),
        _ranking_words(evaluation),
        "**By finding**",
        findings_table(evaluation),
        "**Compared with baselines that see no film**",
        rivals_table(evaluation),
        "**Calibration**",
        calibration_table(evaluation),
        _CALIBRATION,
        scores_table(evaluation),
        *(("**Operating points**", points, _gain(evaluation)) if points else ()),
        *label_noise_tables(evaluation),
        *(("**Subgroups**", groups, _SUBGROUPS) if groups else ()),
        _remarks(evaluation),
        evaluation.notice,
    ]
    return document(parts)


def ranking_table(evaluation: Evaluation) -> str:
    """Return how well films are ranked: `Class | AUROC | AP | Thr | Sen@Spec(0.8)`, then the mean.

    The threshold is the finding's first operating point, and no threshold of the last column: that
    is chosen on these very films.
    """
    rows = [
        (
            name,
            shown(finding.auroc),
            shown(finding.average_precision),
            _threshold(finding),
            shown(finding.sensitivity_at_specificity.get(_AT)),
        )
        for name, finding in evaluation.findings.items()
    ]
    macro = evaluation.macro
    at = shown(macro.sensitivity_at_specificity.get(_AT))
    rows.append(("**Macro**", shown(macro.auroc), shown(macro.average_precision), "", at))
    return table(("Class", "AUROC", "AP", "Thr", f"Sen@Spec({LEVELS[0]:g})"), rows, "lr")


def findings_table(evaluation: Evaluation) -> str:
    """Return the table of each finding's films and patients, and what its numbers mean.

    Beside the AUROC that view, sex and age reach without a film, and the model's own among films
    of one view.
    """
    every = evaluation.findings.values()
    views = list(dict.fromkeys(view for finding in every for view in finding.within_view))
    rows = [
        (
            name,
            f"{finding.n:,}",
            f"{finding.positives:,}",
            f"{finding.positive_patients:,}",
            shown(finding.metadata_baseline),
            *(shown(finding.within_view.get(view)) for view in views),
            interpretation(finding),
        )
        for name, finding in evaluation.findings.items()
    ]
    within = [f"AUROC within {view}" for view in views]
    header = ("Finding", "Films", "Positive", "Patients with it", "AUROC of metadata alone")
    return table((*header, *within, "Interpretation"), rows, "l" + "r" * (4 + len(views)) + "l")


def rivals_table(evaluation: Evaluation) -> str:
    """Return the model's means beside the constant predictor's and the metadata's."""
    constant, metadata = evaluation.constant_predictor, evaluation.metadata_baseline

    def row(title: str, summary: SummaryEvaluation) -> tuple[str, ...]:
        ece = shown(summary.ece_equal_mass, 4)
        return title, shown(summary.auroc), shown(summary.average_precision), ece

    rows = [
        row("macro", evaluation.macro),
        (
            "constant predictor, macro",
            shown(constant.auroc),
            shown(constant.average_precision),
            shown(constant.ece_equal_mass, 4),
        ),
        ("metadata alone, macro", shown(metadata.auroc), "", ""),
        row("micro", evaluation.micro),
        ("constant predictor, micro", shown(constant.micro_auroc), "", ""),
    ]
    return table(("", "AUROC", "AP", "ECE, equal mass"), rows, "lr")


def calibration_table(evaluation: Evaluation) -> str:
    """Return how far probabilities can be believed: slope, intercept, O/E, ECE, and what follows.

    The chance level is the 95th percentile of equal-mass ECE under perfect calibration: an ECE
    below it cannot be distinguished from zero.
    """
    rows = [
        (
            name,
            shown(finding.calibration.slope, 2),
            shown(finding.calibration.intercept, 2),
            shown(finding.calibration.o_e, 2),
            shown(finding.ece.equal_mass, 4),
            NONE if finding.ece.null_95 is None else f"{finding.ece.null_95:.4f}",
            finding.calibration.verdict,
        )
        for name, finding in evaluation.findings.items()
    ]
    header = ("Finding", "Slope", "Intercept", "O/E", "ECE, equal mass", "by chance", "Verdict")
    return table(header, rows, "lrrrrrl")


def scores_table(evaluation: Evaluation) -> str:
    """Return scores of the probabilities: Brier and its skill, log loss, calibration errors."""
    rows = [
        (
            name,
            shown(finding.brier, 4),
            shown(finding.brier_skill),
            shown(finding.log_loss, 4),
            shown(finding.ece.equal_width, 4),
            shown(finding.ece.debiased_l2, 4),
        )
        for name, finding in evaluation.findings.items()
    ]
    for title, row in (
        ("**macro**", evaluation.macro),
        ("constant predictor, macro", evaluation.constant_predictor),
    ):
        rows.append((title, shown(row.brier, 4), "", "", shown(row.ece_equal_width, 4), ""))
    header = ("Finding", "Brier", "Brier skill", "Log loss", "ECE, equal width", "Debiased L2")
    return table(header, rows, "lr")


def points_table(evaluation: Evaluation) -> str:
    """Return the table of operating points, frozen before, on these films; empty without any."""
    rows = [
        (
            name,
            target,
            NONE if point.threshold is None else f"{point.threshold:.4g}",
            shown(point.sensitivity),
            shown(point.specificity),
            shown(point.ppv),
            shown(point.npv),
            shown(point.f1),
        )
        for name, finding in evaluation.findings.items()
        for target, point in finding.operating_points.items()
    ]
    header = ("Finding", "Chosen for", "Thr", "Sensitivity", "Specificity", "PPV", "NPV", "F1")
    return table(header, rows, "lr") if rows else ""


def subgroups_table(evaluation: Evaluation) -> str:
    """Macro AUROC by sex, age, view and visit; empty without subgroups."""
    rows = [
        (
            f"{group.attribute}: {group.group}",
            f"{group.images:,}",
            f"{group.patients:,}",
            shown(group.auroc),
            f"{group.findings_counted} of {len(evaluation.findings)}",
        )
        for group in evaluation.subgroups
    ]
    header = ("Group", "Films", "Patients", "AUROC, macro", "Findings counted")
    return table(header, rows, "lr") if rows else ""


def _threshold(finding: FindingEvaluation) -> str:
    for point in finding.operating_points.values():
        return NONE if point.threshold is None else f"{point.threshold:.4g}"
    return NONE


def _facts(evaluation: Evaluation) -> str:
    split = evaluation.split
    look, level = evaluation.look, evaluation.level
    policy = ", ".join(f"{kind}: {choice}" for kind, choice in evaluation.policy.items())
    sentences = [
        f"{evaluation.model} on {split.name}: {counted(split.images, 'film')} of "
        f"{counted(split.patients, 'patient')}, film list sha256 {split.sha256[:12]}.",
        f"A row is a {level}." if level != "film" else "",
        f"Labels ({policy})." if policy else "",
        f"Evaluation number {look} of this test set." if look is not None else "",
        f"In brackets: {evaluation.interval}.",
        f"Prevalences of the constant predictor: {evaluation.constant_predictor.prevalence_from}.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _ranking_words(evaluation: Evaluation) -> str:
    macro = evaluation.macro
    title = f"Macro: {macro.findings_counted} of {counted(macro.findings_total, 'finding')}."
    return f"{title} {best_and_worst(evaluation)}".strip()


def _gain(evaluation: Evaluation) -> str:
    """Return whether a threshold for each finding serves better than one for all."""
    macro = evaluation.macro
    every = [p for f in evaluation.findings.values() for p in f.operating_points.values()]
    chosen = ", ".join(dict.fromkeys(point.chosen_on for point in every))
    sentence = f"Thresholds were chosen on {chosen}."
    if macro.threshold_gain.value is None:
        return sentence
    return (
        f"{sentence} Macro F1 with each finding's first threshold: {shown(macro.f1)}; with "
        f"{macro.shared_threshold:.3g} for all: {shown(macro.f1_shared)}; difference "
        f"{shown(macro.threshold_gain)}."
    )


def _remarks(evaluation: Evaluation) -> str:
    """Return the reasons for missing numbers or intervals, by finding, and the notes."""
    lines = [f"- {note}" for note in evaluation.notes]
    lines.append(f"- metadata: {evaluation.metadata_baseline.features}")
    for name, finding in evaluation.findings.items():
        numbers = (finding.auroc, *(p.sensitivity for p in finding.operating_points.values()))
        reasons = dict.fromkeys(number.reason for number in numbers if number.reason)
        lines += [f"- {name}: {reason}" for reason in reasons]
    return "\n".join(lines)


def comparison_markdown(comparison: Comparison) -> str:
    """Return the films compared on, the models' own numbers, and every pair with its verdict.

    Numbers on test stand in a column of their own where the models have them; the choice was made
    without them.
    """
    split = comparison.split
    parts = [
        f"{counted(len(comparison.models), 'model')} on {split.name}: {split.images:,} "
        f"{comparison.level}s of {counted(split.patients, 'patient')}, "
        f"list sha256 {split.sha256[:12]}. {comparison.interval}.",
        _models(comparison),
        _runs(comparison),
        f"{comparison.seeds[:1].upper()}{comparison.seeds[1:]}." if comparison.seeds else "",
        _choice(comparison),
        *(_pair(pair) for pair in comparison.pairs),
        "\n".join(f"- {note}" for note in comparison.notes),
        comparison.notice,
    ]
    return document(parts)


def _models(comparison: Comparison) -> str:
    models = comparison.models
    facts = list(dict.fromkeys(key for model in models.values() for key in model.facts))
    tested = any(model.test_auroc is not None for model in models.values())
    on = comparison.split.name
    header = ["Model", *facts, f"AUROC, {on}", f"AP, {on}"]
    header += ["AUROC, test", "AP, test"] if tested else []
    rows: list[list[str]] = []
    for name, model in models.items():
        numbers: list[Interval | None] = [model.auroc, model.average_precision]
        numbers += [model.test_auroc, model.test_average_precision] if tested else []
        title = f"**{name}**" if name == comparison.chosen else name
        values = [model.facts.get(key, "") for key in facts]
        rows.append([title, *values, *(shown(number) for number in numbers)])
    return table(header, rows, "lr")


def _runs(comparison: Comparison) -> str:
    """Return the runs of each model that has several, and how far apart seeds put them."""
    rows: list[list[str]] = []
    for name, model in comparison.models.items():
        if model.runs:
            own = ", ".join(f"{run} {value:.3f}" for run, value in model.runs.items())
            seeds = "–" if model.spread is None else f"{model.spread.one_run:.4f}"
            rows.append([name, seeds, own])
    header = ["Model", "SD of a run over seeds", f"AUROC of each run, {comparison.split.name}"]
    return table(header, rows, "lrl") if rows else ""


def _choice(comparison: Comparison) -> str:
    if comparison.chosen is None:
        return comparison.chosen_on
    return f"Chosen on {comparison.chosen_on}: {comparison.chosen}."


def _pair(pair: Pair) -> str:
    rows = [
        [name, *_cells(pair.auroc[name]), *_cells(pair.average_precision[name])]
        for name in pair.auroc
    ]
    rows.append(["**macro**", *_cells(pair.macro_auroc), *_cells(pair.macro_average_precision)])
    header = ["Finding", "ΔAUROC", "p (Holm)", "Verdict", "ΔAP", "p (Holm)", "Verdict"]
    words = " ".join(f"{part}." for part in (pair.words, spread_words(pair)) if part)
    return f"{words}\n\n{table(header, rows, 'lr')}"


def _cells(difference: PairDifference) -> tuple[str, str, str]:
    p = difference.p_holm
    return shown(difference.difference), "–" if p is None else f"{p:.3g}", difference.verdict.value


def effect_table(effect: CalibrationEffect) -> str:
    """Markdown: mean probability beside the prevalence, Brier and ECE before and after."""
    header = (
        *("Finding", "Prevalence", "Mean p before", "Mean p after", "Slope before"),
        *("Slope after", "Brier, change", "ECE before", "ECE after", "ECE, change"),
    )
    rows: list[tuple[str, ...]] = [
        (
            name,
            NONE if found.prevalence is None else f"{found.prevalence:.4f}",
            shown(found.before.mean_probability, 4),
            shown(found.after.mean_probability, 4),
            shown(found.before.slope, 2),
            shown(found.after.slope, 2),
            shown(found.change.brier, 4),
            shown(found.before.ece_equal_mass, 4),
            shown(found.after.ece_equal_mass, 4),
            shown(found.change.ece_equal_mass, 4),
        )
        for name, found in effect.findings.items()
    ]
    macro = effect.macro_change
    rows.append(
        ("**macro**", *[""] * 5, shown(macro.brier, 4), "", "", shown(macro.ece_equal_mass, 4))
    )
    return (
        f"Before: {effect.before}. After: {effect.after}. On {effect.split.name}, which fitted "
        "neither. Below 0 is better.\n\n" + table(header, rows, "lr")
    )
