"""CARD.md: the model card, to be read before using a bundle."""

from __future__ import annotations

from hilum.bundle.manifest import Calibration, Manifest
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import counted
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.evaluation.table import markdown
from hilum.runs.facts import BoundFilms, Imported, RunFacts, Trained

__all__ = ["card"]

CRITERIA = {
    "auroc": "macro AUROC",
    "average_precision": "macro average precision",
    "loss": "the loss",
}
"""Selection metrics of the epoch in words."""


def card(manifest: Manifest, evaluation: Evaluation | None) -> str:
    """Return the model card as Markdown, from the manifest and the evaluation.

    Words about training stand only on the card of a network that hilum trained.
    """
    facts, calibration = manifest.facts, manifest.calibration
    network, preprocessing = facts.network, manifest.preprocessing
    lines = [
        f"# {manifest.name}",
        "",
        f"> {NOT_A_DEVICE}",
        "",
        "## What it does",
        f"Gives {'a calibrated' if calibration.fitted_on.images else 'an uncalibrated'} "
        f"probability, a decision and a heatmap for {len(manifest.labels)} "
        f"findings on one frontal chest film: {', '.join(manifest.labels)}.",
        "Heatmaps are exact Grad-CAM: regions that raised a score, not the location of disease.",
        "",
        "## How it came to be",
        f"- network: {network.architecture}; "
        f"input {preprocessing.size} px, {preprocessing.channels} channels, "
        f"aspect {preprocessing.fit.value}",
        *_origin(facts),
        _fitted(calibration),
        *_replaces(manifest),
        f"- {_made(facts)}, "
        f"code sha256 {network.provenance.get('code_sha256', '')[:12]}, "
        f"hilum {network.provenance.get('hilum', '')}",
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
    if network.limits:
        lines += [network.limits, ""]
    lines.append(
        (
            "Probabilities are calibrated to the labels and the prevalence of the films it was "
            "fitted on; elsewhere they shift. "
            if calibration.fitted_on.images
            else "Probabilities are not calibrated to any film. "
        )
        + _knows(facts)
        + "Calibrate and evaluate it on your own films first."
    )
    notes = (*network.notes, *calibration.notes)
    if notes:
        lines += ["", "## Notes", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _fitted(calibration: Calibration) -> str:
    fitted = calibration.fitted_on
    if not fitted.images:
        return f"- uncalibrated: the plain {calibration.calibrator.method} of the logits"
    return (
        f"- calibrator: {calibration.calibrator.method}, fitted on {fitted.images} "
        f"films of {counted(fitted.patients, 'patient')} of the calibrate split, "
        f"in {calibration.precision.value}"
    )


def _replaces(manifest: Manifest) -> list[str]:
    if not manifest.replaces:
        return []
    return [
        f"- replaces: bundle {manifest.replaces[:12]} (sha256 {manifest.replaces}), which had a "
        "different calibration; its thresholds and rules do not carry over"
    ]


def _origin(facts: RunFacts) -> list[str]:
    """The lines on where the network comes from and which films it is bound to."""
    origin, films = facts.origin, facts.films
    if isinstance(origin, Imported):
        lines = [
            f"- imported from: `{origin.file}` (sha256 {origin.sha256[:12]}), {origin.format}, "
            f"profile {origin.profile}"
        ]
        lines += [f"- films: {_films(films, 'calibrate')}"] if films else []
        seen = "; ".join(f"{one.dataset} ({one.films})" for one in origin.seen)
        lines += [f"- trained by its authors on: {seen}"] if seen else []
        lines += [f"- license of the weights: {origin.license}"] if origin.license else []
        lines += [f"- cite: {origin.citation}"] if origin.citation else []
        return [*lines, *([f"- published at: {origin.url}"] if origin.url else [])]
    return [
        *([f"- trained on: {_films(films, 'train')}"] if films else []),
        f"- chosen: epoch {origin.best_epoch} by {CRITERIA[origin.chosen_by]} on tune "
        f"({_number(origin.best_tune)}, optimistic, since it was chosen by it)",
    ]


def _films(films: BoundFilms, split: str) -> str:
    """Dataset and split in words, with the hash of one split's films."""
    drawn = ", synthetic films" if films.synthetic else ""
    return (
        f"{films.dataset}{drawn}, split `{films.split_name}` "
        f"({split} films sha256 {films.split_sha256[split][:12]}), "
        f"records sha256 {films.records_sha256[:12]}"
    )


def _made(facts: RunFacts) -> str:
    """Seed and configuration of a trained network; the exported file of an imported one."""
    origin = facts.origin
    if isinstance(origin, Trained):
        return f"seed {origin.seed}, configuration sha256 {origin.config_sha256[:12]}"
    return f"model sha256 {facts.network.model_sha256[:12]}"


def _knows(facts: RunFacts) -> str:
    """Limits of what the network knows, in a sentence or two."""
    if isinstance(facts.origin, Trained):
        return "It knows only these findings, and only films like those it was trained on. "
    return (
        "It knows only these findings. Which films its authors used is known only as far as they "
        "published it. "
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
