"""From logits to probabilities: one fitted curve for each finding, fitted on calibrate.

>>> import numpy as np
>>> from hilum.domain.findings import LabelSet
>>> from hilum.domain.scores import Logits
>>> logits = Logits(np.array([[-2.0], [0.5], [-0.5], [2.0]]), LabelSet("one", ("Mass",)))
>>> calibrator = fit("platt", logits, np.array([[0], [0], [1], [1]], np.int8))
>>> calibrator.apply(logits).of("Mass").round(2)
array([0.32, 0.55, 0.45, 0.68])
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from hilum.calibration.base import Curve, FitRefusedError
from hilum.domain.errors import BundleError, UsageError, suggestion
from hilum.domain.findings import LabelState
from hilum.domain.scores import Logits, Probabilities

__all__ = ["FEW", "CalibratedFinding", "FittedCalibrator", "curve_type", "fit", "members"]

FEW = 20
"""Positive films below which a fit is noted as uncertain."""


def members() -> tuple[str, ...]:
    """The names of all methods, in alphabetical order.

    >>> members()
    ('isotonic', 'platt', 'sigmoid', 'temperature')
    """
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base"))


def curve_type(method: str) -> type[Curve]:
    """The kind of curve a method fits.

    Raises:
        UsageError: when there is no such method.

    >>> curve_type("platt").__name__
    'Platt'
    """
    if method not in members():
        near = suggestion(method, members())
        raise UsageError(f"no calibrator '{method}'; there are {', '.join(members())}.{near}")
    module = importlib.import_module(f"{__name__}.{method}")
    return cast("type[Curve]", getattr(module, method.title().replace("_", "")))


class CalibratedFinding(BaseModel):
    """The curve of one finding, and how it came to be.

    Attributes:
        method: the method in use, which may be a fallback of the one asked for.
        parameters: the curve's fields.
        calibrated: False where nothing could be fitted to films: the plain sigmoid.
        n, positives: films it was fitted on, and positive ones among them.
        note: why a fallback was taken, or that films were few; else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str
    parameters: dict[str, float | tuple[float, ...]]
    calibrated: bool
    n: int
    positives: int
    note: str = ""

    @property
    def curve(self) -> Curve:
        """The curve itself."""
        return curve_type(self.method).model_validate(self.parameters)

    @model_validator(mode="after")
    def _has_curve(self) -> Self:
        if self.method not in members():
            raise ValueError(f"no calibrator '{self.method}'")
        _ = self.curve
        return self


class FittedCalibrator(BaseModel):
    """One curve for each finding, by name. The only maker of `Probabilities` from `Logits`.

    Attributes:
        method: the method asked for.
        findings: what each finding got.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    method: str
    findings: dict[str, CalibratedFinding]

    def apply(self, logits: Logits) -> Probabilities:
        """The probabilities of logits, column by column, matched by finding and not by position.

        Raises:
            UsageError: for a finding that was not calibrated.
        """
        values = np.empty_like(logits.values)
        for column, finding in enumerate(logits.labels):
            if finding not in self.findings:
                near = suggestion(finding, self.findings)
                raise UsageError(f"no finding '{finding}' in this {self.method} calibrator.{near}")
            values[:, column] = self.findings[finding].curve.apply(logits.values[:, column])
        return Probabilities(values, logits.labels)

    def notes(self) -> tuple[str, ...]:
        """What the user should know, a line each."""
        return tuple(f"{name}: {f.note}" for name, f in self.findings.items() if f.note)

    def to_json(self) -> str:
        """JSON that `from_json` reads back to the last bit."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads `to_json`.

        Raises:
            BundleError: for text that is not a calibrator.

        >>> FittedCalibrator.from_json("{}")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.BundleError: calibrator.json is not a calibrator: method Field required
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BundleError(
                f"calibrator.json is not a calibrator: {where} {first['msg']}"
            ) from None


def fit(method: str, logits: Logits, states: NDArray[np.int8]) -> FittedCalibrator:
    """Fits a method to each finding, on films that neither trained nor are tested.

    Only films labelled positive or negative count. Where a method refuses, its fallback is taken
    and noted: isotonic, then Platt, then the plain sigmoid.

    Args:
        method: one of `members()`.
        logits: (N, L).
        states: (N, L) LabelState values, columns as in `logits`.

    Raises:
        UsageError: for an unknown method.
        ValueError: for states of another shape.
    """
    curve_type(method)
    if states.shape != logits.values.shape:
        raise ValueError(f"states must be {logits.values.shape} as the logits; got {states.shape}")
    found = {
        finding: _fit_one(method, logits.values[:, column], states[:, column])
        for column, finding in enumerate(logits.labels)
    }
    return FittedCalibrator(method=method, findings=found)


def _fit_one(
    method: str, logits: NDArray[np.float64], states: NDArray[np.int8]
) -> CalibratedFinding:
    known = (states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE)
    positives = states[known] == LabelState.POSITIVE
    count = int(positives.sum())
    used, curve, notes = _first_accepted(method, logits[known], positives)
    calibrated = used != "sigmoid"
    if notes:
        notes = [*notes, f"{used} used"]
    if calibrated and count < FEW:
        notes = [*notes, f"fitted on {count} positive films only"]
    return CalibratedFinding(
        method=used,
        parameters=curve.model_dump(),
        calibrated=calibrated,
        n=len(positives),
        positives=count,
        note="; ".join(notes),
    )


def _first_accepted(
    method: str, logits: NDArray[np.float64], positives: NDArray[np.bool_]
) -> tuple[str, Curve, list[str]]:
    """The method that fitted, its curve, and why those before it refused."""
    kind = curve_type(method)
    try:
        return method, kind.fit(logits, positives), []
    except FitRefusedError as refusal:
        if kind.fallback is None:
            raise
        used, curve, notes = _first_accepted(kind.fallback, logits, positives)
        return used, curve, [f"{method} refused ({refusal})", *notes]
