"""A bundle as a run again, to be measured, calibrated and bundled at another site."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from hilum.bundle.bundle import Bundle
from hilum.domain.errors import UsageError
from hilum.files.atomic import atomic_folder
from hilum.files.sealed import read_seal, write_sealed
from hilum.imaging.gate import GateRules
from hilum.runs.facts import BUNDLE, Imported, RunFacts
from hilum.runs.folder import RunFolder

__all__ = ["import_bundle"]

_SEEN = "seen_patients.txt"


def import_bundle(root: Path, out: Path) -> RunFolder:
    """Write the run of a bundle: its network, its calibration, and the patients it has seen.

    The run names the bundle by its seal, and so does the next bundle that is made of the run. Until
    it is calibrated anew it has the calibration of the bundle, so that this can be measured first.

    Args:
        root: a bundle.
        out: the run's folder, which must not exist yet.

    Raises:
        BundleError: when the bundle is not as it was written.
        UsageError: for a folder that exists, or a bundle whose network is in 8 bits.
    """
    if out.exists():
        raise UsageError(f"an import is written to a new folder; {out} exists. Name another")
    bundle = Bundle.load(root)
    if bundle.calibrated_in.quantized:
        raise UsageError(
            f"a network in 8 bits cannot be calibrated anew; {root} holds one. Import the bundle "
            "in f32, and calibrate that with --precision int8"
        )
    seal = read_seal(root / "bundle.json")
    calibration = bundle.manifest.calibration
    with atomic_folder(out) as work:
        run = RunFolder(work)
        shutil.copyfile(root / "model.onnx", run.model)
        if (root / _SEEN).is_file():
            shutil.copyfile(root / _SEEN, run.seen)
        write_sealed(calibration, run.calibration)
        note = {
            "path": os.path.relpath(root, out),
            "id": bundle.id,
            "seal": seal,
            "bond": calibration.bond,
        }
        run.bundles.write_text(json.dumps(note) + "\n", "utf-8")
        run.write_facts(_facts(bundle, seal))
    return RunFolder(out)


def _facts(bundle: Bundle, seal: str) -> RunFacts:
    manifest = bundle.manifest
    own, notes = manifest.facts.origin, list(manifest.facts.network.notes)
    known = own if isinstance(own, Imported) else None
    if known is None and not (bundle.root / _SEEN).is_file():
        notes.append("the bundle does not list the patients that trained it: no leak can be found")
    gate = manifest.gate.model_dump()
    changed = [name for name, value in GateRules().model_dump().items() if gate[name] != value]
    if changed:
        words = ", ".join(f"{name}={gate[name]}" for name in changed)
        notes.append(f"the bundle's gate has rules of its own: {words}. Name them to hilum bundle")
    origin = Imported(
        file="bundle.json",
        sha256=seal,
        format=BUNDLE,
        profile=manifest.name,
        seen=() if known is None else known.seen,
        license="" if known is None else known.license,
        citation="" if known is None else known.citation,
        url="" if known is None else known.url,
    )
    network = manifest.facts.network.model_copy(update={"notes": tuple(notes)})
    return RunFacts(network=network, origin=origin)
