"""The contract of every calibrator, and what each one promises beyond it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hilum.calibration import FittedCalibrator, curve_type, fit
from hilum.calibration.curves import Curve, FitRefusedError, logits_of, sigmoid_of
from hilum.calibration.curves.intercept import Intercept
from hilum.calibration.curves.isotonic import Isotonic
from hilum.calibration.curves.platt import Platt
from hilum.calibration.curves.temperature import Temperature
from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.members import members
from hilum.domain.scores import Logits, Probabilities

METHODS = members("hilum.calibration.curves")
STRICT = [method for method in METHODS if curve_type(method).strict]
ONE = LabelSet("one", ("Mass",))


def films(seed: int, n: int = 400) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits three times too bold and shifted, as a network trained with weights gives."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.5, 1.5, n)
    return 3.0 * truth + 2.0, rng.random(n) < sigmoid_of(truth)


def mean_log_loss(p: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    return float(-np.mean(np.log(np.where(y, p, 1 - p))))


@pytest.mark.parametrize("method", METHODS)
def test_a_curve_never_falls_and_gives_probabilities(method: str) -> None:
    z, y = films(0)
    curve = curve_type(method).fit(z, y)
    p = curve.apply(np.linspace(-800, 800, 4001))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0.0
    assert p.max() <= 1.0


@pytest.mark.parametrize("method", METHODS)
def test_a_curve_is_bound_by_name_and_ends_its_fallbacks_at_the_sigmoid(method: str) -> None:
    kind = curve_type(method)
    assert issubclass(kind, Curve)
    assert kind.__module__ == f"hilum.calibration.curves.{method}"
    seen = [method]
    while (fallback := curve_type(seen[-1]).fallback) is not None:
        assert fallback not in seen
        seen.append(fallback)
    assert seen[-1] == "sigmoid"


@pytest.mark.parametrize("method", METHODS)
def test_json_gives_back_the_same_probabilities_to_the_bit(method: str) -> None:
    z, y = films(1)
    logits = Logits(np.stack([z, -z], axis=1), LabelSet("two", ("Mass", "Hernia")))
    states = np.stack([y, ~y], axis=1).astype(np.int8)
    calibrator = fit(method, logits, states)
    again = FittedCalibrator.from_json(calibrator.to_json())
    assert again == calibrator
    assert (again.apply(logits).values == calibrator.apply(logits).values).all()
    assert json.loads(calibrator.to_json())["findings"]["Mass"]["method"] == method


@pytest.mark.parametrize("method", [m for m in METHODS if m != "sigmoid"])
@pytest.mark.parametrize("y", [np.zeros(30, bool), np.ones(30, bool), np.zeros(0, bool)])
def test_one_class_keeps_the_sigmoid_and_says_so(method: str, y: NDArray[np.bool_]) -> None:
    z = np.linspace(-1, 1, len(y))
    with pytest.raises(FitRefusedError):
        curve_type(method).fit(z, y)
    labels = LabelSet("one", ("Mass",))
    calibrator = fit(method, Logits(z[:, None], labels), y.astype(np.int8)[:, None])
    mass = calibrator.findings["Mass"]
    assert (mass.method, mass.calibrated) == ("sigmoid", False)
    assert "sigmoid used" in mass.note
    half = calibrator.apply(Logits(np.zeros((1, 1)), labels))
    assert half.values[0, 0] == 0.5


def test_all_but_the_staircase_are_strict() -> None:
    assert set(METHODS) - set(STRICT) == {"isotonic"}


@pytest.mark.parametrize("method", STRICT)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0), st.floats(-4.0, 4.0))
def test_a_strict_method_leaves_auroc_as_it_was(
    method: str, seed: int, scale: float, shift: float
) -> None:
    z, y = films(seed)
    other_z, other_y = films(seed + 1)
    calibrator = fit(method, Logits((scale * z + shift)[:, None], ONE), y.astype(np.int8)[:, None])
    # far out a probability is rounded to 1, and ranks no more
    logits = np.clip(scale * other_z + shift, -9, 9)
    p = calibrator.apply(Logits(logits[:, None], ONE)).of("Mass")
    assert roc_auc_score(other_y, p) == pytest.approx(roc_auc_score(other_y, logits), abs=1e-12)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "sigmoid"])
def test_fitting_lowers_the_log_loss_on_other_films(method: str) -> None:
    z, y = films(3, 2000)
    other_z, other_y = films(4, 2000)
    before = mean_log_loss(sigmoid_of(other_z), other_y)
    assert mean_log_loss(curve_type(method).fit(z, y).apply(other_z), other_y) < before


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 4.0), st.floats(-5.0, 5.0))
def test_platt_undoes_any_line_of_the_logit(seed: int, scale: float, shift: float) -> None:
    z, y = films(seed, 200)
    plain, moved = Platt.fit(z, y), Platt.fit(scale * z + shift, y)
    assert moved.apply(scale * z + shift) == pytest.approx(plain.apply(z), abs=1e-8)


def test_platt_equals_a_logistic_regression_with_platts_targets() -> None:
    z, y = films(5)
    found, n = y.sum(), len(y)
    share = np.where(y, (found + 1) / (found + 2), 1 / (n - found + 2))
    oracle = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
    oracle.fit(
        np.tile(z, 2)[:, None],
        np.repeat([1, 0], n),
        sample_weight=np.concatenate([share, 1 - share]),
    )
    curve = Platt.fit(z, y)
    assert curve.slope == pytest.approx(np.ravel(oracle.coef_)[0], rel=1e-5)
    assert curve.intercept == pytest.approx(float(np.ravel(oracle.intercept_)[0]), rel=1e-5)


def test_platt_stays_finite_where_films_are_perfectly_separated() -> None:
    z = np.array([-2.0, -1.0, 1.0, 2.0])
    curve = Platt.fit(z, z > 0)
    assert np.isfinite(curve.slope)
    assert 0.0 < curve.apply(z).min() < curve.apply(z).max() < 1.0


def test_temperature_is_found_and_refused_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, 20_000)
    y = rng.random(20_000) < sigmoid_of(truth)
    assert Temperature.fit(2.5 * truth, y).temperature == pytest.approx(2.5, rel=0.05)
    with pytest.raises(FitRefusedError, match="no guide"):
        Temperature.fit(-truth, y)
    with pytest.raises(FitRefusedError, match="always right"):
        Temperature.fit(truth, truth > 0)


def test_temperature_has_the_least_log_loss() -> None:
    z, y = films(7)
    best = Temperature.fit(z, y)
    here = mean_log_loss(best.apply(z), y)
    for factor in (0.99, 1.01):
        other = Temperature(temperature=best.temperature * factor)
        assert mean_log_loss(other.apply(z), y) > here


def test_isotonic_equals_scikit_learn_and_stays_off_zero_and_one() -> None:
    z, y = films(8)
    curve = Isotonic.fit(z, y)
    margin = 1 / (len(z) + 2)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(z, y.astype(float))
    grid = np.linspace(z.min() - 1, z.max() + 1, 500)
    at_films = curve.apply(z)
    assert at_films == pytest.approx(np.clip(oracle.predict(z), margin, 1 - margin), abs=1e-12)
    assert curve.apply(grid).min() >= margin
    assert curve.apply(grid).max() <= 1 - margin


def test_intercept_makes_the_mean_right_with_the_least_log_loss() -> None:
    z, y = films(12)
    best = Intercept.fit(z, y)
    assert best.apply(z).mean() == pytest.approx(y.mean(), abs=1e-13)
    here = mean_log_loss(best.apply(z), y)
    for step in (-0.01, 0.01):
        assert mean_log_loss(Intercept(intercept=best.intercept + step).apply(z), y) > here


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-500.0, 500.0))
def test_intercept_undoes_any_shift(seed: int, shift: float) -> None:
    z, y = films(seed, 200)
    plain = Intercept.fit(z, y)
    assert Intercept.fit(z + shift, y).apply(z + shift) == pytest.approx(plain.apply(z), abs=1e-9)


def test_intercept_gives_equal_logits_the_prevalence() -> None:
    y = np.arange(10) < 3
    assert Intercept.fit(np.full(10, 0.1), y).apply(np.array([0.1])) == pytest.approx([0.3])


def test_findings_that_share_a_temperature_have_that_of_all_their_films_together() -> None:
    (a, of_a), (b, of_b) = films(13, 1000), films(14, 1000)
    states = np.stack([of_a, of_b, np.zeros(1000)], axis=1).astype(np.int8)
    states[:100, 1] = -2
    labels = LabelSet("three", ("Mass", "Edema", "Hernia"))
    found = fit("temperature_shared", Logits(np.stack([a, b, b], axis=1), labels), states).findings
    together = Temperature.fit(np.concatenate([a, b[100:]]), np.concatenate([of_a, of_b[100:]]))
    assert found["Mass"].parameters == found["Edema"].parameters == together.model_dump()
    assert (found["Mass"].n, found["Edema"].n) == (1000, 900)
    assert found["Edema"].positives == of_b[100:].sum()
    assert (found["Hernia"].method, found["Hernia"].calibrated) == ("sigmoid", False)
    assert "no positive film among 1000" in found["Hernia"].note


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_logits_of_probabilities_give_them_back(values: list[float]) -> None:
    foreign = Probabilities(np.array(values)[:, None], ONE)
    logits = logits_of(foreign)
    assert np.abs(logits.values).max() <= 27.7
    back = fit("sigmoid", logits, np.zeros((len(values), 1), np.int8)).apply(logits)
    assert back.values == pytest.approx(foreign.values, abs=2e-12)


def test_only_known_labels_count() -> None:
    z, y = films(9)
    labels = LabelSet("one", ("Mass",))
    states = y.astype(np.int8)
    more_z = np.concatenate([z, [50.0, -50.0]])
    more_states = np.concatenate([states, np.array([-1, -2], np.int8)])
    plain = fit("platt", Logits(z[:, None], labels), states[:, None])
    more = fit("platt", Logits(more_z[:, None], labels), more_states[:, None])
    assert more == plain


def test_columns_are_matched_by_name() -> None:
    z, y = films(10)
    pair = LabelSet("two", ("Mass", "Hernia"))
    calibrator = fit(
        "platt",
        Logits(np.stack([z, z / 2], axis=1), pair),
        np.stack([y, y], axis=1).astype(np.int8),
    )
    straight = calibrator.apply(Logits(np.stack([z, z / 2], axis=1), pair))
    turned = LabelSet("turned", ("Hernia", "Mass"))
    swapped = calibrator.apply(Logits(np.stack([z / 2, z], axis=1), turned))
    assert (swapped.of("Mass") == straight.of("Mass")).all()
    assert (swapped.of("Hernia") == straight.of("Hernia")).all()
    with pytest.raises(UsageError, match="no finding 'Edema' in this platt calibrator"):
        calibrator.apply(Logits(z[:, None], LabelSet("one", ("Edema",))))


def test_unknown_methods_and_edited_files_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'platt'"):
        curve_type("plat")
    z, y = films(11)
    logits = Logits(z[:, None], LabelSet("one", ("Mass",)))
    good = json.loads(fit("platt", logits, y.astype(np.int8)[:, None]).to_json())
    for change in (
        {"slope": -1.0, "intercept": 0.0},
        {"slope": 1.0},
        {"slope": 1.0, "intercept": 0.0, "extra": 1.0},
    ):
        good["findings"]["Mass"]["parameters"] = change
        with pytest.raises(BundleError, match="is not a calibrator"):
            FittedCalibrator.from_json(json.dumps(good))
    with pytest.raises(ValueError, match="states must be"):
        fit("platt", logits, np.zeros((3, 1), np.int8))


@pytest.mark.parametrize("size", [0, 2])
def test_a_staircase_that_falls_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="knots must"):
        Isotonic(logits=(0.0, 1.0)[:size], probabilities=(0.7, 0.2)[:size])
