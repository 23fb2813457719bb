"""CARD.md: what a person must know before using a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilum.bundle.manifest import Manifest
from hilum.domain.documents.base import NOT_A_DEVICE
from hilum.domain.documents.evaluation import Evaluation
from hilum.report.evaluation.table import markdown

if TYPE_CHECKING:
    from hilum.runs.recipe import TrainingConfig

__all__ = ["card"]

CRITERIA = {
    "auroc": "macro AUROC",
    "average_precision": "macro average precision",
    "loss": "the loss",
}


def card(manifest: Manifest, config: TrainingConfig, evaluation: Evaluation | None) -> str:
    """The model card as Markdown, from the manifest, the configuration and the evaluation."""
    training, calibration = manifest.training, manifest.calibration
    preprocessing = manifest.preprocessing
    lines = [
        f"# {manifest.name}",
        "",
        f"> {NOT_A_DEVICE}",
        "",
        "## What it does",
        f"Gives a calibrated probability, a decision and a heatmap for {len(manifest.labels)} "
        f"findings on one frontal chest film: {', '.join(manifest.labels)}.",
        "Heatmaps are exact Grad-CAM: regions that raised a score, not the location of disease.",
        "",
        "## How it came to be",
        f"- network: {config.model.backbone} {_options(config)}, global average pooling, "
        f"linear head; input {preprocessing.size} px, {preprocessing.channels} channels, "
        f"aspect {preprocessing.fit.value}",
        f"- trained on: {training.dataset}{', synthetic films' if training.synthetic else ''}, "
        f"split `{training.split_name}` "
        f"(train films sha256 {training.split_sha256['train'][:12]}), "
        f"records sha256 {training.records_sha256[:12]}",
        f"- chosen: epoch {training.best_epoch} by {CRITERIA[training.chosen_by]} on tune "
        f"({_number(training.best_tune)}, optimistic, since it was chosen by it)",
        f"- calibrator: {calibration.calibrator.method}, fitted on {calibration.fitted_on.images} "
        f"films of {calibration.fitted_on.patients} patients of the calibrate split, "
        f"in {calibration.precision.value}",
        f"- seed {config.seed}, configuration sha256 {training.config_sha256[:12]}, "
        f"code sha256 {training.provenance.get('code_sha256', '')[:12]}, "
        f"hilum {training.provenance.get('hilum', '')}",
        "",
        "## Operating points",
        "| Finding | Threshold | Target | Prevalence where fitted | Calibrator | Positives |",
        "|---|---|---|---|---|---|",
    ]
    for point in calibration.operating_points:
        fitted = calibration.calibrator.findings[point.finding]
        lines.append(
            f"| {point.finding} | {_number(point.threshold)} | {point.target.value} "
            f"| {_number(calibration.prevalence.get(point.finding))} | {fitted.method} "
            f"| {point.positives} of {point.n} |"
        )
    lines += ["", "## Evaluation"]
    lines.append(markdown(evaluation) if evaluation else "Not evaluated. Nothing is known of it.")
    lines += ["", "## Limits"]
    if config.limits:
        lines += [config.limits, ""]
    lines.append(
        "Probabilities are calibrated to the labels and the prevalence of the films it was fitted "
        "on; elsewhere they shift. It knows only these findings, and only films like those it was "
        "trained on. Calibrate and evaluate it on your own films first."
    )
    notes = (*training.notes, *calibration.notes)
    if notes:
        lines += ["", "## Notes", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _options(config: TrainingConfig) -> str:
    options = ", ".join(f"{name} {value}" for name, value in config.model.options.items())
    return f"({options})" if options else ""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
