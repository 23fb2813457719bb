"""Another prevalence: Bayes' rule, the same ranking, and the same JSON where none was requested."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from hilum.calibration import FittedCalibrator, fit
from hilum.calibration.curves import sigmoid_of
from hilum.calibration.prevalence import shift_prevalence, shifted
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.scores import Logits, Probabilities

TWO = LabelSet("two", ("Mass", "Effusion"))
FITTED_AT = {"Mass": 0.02, "Effusion": 0.3}
SHARE = st.floats(0.001, 0.999)

WRITTEN_BEFORE_THERE_WERE_SHIFTS = """{
  "schema_version": 1,
  "method": "platt",
  "findings": {
    "Mass": {
      "method": "platt",
      "parameters": {
        "slope": 0.4285714285714286,
        "intercept": -1.0986122886681098
      },
      "calibrated": true,
      "n": 400,
      "positives": 19,
      "note": "fitted on 19 positive films only"
    }
  }
}
"""


def calibrator(method: str = "platt") -> tuple[FittedCalibrator, Logits]:
    rng = np.random.default_rng(0)
    logits = Logits(rng.normal(0, 2, (500, 2)), TWO)
    states = (rng.random((500, 2)) < sigmoid_of(logits.values - 1.0)).astype(np.int8)
    return fit(method, logits, states), logits


def test_it_is_bayes_rule() -> None:
    # 10,000 films of which 2 % have it; a score that 60 % of those and 10 % of the others show
    at_2 = 0.02 * 0.6 / (0.02 * 0.6 + 0.98 * 0.1)
    at_5 = 0.05 * 0.6 / (0.05 * 0.6 + 0.95 * 0.1)
    scores = Probabilities(np.array([[at_2, 0.4]]), TWO)
    moved = shift_prevalence(scores, FITTED_AT, {"Mass": 0.05})
    assert moved.values[0] == pytest.approx([at_5, 0.4], abs=1e-15)


def test_a_calibrator_moves_only_what_was_asked_for_and_says_so() -> None:
    plain, logits = calibrator()
    moved = plain.at_prevalence(FITTED_AT, {"Mass": 0.05})
    by_hand = shift_prevalence(plain.apply(logits), FITTED_AT, {"Mass": 0.05})
    assert (moved.apply(logits).values == by_hand.values).all()
    assert moved.findings["Effusion"] == plain.findings["Effusion"]
    assert moved.notes() == ("Mass: prevalence 0.020 -> 0.050 requested",)
    assert plain.findings["Mass"].log_odds_shift == 0.0


def test_a_note_that_was_there_stays() -> None:
    before = FittedCalibrator.from_json(WRITTEN_BEFORE_THERE_WERE_SHIFTS)
    moved = before.at_prevalence({"Mass": 0.02}, {"Mass": 0.0004})
    assert moved.findings["Mass"].note == (
        "fitted on 19 positive films only; prevalence 0.020 -> 0.00040 requested"
    )


def test_an_alias_is_the_finding() -> None:
    plain, _ = calibrator()
    alias = plain.at_prevalence(FITTED_AT, {"pleural effusion": 0.1})
    assert alias == plain.at_prevalence(FITTED_AT, {"Effusion": 0.1})


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_json_keeps_the_shift_to_the_bit(method: str) -> None:
    plain, logits = calibrator(method)
    moved = plain.at_prevalence(FITTED_AT, {"Mass": 1 / 3})
    again = FittedCalibrator.from_json(moved.to_json())
    assert again == moved
    assert (again.apply(logits).values == moved.apply(logits).values).all()


def test_json_without_a_shift_is_what_it_was_before() -> None:
    # the bond of a bundle is a hash over this text
    before = FittedCalibrator.from_json(WRITTEN_BEFORE_THERE_WERE_SHIFTS)
    assert before.findings["Mass"].log_odds_shift == 0.0
    assert before.to_json() == WRITTEN_BEFORE_THERE_WERE_SHIFTS
    assert "log_odds_shift" not in calibrator()[0].to_json()
    moved = calibrator()[0].at_prevalence(FITTED_AT, {"Mass": 0.05})
    assert moved.to_json().count("log_odds_shift") == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30), SHARE, SHARE)
def test_the_ranking_is_unchanged(values: list[float], fitted: float, wanted: float) -> None:
    scores = Probabilities(np.sort(values)[:, None], LabelSet("one", ("Mass",)))
    moved = shift_prevalence(scores, {"Mass": fitted}, {"Mass": wanted}).of("Mass")
    assert (np.diff(moved) >= 0.0).all()
    assert (moved[np.array(sorted(values)) == 0.0] == 0.0).all()
    assert (moved[np.array(sorted(values)) == 1.0] == 1.0).all()


@settings(max_examples=25, deadline=None)
@given(SHARE, SHARE)
def test_auroc_is_unchanged(fitted: float, wanted: float) -> None:
    plain, logits = calibrator("isotonic")
    moved = plain.at_prevalence({"Mass": fitted}, {"Mass": wanted}).apply(logits).of("Mass")
    p, y = plain.apply(logits).of("Mass"), np.arange(500) % 3 == 0
    assert roc_auc_score(y, moved) == pytest.approx(roc_auc_score(y, p), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(SHARE, SHARE)
def test_the_way_back_leads_back(fitted: float, wanted: float) -> None:
    scores = Probabilities(np.linspace(0, 1, 21)[:, None], LabelSet("one", ("Mass",)))
    there = shift_prevalence(scores, {"Mass": fitted}, {"Mass": wanted})
    back = shift_prevalence(there, {"Mass": wanted}, {"Mass": fitted})
    assert back.values == pytest.approx(scores.values, abs=1e-9)


@pytest.mark.parametrize("shift", [-1e6, -800.0, 800.0, 1e6])
def test_no_shift_is_too_far_for_a_number(shift: float) -> None:
    p = shifted(np.array([0.0, 1e-300, 0.5, 1.0]), shift)
    assert ((p >= 0.0) & (p <= 1.0)).all()
    assert (p[0], p[3]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"Efusion": 0.1}, "Did you mean 'Effusion'"),
        ({"Edema": 0.1}, "no finding 'Edema' in this platt calibrator"),
        ({"Mass": 0.0}, r"wanted prevalence of Mass must lie in \(0, 1\); got 0"),
        ({"Mass": 1.0}, r"must lie in \(0, 1\); got 1"),
        ({"Mass": float("nan")}, r"must lie in \(0, 1\); got nan"),
        ({"Mass": 5.0}, r"must lie in \(0, 1\); got 5"),
        ({"Effusion": 0.1, "Pleural Effusion": 0.2}, "names a finding twice"),
    ],
)
def test_what_cannot_be_asked_for(wanted: dict[str, float], message: str) -> None:
    plain, _ = calibrator()
    with pytest.raises(UsageError, match=message):
        plain.at_prevalence(FITTED_AT, wanted)


def test_where_the_fitted_prevalence_is_no_use() -> None:
    plain, _ = calibrator()
    with pytest.raises(UsageError, match="prevalence that Mass was fitted at must be known"):
        plain.at_prevalence({}, {"Mass": 0.1})
    with pytest.raises(UsageError, match="fitted prevalence of Mass must lie in"):
        plain.at_prevalence({"Mass": 0.0}, {"Mass": 0.1})


def test_a_finding_is_moved_once() -> None:
    moved = calibrator()[0].at_prevalence(FITTED_AT, {"Mass": 0.05})
    with pytest.raises(UsageError, match="Mass must be moved once"):
        moved.at_prevalence(FITTED_AT, {"Mass": 0.1})
    assert moved.at_prevalence(FITTED_AT, {"Effusion": 0.1}).findings["Mass"].log_odds_shift
