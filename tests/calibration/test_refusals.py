"""F10 to F14: what a calibrator must refuse, and what it does and says instead."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hilum.calibration import CalibratedFinding, FittedCalibrator, curve_type, fit
from hilum.calibration.curves import FitRefusedError, sigmoid_of
from hilum.domain.findings import LabelSet
from hilum.domain.members import members
from hilum.domain.scores import Logits

FITTED = [method for method in members("hilum.calibration.curves") if method != "sigmoid"]
FLEXIBLE = ["beta", "isotonic"]


def calibrator_of(method: str, z: NDArray[np.float64], y: NDArray[np.bool_]) -> FittedCalibrator:
    return fit(method, Logits(z[:, None], LabelSet("one", ("Mass",))), y.astype(np.int8)[:, None])


def fitted(method: str, z: NDArray[np.float64], y: NDArray[np.bool_]) -> CalibratedFinding:
    return calibrator_of(method, z, y).findings["Mass"]


def films(seed: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(-2.0, 1.5, n)
    return truth + 2.0, rng.random(n) < sigmoid_of(truth)


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("positive", [False, True])
def test_f10_one_class_is_refused_and_the_sigmoid_kept(method: str, positive: bool) -> None:
    z = np.linspace(-3, 3, 60)
    mass = fitted(method, z, np.full(60, positive))
    assert (mass.method, mass.calibrated, mass.n) == ("sigmoid", False, 60)
    missing = "negative" if positive else "positive"
    assert f"{method} refused (no {missing} film among 60)" in mass.note
    assert mass.note.endswith("sigmoid used")
    assert (mass.apply(z) == sigmoid_of(z)).all()


@pytest.mark.parametrize("method", FITTED)
def test_f10_one_finding_of_one_class_leaves_the_others_calibrated(method: str) -> None:
    z, y = films(0, 500)
    labels = LabelSet("two", ("Mass", "Hernia"))
    states = np.stack([y, np.zeros(500)], axis=1).astype(np.int8)
    found = fit(method, Logits(np.stack([z, z], axis=1), labels), states).findings
    assert (found["Mass"].calibrated, found["Hernia"].calibrated) == (True, False)


@pytest.mark.parametrize("method", FITTED)
def test_f11_with_5_positives_nothing_stronger_than_platt_is_fitted_and_it_says_so(
    method: str,
) -> None:
    z, y = films(1, 400)
    y = y & (np.cumsum(y) <= 5)
    mass = fitted(method, z, y)
    assert (mass.positives, mass.calibrated) == (5, True)
    assert mass.method == ("platt" if method in FLEXIBLE else method)
    assert mass.note.endswith("fitted on 5 positive films only")


@pytest.mark.parametrize("method", FLEXIBLE)
@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_f11_the_limit_is_20_of_each_class(method: str, kind: str) -> None:
    z, y = films(2, 400)
    few = y if kind == "positive" else ~y
    flexible, strict = (few & (np.cumsum(few) <= limit) for limit in (20, 19))
    assert fitted(method, z, flexible if kind == "positive" else ~flexible).method == method
    mass = fitted(method, z, strict if kind == "positive" else ~strict)
    assert mass.method == "platt"
    assert mass.note.startswith(
        f"{method} refused (19 {kind} films, {method} needs 20); platt used"
    )


def test_f13_isotonic_stays_off_0_and_1_and_discloses_its_ties() -> None:
    z, y = films(3, 5000)
    calibrator = calibrator_of("isotonic", z, y)
    mass, p = calibrator.findings["Mass"], calibrator.findings["Mass"].apply(z)
    assert p.min() >= 1 / 5002
    assert p.max() <= 5001 / 5002
    levels = len(set(p.tolist()))
    assert levels < 100
    assert mass.note == f"{levels} distinct values on 5,000 films"
    assert calibrator.notes() == (f"Mass: {levels} distinct values on 5,000 films",)
    other_z, other_y = films(4, 5000)
    assert roc_auc_score(other_y, mass.apply(other_z)) < roc_auc_score(other_y, other_z)


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic", "temperature"])
def test_f14_labels_turned_around_are_refused(method: str) -> None:
    z, y = films(5, 1000)
    with pytest.raises(FitRefusedError, match=r"higher logits|no guide"):
        curve_type(method).fit(-z, y)
    mass = fitted(method, -z, y)
    assert (mass.method, mass.calibrated) == ("sigmoid", False)
    assert f"{method} refused" in mass.note


@pytest.mark.parametrize("method", members("hilum.calibration.curves"))
def test_f14_no_method_ever_turns_the_ranking_around(method: str) -> None:
    z, y = films(6, 1000)
    p = fitted(method, -z, y).apply(np.linspace(-5, 5, 100))
    assert (np.diff(p) > 0).all()


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic"])
@pytest.mark.parametrize("value", [1.0, 0.1])
def test_equal_logits_are_refused(method: str, value: float) -> None:
    y = np.arange(70) % 2 == 0
    with pytest.raises(FitRefusedError, match=r"equal|one level"):
        curve_type(method).fit(np.full(70, value), y)
    assert fitted(method, np.full(70, value), y).calibrated is False
