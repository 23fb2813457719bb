"""Calibration of logits to probabilities: one curve per finding, fitted on calibrate.

The methods are the files of `curves/`. `cross_fitting` makes probabilities of films that must serve
for fitting too, and `prevalence` moves them to where a finding is rarer or commoner.

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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from hilum.calibration.curves import FEW, Curve, FitRefusedError, curve_type
from hilum.calibration.prevalence import moves, shift_prevalence, shifted
from hilum.domain.errors import BundleError, UsageError, suggestion
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.members import members
from hilum.domain.scores import Logits, Probabilities

if TYPE_CHECKING:
    from hilum.calibration.cross_fitting import cross_fit

__all__ = [
    "CalibratedFinding",
    "FittedCalibrator",
    "cross_fit",
    "curve_type",
    "fit",
    "shift_prevalence",
]


def __getattr__(name: str) -> object:
    """Load cross-fitting on first use, since it is made of what is defined here."""
    if name != "cross_fit":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return importlib.import_module("hilum.calibration.cross_fitting").cross_fit


class CalibratedFinding(BaseModel):
    """The curve of one finding, and how it came to be.

    Attributes:
        method: the method in use, which may be a fallback of the requested one.
        parameters: the curve's fields.
        calibrated: False where nothing could be fitted to films: the plain sigmoid.
        n, positives: labeled films of this finding that it was fitted on, and positive ones.
        note: why a fallback was taken, that films were few, how many values are left where the
            curve makes ties, or which prevalence was requested; else empty.
        log_odds_shift: the shift that a requested prevalence adds to the curve's log odds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str
    parameters: dict[str, float | tuple[float, ...]]
    calibrated: bool
    n: int
    positives: int
    note: str = ""
    log_odds_shift: float = 0.0

    @cached_property
    def curve(self) -> Curve:
        """The curve itself."""
        return curve_type(self.method).model_validate(self.parameters)

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities of (n,) logits, at the requested prevalence."""
        probabilities = self.curve.apply(logits)
        return shifted(probabilities, self.log_odds_shift) if self.log_odds_shift else probabilities

    @model_validator(mode="after")
    def _has_curve(self) -> Self:
        if self.method not in members("hilum.calibration.curves"):
            raise ValueError(f"no calibrator '{self.method}'")
        _ = self.curve
        return self


class FittedCalibrator(BaseModel):
    """One curve for each finding, by name. The only maker of `Probabilities` from `Logits`.

    Attributes:
        method: the requested method.
        findings: what each finding got.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    method: str
    findings: dict[str, CalibratedFinding]

    def apply(self, logits: Logits) -> Probabilities:
        """Return the probabilities of logits, by column, matched by finding and not by position.

        Raises:
            UsageError: for a finding that was not calibrated.
        """
        values = np.empty_like(logits.values)
        for column, finding in enumerate(logits.labels):
            if finding not in self.findings:
                near = suggestion(finding, self.findings)
                raise UsageError(f"no finding '{finding}' in this {self.method} calibrator.{near}")
            values[:, column] = self.findings[finding].apply(logits.values[:, column])
        return Probabilities(values, logits.labels)

    def at_prevalence(self, fitted: Mapping[str, float], wanted: Mapping[str, float]) -> Self:
        """Return the same calibrator for a place where findings are rarer or more frequent.

        `logit p' = logit p + logit wanted - logit fitted`. The ranking stays; operating points
        chosen before do not fit any more. It is right where only the share of positives differs.

        Args:
            fitted: finding to its prevalence where this was fitted, in (0, 1).
            wanted: finding to its prevalence there, in (0, 1); the others stay as they are.

        Raises:
            UsageError: for an unknown finding, a prevalence that is missing or not in (0, 1), or a
                finding that was moved before.
        """
        found = dict(self.findings)
        labels = LabelSet(f"this {self.method} calibrator", tuple(found))
        for move in moves(labels, fitted, wanted):
            one = found[move.finding]
            if one.log_odds_shift:
                raise UsageError(
                    f"{move.finding} must be moved once, from the prevalence it was fitted at; it "
                    "was moved before. Start from the calibrator as it was fitted"
                )
            note = "; ".join(part for part in (one.note, move.note) if part)
            update = {"log_odds_shift": move.shift, "note": note}
            found[move.finding] = one.model_copy(update=update)
        return self.model_copy(update={"findings": found})

    def notes(self) -> tuple[str, ...]:
        """Return notes for the user, one line each."""
        return tuple(f"{name}: {f.note}" for name, f in self.findings.items() if f.note)

    def to_json(self) -> str:
        """JSON that `from_json` reads back to the last bit.

        A shift of 0 is left out: bundles hash this text, and older ones knew no shifts.
        """
        unmoved = {
            finding: {"log_odds_shift"}
            for finding, fitted in self.findings.items()
            if not fitted.log_odds_shift
        }
        return self.model_dump_json(indent=2, exclude={"findings": unmoved}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json`.

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
    """Fit a method to each finding, on films that neither trained nor are tested.

    Only films labeled positive or negative count. Where a method refuses, its fallback is taken
    and noted: isotonic or beta, then Platt, then the plain sigmoid. A finding without a positive
    or without a negative film keeps the plain sigmoid, also where the others share a curve.

    Args:
        method: one of the files of `hilum.calibration.curves`.
        logits: (N, L).
        states: (N, L) LabelState values, columns as in `logits`.

    Raises:
        UsageError: for an unknown method.
        ValueError: for states of another shape.
    """
    kind = curve_type(method)
    if states.shape != logits.values.shape:
        raise ValueError(f"states must be {logits.values.shape} as the logits; got {states.shape}")
    films = {
        finding: _labeled(logits.values[:, column], states[:, column])
        for column, finding in enumerate(logits.labels)
    }
    fit_all = _fit_shared if kind.shared else _fit_each
    return FittedCalibrator(method=method, findings=fit_all(method, films))


@dataclass(frozen=True)
class _Films:
    """(n,) logits of one finding, and whether each film is positive. All are labeled."""

    logits: NDArray[np.float64]
    positives: NDArray[np.bool_]

    @property
    def of_both_classes(self) -> bool:
        return bool(self.positives.any()) and not bool(self.positives.all())


def _labeled(logits: NDArray[np.float64], states: NDArray[np.int8]) -> _Films:
    known = (states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE)
    return _Films(logits[known], states[known] == LabelState.POSITIVE)


def _fit_each(method: str, films: Mapping[str, _Films]) -> dict[str, CalibratedFinding]:
    return {finding: _fit_one(method, own) for finding, own in films.items()}


def _fit_shared(method: str, films: Mapping[str, _Films]) -> dict[str, CalibratedFinding]:
    """Return the curve of all findings that have both classes, as the curve of each."""
    usable = {finding: own for finding, own in films.items() if own.of_both_classes}
    if not usable:
        return _fit_each(method, films)
    together = _Films(
        np.concatenate([own.logits for own in usable.values()]),
        np.concatenate([own.positives for own in usable.values()]),
    )
    shared = _fit_one(method, together)
    return {
        finding: shared.model_copy(
            update={"n": len(own.positives), "positives": int(own.positives.sum())}
        )
        if finding in usable
        else _fit_one(method, own)
        for finding, own in films.items()
    }


def _fit_one(method: str, films: _Films) -> CalibratedFinding:
    count = int(films.positives.sum())
    used, curve, notes = _first_accepted(method, films)
    calibrated = used != "sigmoid"
    if notes:
        notes = [*notes, f"{used} used"]
    if calibrated and count < FEW:
        notes = [*notes, f"fitted on {count} positive films only"]
    if not curve.strict:
        levels = len(np.unique(curve.apply(films.logits)))
        notes = [*notes, f"{levels:,} distinct values on {len(films.logits):,} films"]
    return CalibratedFinding(
        method=used,
        parameters=curve.model_dump(),
        calibrated=calibrated,
        n=len(films.positives),
        positives=count,
        note="; ".join(notes),
    )


def _first_accepted(method: str, films: _Films) -> tuple[str, Curve, list[str]]:
    """Return the method that fitted, its curve, and why those before it refused."""
    kind = curve_type(method)
    try:
        return method, kind.fit(films.logits, films.positives), []
    except FitRefusedError as refusal:
        if kind.fallback is None:
            raise
        used, curve, notes = _first_accepted(kind.fallback, films)
        return used, curve, [f"{method} refused ({refusal})", *notes]
