"""bundle.json: the sealed contents of a bundle, and the network of a run that it must hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from hilum.calibration import FittedCalibrator
from hilum.calibration.prevalence import shifted
from hilum.domain.documents import SplitFacts
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.scores import OperatingPoint
from hilum.files.sealed import file_sha256, read_sealed
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Precision
from hilum.runs.facts import RunFacts
from hilum.runs.folder import RunFolder

__all__ = [
    "Calibration",
    "Manifest",
    "network_of",
    "network_sha256",
    "read_calibration",
    "read_evaluation",
]

_OWN = ("name", "label_set", "labels", "preprocessing")
"""Facts of the network that schema 1 had at the top; what it serves by."""

_FLAT = frozenset({"schema_version", "training", *_OWN})
"""All keys of schema 1 that schema 2 has elsewhere."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Frozen):
    """Calibrator and operating points, bound to the network and preprocessing they were fitted on.

    The bond is a hash over model, preprocessing, precision and calibrator. A threshold is a number
    on one scale and has no meaning on a different one.
    """

    model_sha256: str
    """Hash of the network."""
    preprocessing_sha256: str
    """Hash of the preprocessing."""
    precision: Precision
    """Precision that the network computed in when these were fitted, and must serve in."""
    calibrator: FittedCalibrator
    """The fitted curve of each finding."""
    operating_points: tuple[OperatingPoint, ...]
    """Thresholds that serve, one per finding."""
    other_points: tuple[OperatingPoint, ...] = ()
    """Thresholds for other targets, chosen on the same films; evaluated, never served."""
    shared_threshold: float | None = None
    """One threshold for all findings, with the largest macro F1 on the same films; never served."""
    fitted_on: SplitFacts
    """Films that calibrator and thresholds were fitted on."""
    prevalence: dict[str, float]
    """Share of positives of each finding among the labeled films of `fitted_on`, in [0, 1]."""
    notes: tuple[str, ...] = ()
    """What a reader of the probabilities must know."""
    bond: str = ""
    """sha256 (hex) over network, preprocessing, precision, calibrator and thresholds."""

    @model_validator(mode="after")
    def _bonded(self) -> Self:
        if not self.bond:
            object.__setattr__(self, "bond", self._bond())
        if self.bond != self._bond():
            raise ValueError(
                "operating points must belong to this model, calibrator and preprocessing; "
                "their bond is of others. Run `hilum calibrate` again"
            )
        return self

    def _bond(self) -> str:
        parts = (
            self.model_sha256,
            self.preprocessing_sha256,
            self.precision.value,
            self.calibrator.to_json(),
            *(f"{p.finding}={p.threshold!r}" for p in self.operating_points),
            *(f"{p.finding}:{p.name}={p.threshold!r}" for p in self.other_points),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def thresholds(self) -> dict[str, float | None]:
        """Return the threshold of each finding; None where none could be chosen."""
        return {point.finding: point.threshold for point in self.operating_points}

    def served_prevalence(self) -> dict[str, float]:
        """Return the prevalence that each finding's probabilities are calibrated to.

        That of the films of `fitted_on`, or the one that was requested in its place.
        """
        shifts = {name: one.log_odds_shift for name, one in self.calibrator.findings.items()}
        return {
            name: float(shifted(np.array([share]), shifts.get(name, 0.0))[0])
            for name, share in self.prevalence.items()
        }


class Manifest(_Frozen):
    """Everything in bundle.json but the seal."""

    schema_version: int = 2
    notice: str = NOT_A_DEVICE
    facts: RunFacts
    """The network, its origin and the films it was calibrated on; without paths of the lab."""
    gate: GateRules = GateRules()
    """Rules of the input gate. A bundle without this field has those of the installed hilum."""
    calibration: Calibration
    replaces: str = ""
    """Seal (sha256) of the bundle with the calibration before this one, whose thresholds do not
    carry over; empty for the first one of its network."""
    provenance: dict[str, str]
    """Code and libraries that made the bundle."""
    files: dict[str, str]
    """sha256 of each file by name."""

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, tree: Any) -> Any:
        """Sort schema 1, whose network's facts stood at the top and under `training`."""
        if not isinstance(tree, dict) or not isinstance(tree.get("training"), dict):
            return tree
        lifted = {key: value for key, value in tree.items() if key not in _FLAT}
        network = {key: tree[key] for key in _OWN if key in tree}
        return {**lifted, "facts": {**tree["training"], **network}}

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.facts.network.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Findings of the network's outputs, in order."""
        return self.facts.network.labels

    @property
    def preprocessing(self) -> Preprocessing:
        """The way from a film to the network's input."""
        return self.facts.network.preprocessing

    @property
    def label_set_of_outputs(self) -> LabelSet:
        """Label set of the network's outputs."""
        return self.facts.network.outputs


def read_calibration(run: RunFolder) -> Calibration:
    """Read the calibration of exactly the run's network.

    Raises:
        BundleError: when there is none, it was edited, or it was fitted on another network.
    """
    calibration = read_sealed(Calibration, run.calibration)
    if calibration.model_sha256 != network_sha256(run, calibration.precision):
        raise BundleError(
            f"a calibration must belong to the run's network; {run.calibration} was fitted on a "
            "different one. Run `hilum calibrate` again"
        )
    return calibration


def read_evaluation(path: Path, calibration: Calibration) -> Evaluation:
    """Read the evaluation of exactly this network, calibrator and these operating points.

    Raises:
        BundleError: for a missing or edited file, or one with a different bond.
    """
    evaluation = read_sealed(Evaluation, path)
    if evaluation.provenance.get("bond") != calibration.bond:
        raise BundleError(
            f"an evaluation must be of this network with these operating points; {path} is of "
            "different ones. Run `hilum evaluate` again"
        )
    return evaluation


def network_sha256(run: RunFolder, precision: Precision) -> str:
    """Return the sha256 (hex) that the run's network of a precision must have.

    Raises:
        BundleError: when the run was not quantized, or a different network was.
    """
    exported = run.facts().network.model_sha256
    if not precision.quantized:
        return exported
    if not run.quantized.is_file():
        raise BundleError(
            f"precision {precision} needs a quantized network; {run.root} has none. Run "
            f"`hilum calibrate RUN --precision {precision}`"
        )
    facts = run.quantization()
    if facts.model_sha256 != exported:
        raise BundleError(
            f"a quantized network must come from the run's own; {run.quantized} was made from a "
            f"different one. Run `hilum calibrate RUN --precision {precision}` again"
        )
    return facts.quantized_sha256


def network_of(run: RunFolder, precision: Precision) -> Path:
    """Return the run's network for a precision: the exported one, or that in 8 bits.

    Raises:
        BundleError: when there is none, or it was modified.
    """
    path = run.quantized if precision.quantized else run.model
    expected = network_sha256(run, precision)
    if not path.is_file() or file_sha256(path) != expected:
        made, again = (
            ("calibrating quantized", "calibrate")
            if precision.quantized
            else ("training exported", "train")
        )
        raise BundleError(
            f"{path.name} must be the one {made}; {path} was changed or removed since. Restore it "
            f"or {again} again"
        )
    return path
