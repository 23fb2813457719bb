"""index.html of a run folder, from the documents that its stages wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from hilum.bundle.manifest import Calibration, read_calibration
from hilum.domain.documents import SplitFacts
from hilum.domain.documents.comparison import CalibrationEffect
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.heatmaps import HeatmapEvaluation, Localization, Sanity
from hilum.domain.errors import BundleError, counted
from hilum.domain.record import Split
from hilum.files.atomic import atomic_file
from hilum.files.sealed import read_seal, read_sealed
from hilum.report.run import RunNumber, RunStage, StageState, run_page
from hilum.runs.facts import RunFacts, Trained
from hilum.runs.folder import RunFolder
from hilum.splits import SplitTable

__all__ = ["INDEX", "note_bundle", "write_index"]

INDEX = "index.html"
"""File name of the page, in a run's folder."""
_POINT = "Heatmaps: where they point"
_DEPEND = "Heatmaps: do they depend on the weights"

D = TypeVar("D", bound=BaseModel)


def write_index(run: RunFolder) -> None:
    """Write index.html into a finished run; a folder that is not one, or read-only, is left alone.

    It is made of the run's documents alone: the same files give the same bytes.
    """
    if not run.finished:
        return
    facts = run.facts()
    builders: dict[str, Callable[[], RunStage]] = {
        "Network": lambda: _trained(run, facts),
        "Calibration": lambda: _calibrated(run),
        "Evaluation": lambda: _evaluated(run),
        "Error browser": lambda: _errors(run),
        _POINT: lambda: _localized(run, facts),
        _DEPEND: lambda: _sane(run, facts),
        "Bundle": lambda: _bundled(run),
    }
    stages = [_safe(name, build) for name, build in builders.items()]
    synthetic = facts.films is not None and facts.films.synthetic
    page = run_page(facts.network.name, synthetic, stages)
    with suppress(PermissionError), atomic_file(run.root / INDEX) as unfinished:
        unfinished.write_bytes(page.encode())


def note_bundle(run: RunFolder, bundle: Path, short: str) -> None:
    """Note in the run where a bundle was written, for its index and for the bundles after it.

    A read-only run is left alone.

    Args:
        run: that the bundle was made of.
        bundle: its folder.
        short: its short id.
    """
    note = {
        "path": os.path.relpath(bundle, run.root),
        "id": short,
        "seal": read_seal(bundle / "bundle.json"),
        "bond": read_calibration(run).bond,
    }
    line = json.dumps(note)
    with suppress(PermissionError), run.bundles.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    write_index(run)


def _safe(name: str, build: Callable[[], RunStage]) -> RunStage:
    """Return the stage, or that its document cannot be read: one file must not hide the others."""
    try:
        return build()
    except BundleError as error:
        return RunStage(name, StageState.UNREADABLE, note=str(error))


def _files(run: RunFolder, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the words and path of those files that are there."""
    return [(words, file) for words, file in pairs if (run.root / file).is_file()]


def _measured(split: SplitFacts) -> str:
    return (
        f"{split.name}: {counted(split.images, 'film')} of {counted(split.patients, 'patient')}, "
        f"{split.sha256[:12]}"
    )


def _document(model: type[D], run: RunFolder, name: str) -> D | None:
    path = run.root / name
    return read_sealed(model, path) if path.is_file() else None


def _trained(run: RunFolder, facts: RunFacts) -> RunStage:
    network, origin = facts.network, facts.origin
    numbers = [RunNumber("Architecture", network.architecture or "not recorded")]
    numbers.append(RunNumber("Findings", f"{network.label_set} ({len(network.labels)})"))
    if isinstance(origin, Trained):
        numbers.append(RunNumber("Kept epoch", str(origin.best_epoch)))
        area = origin.best_tune_auroc
        if area is not None:
            words = "tune films, on which the epoch was chosen: optimistic, and without an interval"
            numbers.append(RunNumber("Macro AUROC", f"{area:.3f}", words))
    else:
        numbers.append(RunNumber("Imported from", f"{origin.file}, profile {origin.profile}"))
    if run.split.is_file():
        numbers += _splits(SplitTable.read(run.split))
    return RunStage(
        "Network",
        StageState.DONE,
        numbers,
        _files(
            run,
            ("Configuration", "config.yaml"),
            ("Split of each film", "split.csv"),
            ("Label counts", "prevalence.csv"),
            ("Weights in the loss", "weights.csv"),
            ("Log of the epochs", "log.jsonl"),
            ("Machine and packages", "environment.json"),
        ),
        "curves.png" if run.curves.is_file() else "",
    )


def _splits(table: SplitTable) -> Iterator[RunNumber]:
    for split in Split:
        films = sum(one.split is split for one in table.films.values())
        patients = counted(len(table.patients(split)), "patient")
        yield RunNumber(f"Split {split.value}", f"{counted(films, 'film')} of {patients}")


def _calibrated(run: RunFolder) -> RunStage:
    name = "Calibration"
    calibration = _document(Calibration, run, run.calibration.name)
    if calibration is None:
        return RunStage(name, StageState.MISSING, command=f"hilum calibrate {run.root.name}")
    points = calibration.operating_points
    chosen = sum(point.threshold is not None for point in points)
    target = points[0].name if points else "none"
    fitted = _measured(calibration.fitted_on)
    return RunStage(
        name,
        StageState.DONE,
        [
            RunNumber("Calibrator", calibration.calibrator.method, fitted),
            RunNumber(
                "Thresholds", f"{chosen} of {counted(len(points), 'finding')}, by {target}", fitted
            ),
            RunNumber("Precision", calibration.precision.value),
        ],
        _files(run, ("Calibrator and thresholds (JSON)", run.calibration.name)),
    )


def _evaluated(run: RunFolder) -> RunStage:
    name, command = "Evaluation", f"hilum evaluate {run.root.name}"
    found = _document(Evaluation, run, run.evaluation.name)
    if found is None:
        return RunStage(name, StageState.MISSING, command=command)
    macro, on = found.macro, _measured(found.split)
    verdicts = [one.calibration.verdict for one in found.findings.values()]
    calibrated = sum(verdict.startswith("calibrated") for verdict in verdicts)
    over = f"over {macro.findings_counted} of {counted(macro.findings_total, 'finding')}"
    numbers = [
        RunNumber(f"Macro AUROC {over}", macro.auroc.short(), on),
        RunNumber("From view, sex and age alone", found.metadata_baseline.auroc.short(), on),
        RunNumber("Average precision", macro.average_precision.short(), on),
        RunNumber("ECE, equal mass", macro.ece_equal_mass.short(4), on),
        RunNumber("Calibrated", f"{calibrated} of {counted(len(verdicts), 'finding')}", on),
    ]
    effect = _document(CalibrationEffect, run, "calibration_effect.json")
    if effect is not None:
        change = effect.macro_change.ece_equal_mass.short(4)
        numbers.append(RunNumber("Change of ECE by calibration", change, _measured(effect.split)))
    if found.look is not None:
        numbers.append(RunNumber("Looks at these films", str(found.look)))
    calibration = _document(Calibration, run, run.calibration.name)
    stale = calibration is not None and found.provenance.get("bond") != calibration.bond
    return RunStage(
        name,
        StageState.STALE if stale else StageState.DONE,
        numbers,
        _files(
            run,
            ("Every number and curve", "evaluation.html"),
            ("Tables to quote", "evaluation.md"),
            ("Curves as one picture", "evaluation.png"),
            ("Before and after calibration", "calibration_effect.png"),
            ("Probabilities and labels", "matched_predictions.csv"),
            ("Thresholds and what each gives", "operating_points.csv"),
            ("Surest calls", "cases.csv"),
            ("JSON", "evaluation.json"),
        ),
        command=command if stale else "",
        note="It is of an earlier calibration." if stale else "",
    )


def _errors(run: RunFolder) -> RunStage:
    page = "errors/errors.html"
    if not (run.root / page).is_file():
        command = f"hilum errors {run.root.name}"
        return RunStage("Error browser", StageState.MISSING, command=command)
    files = _files(run, ("Surest calls, wrong and right, with film and heatmap", page))
    return RunStage("Error browser", StageState.DONE, files=files)


def _localized(run: RunFolder, facts: RunFacts) -> RunStage:
    name, command = _POINT, f"hilum localize {run.root.name}"
    found = _document(HeatmapEvaluation, run, "heatmaps.json")
    if found is None:
        known = _document(Localization, run, "localisation.json")
        if known is None:
            return RunStage(name, StageState.MISSING, command=command)
        files = _files(run, ("JSON", "localisation.json"))
        return RunStage(name, StageState.DONE, _pointed(known, "the test films"), files)
    numbers = _pointed(found.localisation, _measured(found.split))
    return RunStage(
        name,
        _state(found.provenance, facts),
        numbers,
        _files(run, ("Tables", "heatmaps.md"), ("JSON", "heatmaps.json")),
        command="" if _state(found.provenance, facts) is StageState.DONE else command,
    )


def _pointed(found: Localization, films: str) -> list[RunNumber]:
    """Return how many maps hit, beside a prior that sees no film."""
    numbers, mean = [RunNumber("Reference", found.reference, films)], found.mean
    if mean is None:
        return numbers
    maps = f"{counted(mean.maps, 'map')} of {counted(mean.patients, 'patient')}"
    return [
        *numbers,
        RunNumber("Hottest pixel on the finding", mean.hits.short(), maps),
        RunNumber("A prior that sees no film", mean.prior_hits.short(), maps),
        RunNumber("Gain over the prior", mean.gain.short(), maps),
    ]


def _sane(run: RunFolder, facts: RunFacts) -> RunStage:
    name, command = _DEPEND, f"hilum localize {run.root.name} --sanity"
    found = _document(Sanity, run, "sanity.json")
    if found is None:
        return RunStage(name, StageState.MISSING, command=command)
    on = f"{counted(found.maps, 'map')}; {_measured(found.split)}"
    numbers = [
        RunNumber("Likeness to untrained maps (SSIM)", found.steps[-1].likeness.ssim.short(), on),
        RunNumber("Likeness of two films' maps (SSIM)", found.baseline.ssim.short(), on),
    ]
    if found.two_findings is not None:
        two = found.two_findings.ssim.short()
        numbers.append(RunNumber("Likeness of two findings' maps (SSIM)", two, on))
    state = _state(found.provenance, facts)
    if state is StageState.DONE:
        state = StageState.PASSED if found.passed else StageState.FAILED
    return RunStage(
        name,
        state,
        numbers,
        _files(run, ("Tables", "sanity.md"), ("JSON", "sanity.json")),
        command=command if state is StageState.STALE else "",
        note="" if found.passed else "The maps failed: do not show them as evidence.",
    )


def _state(provenance: dict[str, str], facts: RunFacts) -> StageState:
    """Return whether a document is of the run's network; a quantized one has a hash of its own."""
    known = provenance.get("model_sha256")
    exported = facts.network.model_sha256
    return StageState.DONE if known in (None, exported) else StageState.STALE


def _bundled(run: RunFolder) -> RunStage:
    found: dict[str, str] = {}
    path = run.bundles
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            one = json.loads(line)
            found[str(one["path"])] = str(one["id"])
    there = {
        place: short
        for place, short in found.items()
        if (run.root / place / "bundle.json").is_file()
    }
    if not there:
        command = f"hilum bundle {run.root.name} -o BUNDLE"
        return RunStage("Bundle", StageState.MISSING, command=command)
    numbers = [RunNumber("Id", short, place) for place, short in there.items()]
    files = [(f"Card of {place}", Path(place, "CARD.md").as_posix()) for place in there]
    return RunStage("Bundle", StageState.DONE, numbers, files)
