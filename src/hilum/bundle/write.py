"""From a finished run to a bundle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hilum.bundle.bundle import Bundle
from hilum.bundle.card import card
from hilum.bundle.golden import write_golden
from hilum.bundle.manifest import Manifest, read_calibration, read_evaluation
from hilum.bundle.network import network_of
from hilum.domain.errors import UsageError
from hilum.domain.provenance import provenance
from hilum.domain.radiograph import Radiograph
from hilum.files.sealed import file_sha256, write_sealed
from hilum.imaging.gate import GateRules
from hilum.inference.engine import Engine
from hilum.runs.folder import RunFolder

__all__ = ["PRIVATE", "write_bundle"]

PRIVATE = frozenset({"table"})
"""Readers of data that is nobody's publication. A hash can be guessed from a patient's number, so
the patients seen travel only with bundles of public datasets."""


def write_bundle(
    run: RunFolder, films: Sequence[Radiograph], path: Path, gate: GateRules | None = None
) -> Bundle:
    """Put a run's network, calibrator, thresholds and evaluation into one sealed folder.

    Written beside its place and moved there whole, then loaded as a user would.

    Args:
        run: trained and calibrated; evaluated or not.
        films: synthetic films for the self-test.
        path: the bundle's folder, which must not exist yet.
        gate: what the bundle takes for a film; None for the default rules.

    Raises:
        UsageError: when the folder exists.
        BundleError: when the run is not calibrated, or a part belongs to another.
    """
    if path.exists():
        raise UsageError(f"a bundle is written to a new folder; {path} exists. Choose another name")
    facts, config = run.facts(), run.config()
    calibration = read_calibration(run)
    network = network_of(run, calibration.precision)
    labels = run.labels()
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        shutil.copyfile(network, work / "model.onnx")
        engine = Engine(network, config.preprocessing, labels, calibration.precision)
        write_golden(engine, films, work / "golden.npz")
        evaluation = None
        if run.evaluation.exists():
            evaluation = read_evaluation(run.evaluation, calibration)
            shutil.copyfile(run.evaluation, work / "evaluation.json")
        if run.seen.exists() and facts.dataset not in PRIVATE:
            shutil.copyfile(run.seen, work / run.seen.name)
        written = {
            "name": config.name,
            "label_set": labels.name,
            "labels": labels.findings,
            "preprocessing": config.preprocessing,
            "gate": gate or GateRules(),
            "calibration": calibration,
            "training": facts.model_copy(update={"data": ""}),  # a path of the lab
            "provenance": provenance(),
        }
        text = card(Manifest.model_validate({**written, "files": {}}), config, evaluation)
        (work / "CARD.md").write_text(text, "utf-8")
        files = {file.name: file_sha256(file) for file in sorted(work.iterdir())}
        manifest = Manifest.model_validate({**written, "files": files})
        write_sealed(manifest, work / "bundle.json")
        work.chmod(0o755)
        work.replace(path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return Bundle.load(path)
