"""A comparison as Markdown: the models, then each against the first."""

from __future__ import annotations

from hilum.domain.documents.base import Interval
from hilum.domain.documents.comparison import Comparison, Pair, PairDifference
from hilum.report.evaluation.table import shown
from hilum.report.parts.markdown import document, table

__all__ = ["comparison_markdown"]


def comparison_markdown(comparison: Comparison) -> str:
    """What was compared on, the models' own numbers, and every pair with its verdict.

    Numbers on test stand in a column of their own where the models have them; the choice was made
    without them.
    """
    split = comparison.split
    parts = [
        f"{len(comparison.models)} models on {split.name}: {split.images:,} "
        f"{comparison.level}s of {split.patients:,} patients, list sha256 {split.sha256[:12]}. "
        f"{comparison.interval}.",
        _models(comparison),
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
        told = [model.facts.get(key, "") for key in facts]
        rows.append([title, *told, *(shown(number) for number in numbers)])
    return table(header, rows, "lr")


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
    return f"{pair.words}.\n\n{table(header, rows, 'lr')}"


def _cells(difference: PairDifference) -> tuple[str, str, str]:
    p = difference.p_holm
    return shown(difference.difference), "–" if p is None else f"{p:.3g}", difference.verdict.value
