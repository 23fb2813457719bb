"""bundle.json: what a bundle is made of, sealed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from hilum.calibration import FittedCalibrator
from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.domain.result import NOT_A_DEVICE, Evaluation, SplitFacts
from hilum.domain.scores import OperatingPoint
from hilum.domain.seal import seal, sealed
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Precision
from hilum.training.run import RunFacts

__all__ = ["Calibration", "Manifest", "read_evaluation", "read_sealed", "write_sealed"]


M = TypeVar("M", bound=BaseModel)


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
    calibration: Calibration
    training: RunFacts
    """How the network came to be."""
    provenance: dict[str, str]
    """The code that made the bundle."""
    files: dict[str, str]
    """File to sha256."""

    @property
    def label_set_of_outputs(self) -> LabelSet:
        """The label set of the network."""
        return LabelSet(self.label_set, self.labels)


def write_sealed(document: BaseModel, path: Path) -> None:
    """Write a model as JSON with its seal."""
    tree = document.model_dump(mode="json")
    tree["seal"] = seal(tree)
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")


def read_sealed(kind: type[M], path: Path) -> M:
    """Read what `write_sealed` wrote.

    Raises:
        BundleError: for a missing, edited or foreign file.
    """
    try:
        tree = json.loads(path.read_text("utf-8"))
        if not isinstance(tree, dict) or not sealed(tree):
            raise BundleError(
                f"{path.name} must be as hilum wrote it; {path} was edited since, so its labels, "
                "thresholds and hashes cannot be trusted. Restore it or make it again"
            )
        return kind.model_validate({key: value for key, value in tree.items() if key != "seal"})
    except OSError:
        raise BundleError(f"{path.name} must be there; {path.parent} has none") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{path}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise BundleError(f"{path.name} must be JSON; {path}: {error}") from None


def read_evaluation(path: Path, calibration: Calibration) -> Evaluation:
    """The numbers of exactly this network, calibrator and these operating points.

    Raises:
        BundleError: for a missing or foreign file, or the evaluation of another bond.
    """
    try:
        evaluation = Evaluation.model_validate_json(path.read_bytes())
    except OSError:
        raise BundleError(f"{path.name} must be there; {path.parent} has none") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{path}: {where}: {first['msg']}") from None
    if evaluation.provenance.get("bond") != calibration.bond:
        raise BundleError(
            f"an evaluation must be of this network with these operating points; {path} is of "
            "others. Run `hilum evaluate` again"
        )
    return evaluation
