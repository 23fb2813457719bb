"""bundle.json: what a bundle is made of, sealed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hilum.bundle.network import network_sha256
from hilum.calibration import FittedCalibrator
from hilum.domain.documents.base import NOT_A_DEVICE, SplitFacts
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.domain.scores import OperatingPoint
from hilum.files.sealed import read_sealed
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Precision
from hilum.runs.facts import RunFacts
from hilum.runs.folder import RunFolder

__all__ = ["Calibration", "Manifest", "read_calibration", "read_evaluation"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Frozen):
    """Calibrator and operating points, bound to the network and preprocessing they were fitted on.

    The bond is a hash over model, preprocessing, precision and calibrator. A threshold is a number
    on one scale; on any other scale it means nothing.
    """

    model_sha256: str
    preprocessing_sha256: str
    precision: Precision
    """The network computed in it when these were fitted, and must when they are used."""
    calibrator: FittedCalibrator
    operating_points: tuple[OperatingPoint, ...]
    """The thresholds that serve, one a finding."""
    other_points: tuple[OperatingPoint, ...] = ()
    """Thresholds for other targets, chosen on the same films: evaluated, never served."""
    shared_threshold: float | None = None
    """The one threshold for all findings with the largest macro F1 there: never served."""
    fitted_on: SplitFacts
    prevalence: dict[str, float]
    """Share of positives among the labelled films it was fitted on."""
    notes: tuple[str, ...] = ()
    bond: str = ""

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
        """Finding to threshold; None where none could be chosen."""
        return {point.finding: point.threshold for point in self.operating_points}


class Manifest(_Frozen):
    """Everything in bundle.json but the seal."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    name: str
    label_set: str
    labels: tuple[str, ...]
    """The findings of the network's outputs, in order."""
    preprocessing: Preprocessing
    gate: GateRules = GateRules()
    """Which films it lets through. A bundle that says nothing of it has the installed hilum's."""
    calibration: Calibration
    training: RunFacts
    """How the network came to be."""
    provenance: dict[str, str]
    """The code that made the bundle."""
    files: dict[str, str]
    """File to sha256."""

    @model_serializer(mode="wrap")
    def _as_it_was_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `gate` where none was given: older bundles keep their seal and their id."""
        tree = handler(self)
        if "gate" not in self.model_fields_set:
            del tree["gate"]
        return tree

    @property
    def label_set_of_outputs(self) -> LabelSet:
        """The label set of the network."""
        return LabelSet(self.label_set, self.labels)


def read_calibration(run: RunFolder) -> Calibration:
    """The calibration of exactly the network that the run trained.

    Raises:
        BundleError: when there is none, it was edited, or it was fitted on another network.
    """
    calibration = read_sealed(Calibration, run.calibration)
    if calibration.model_sha256 != network_sha256(run, calibration.precision):
        raise BundleError(
            f"a calibration must belong to the run's network; {run.calibration} was fitted on "
            "another. Run `hilum calibrate` again"
        )
    return calibration


def read_evaluation(path: Path, calibration: Calibration) -> Evaluation:
    """The numbers of exactly this network, calibrator and these operating points.

    Raises:
        BundleError: for a missing or edited file, or the evaluation of another bond.
    """
    evaluation = read_sealed(Evaluation, path)
    if evaluation.provenance.get("bond") != calibration.bond:
        raise BundleError(
            f"an evaluation must be of this network with these operating points; {path} is of "
            "others. Run `hilum evaluate` again"
        )
    return evaluation
