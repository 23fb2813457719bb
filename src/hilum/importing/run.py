"""From a file of weights and a profile to a run folder, which serves like one that was trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from hilum.bundle.manifest import Calibration
from hilum.calibration import CalibratedFinding, FittedCalibrator
from hilum.domain.documents import SplitFacts
from hilum.domain.errors import BundleError, UsageError
from hilum.domain.provenance import provenance
from hilum.domain.radiograph import Radiograph
from hilum.domain.record import digest
from hilum.domain.scores import OperatingPoint, Target
from hilum.files.atomic import atomic_folder
from hilum.files.sealed import file_sha256, write_sealed
from hilum.imaging.preprocess import Fit
from hilum.importing.profile import Profile
from hilum.importing.read import file_of
from hilum.importing.served import write_network
from hilum.inference.engine import Engine, Precision
from hilum.runs.facts import Imported, NetworkFacts, RunFacts
from hilum.runs.folder import RunFolder

__all__ = ["UNCALIBRATED", "ImportRequest", "import_weights"]

UNCALIBRATED = (
    "uncalibrated: probabilities are the plain sigmoid of the authors' logits. Run `hilum "
    "calibrate RUN --data ROOT` on labeled films of your site"
)
"""Note of every imported network until it is calibrated."""
_GOLDEN = 1e-3
"""Largest difference of golden logits, relative to their range."""


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and how it is read.

    Attributes:
        weights: the file, or a Hugging Face folder.
        profile: what the file does not say.
        accept: license that is accepted by name, where the profile has terms.
    """

    weights: Path
    profile: Profile
    accept: str = ""


def import_weights(request: ImportRequest, out: Path, films: Sequence[Radiograph]) -> RunFolder:
    """Read the weights inertly, fill and export the network, and write the run.

    Args:
        request: file and profile.
        out: the run's folder, which must not exist yet.
        films: drawn films, whose logits the run keeps as golden scores.

    Raises:
        UsageError: for a folder that exists, or a license that must be accepted.
        BundleError: for a file that cannot be read, or does not fit the profile.
    """
    if out.exists():
        raise UsageError(f"an import is written to a new folder; {out} exists. Name another")
    _refuse_unaccepted(request)
    file = file_of(request.weights)
    if not file.is_file():
        raise UsageError(f"weights must be a file that can be read; {file} is not there")
    sha256 = file_sha256(file)
    if request.profile.sha256 not in ("", sha256):
        raise BundleError(
            f"{file} must be the file of profile {request.profile.name}, with the sha256 "
            f"{request.profile.sha256[:12]}; it has {sha256[:12]}. The file has changed since"
        )
    with atomic_folder(out) as work:
        _write(request, RunFolder(work), (file, sha256), films)
    return RunFolder(out)


def _refuse_unaccepted(request: ImportRequest) -> None:
    profile = request.profile
    if profile.terms and request.accept != profile.license:
        raise UsageError(
            f"the license {profile.license} of {profile.name} must be accepted by name: "
            f"{profile.terms}. Add --accept-license '{profile.license}' if your use is allowed"
        )


def _write(
    request: ImportRequest, run: RunFolder, source: tuple[Path, str], films: Sequence[Radiograph]
) -> None:
    profile = request.profile
    prep = profile.input
    rasters = np.stack([prep.raster(film) for film in films])
    served = write_network(source[0], profile, run.model, rasters)
    sha256 = file_sha256(run.model)
    engine = Engine(run.model, prep, profile.outputs)
    golden = engine.run(rasters).logits.values
    _refuse_other_scores(golden, profile, source[0])
    network = NetworkFacts(
        name=profile.name,
        label_set=profile.name,
        labels=profile.outputs.findings,
        preprocessing=prep,
        architecture=_in_words(profile),
        design=served.design,
        model_sha256=sha256,
        parity=dict(served.parity),
        notes=(*served.notes, *_notes(profile)),
        provenance=provenance(),
    )
    origin = Imported(
        file=source[0].name,
        sha256=source[1],
        format=served.format,
        profile=profile.name,
        seen=profile.seen,
        license=profile.license,
        citation=profile.citation,
        url=profile.url,
    )
    tree = {"used": dict(served.used), "left": dict(served.left), "golden": golden.tolist()}
    (run.root / "import.json").write_text(json.dumps(tree, indent=1) + "\n", "utf-8")
    text = yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (run.root / "profile.yaml").write_text(text, "utf-8")
    _write_uncalibrated(profile, sha256, run)
    run.write_facts(RunFacts(network=network, origin=origin))


def _refuse_other_scores(golden: np.ndarray, profile: Profile, file: Path) -> None:
    """Refuse logits of the drawn films that are not the profile's: two tensors were exchanged."""
    if not profile.golden:
        return
    want = np.asarray(profile.golden)
    span = max(1.0, float(np.abs(want).max())) if want.size else 1.0
    if want.shape != golden.shape or float(np.abs(want - golden).max()) > _GOLDEN * span:
        raise BundleError(
            f"the network must give the golden scores of profile {profile.name}; {file.name} gives "
            "others: tensors of it were exchanged or changed. Fetch the file again"
        )


def _in_words(profile: Profile) -> str:
    return f"{profile.backbone}, {profile.pooling} pooling, head {', '.join(profile.head)}"


def _notes(profile: Profile) -> tuple[str, ...]:
    notes = list(profile.notes)
    if len(profile.trained) < len(profile.findings) and profile.output == "sigmoid":
        count = len(profile.findings) - len(profile.trained)
        notes.append(f"{count} of {len(profile.findings)} outputs were never trained; left out")
    if "max" in profile.pooling:
        notes.append("heatmaps show only the one cell of each channel's maximum")
    if profile.pooling == "token":
        notes.append(
            "no heatmaps: the network classifies by its class token alone, and the gradient at "
            "every patch of its last layer is zero. Its maps are empty, which is no evidence"
        )
    if profile.input.fit is Fit.CROP:
        notes.append(
            "the network does not see what lies outside the centered crop of a film, which "
            "is hatched on its heatmaps"
        )
    return tuple(notes)


def _write_uncalibrated(profile: Profile, model_sha256: str, run: RunFolder) -> None:
    """Write the plain sigmoid as calibration, with the authors' thresholds where they have some."""
    findings = {
        name: CalibratedFinding(method="sigmoid", parameters={}, calibrated=False, n=0, positives=0)
        for name in profile.outputs
    }
    points = tuple(
        OperatingPoint(
            name,
            profile.thresholds.get(name),
            Target.GIVEN,
            None,
            0,
            0,
            "" if name in profile.thresholds else "the authors give none; calibrate first",
        )
        for name in profile.outputs
    )
    calibration = Calibration(
        model_sha256=model_sha256,
        preprocessing_sha256=profile.input.sha256(),
        precision=Precision.F32,
        calibrator=FittedCalibrator(method="sigmoid", findings=findings),
        operating_points=points,
        fitted_on=SplitFacts(name="none", sha256=digest(()), images=0, patients=0),
        prevalence={},
        notes=(UNCALIBRATED,),
    )
    write_sealed(calibration, run.calibration)
