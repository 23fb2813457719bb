"""Claims as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.auditing.claims import Claim, read_claims
from hilum.domain.documents.audit import ClaimMetric
from hilum.domain.errors import UsageError


def one(text: str) -> Claim:
    (claim,) = read_claims([text])
    return claim


@pytest.mark.parametrize(
    ("text", "of", "metric", "at", "value", "decimals"),
    [
        ("auroc=0.844", "macro", ClaimMetric.AUROC, None, 0.844, 3),
        ("ROC-AUC = 84.4%", "macro", ClaimMetric.AUROC, None, 0.844, 3),
        ("macro.AUC=.84", "macro", ClaimMetric.AUROC, None, 0.84, 2),
        ("micro auroc=0.89", "micro", ClaimMetric.AUROC, None, 0.89, 2),
        ("Effusion.auroc=0.92", "Effusion", ClaimMetric.AUROC, None, 0.92, 2),
        ("pleural effusion auroc=0.92", "Effusion", ClaimMetric.AUROC, None, 0.92, 2),
        ("Pleural_Thickening.average_precision=5 %", "Pleural_Thickening", "ap", None, 0.05, 2),
        ("average precision=0.3", "macro", ClaimMetric.AVERAGE_PRECISION, None, 0.3, 1),
        ("mAP=0.2948", "macro", ClaimMetric.AVERAGE_PRECISION, None, 0.2948, 4),
        ("ece=0.00", "macro", ClaimMetric.ECE, None, 0.0, 2),
        ("ece=0.00%", "macro", ClaimMetric.ECE, None, 0.0, 4),
        ("ece_mass=0.01", "macro", ClaimMetric.ECE_EQUAL_MASS, None, 0.01, 2),
        ("ece=0", "macro", ClaimMetric.ECE, None, 0.0, 0),
        ("Mass.f1@0.25=0.41", "Mass", ClaimMetric.F1, 0.25, 0.41, 2),
        ("sensitivity@80%=75%", "macro", ClaimMetric.SENSITIVITY, 0.8, 0.75, 2),
        ("accuracy=0.94", "macro", ClaimMetric.ACCURACY, 0.5, 0.94, 2),
        ("accuracy@.2=0.94", "macro", ClaimMetric.ACCURACY, 0.2, 0.94, 2),
    ],
)
def test_a_claim_is_read(
    text: str, of: str, metric: ClaimMetric, at: float | None, value: float, decimals: int
) -> None:
    assert one(text) == Claim(text, metric, of, value, decimals, at)


def test_several_claims_stand_in_one_text_or_in_several() -> None:
    claims = read_claims(["auroc=0.844, ece=0.00,", "brier=0.04"])
    assert [claim.metric.value for claim in claims] == ["auroc", "ece", "brier"]
    assert read_claims([]) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auroc", "must be METRIC=VALUE"),
        ("auroc=good", "must give a number such as"),
        ("auroc=84.4", r"in \[0, 1\]; got 84\.4\. Did you mean 84\.4 %"),
        ("aurok=0.8", "no metric 'aurok'; .* Did you mean 'auroc'"),
        ("=0.8", "no metric ''"),
        ("Efusion.auroc=0.8", "'Efusion' must be a finding, macro or micro. Did you mean 'Effus"),
        ("f1=0.5", "must name the threshold it was computed at, such as f1@0.5"),
        ("sensitivity=0.5", "must name the specificity it was computed at"),
        ("auroc@0.5=0.5", "auroc must have no point; leave out @0.5"),
        ("f1@high=0.5", "must give a number"),
    ],
)
def test_what_is_no_claim_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_claims([text])


@given(st.integers(0, 1000), st.floats(0.0, 1.0))
@settings(max_examples=50, deadline=None)
def test_rounding_to_a_claim_is_rounding_to_its_decimals(thousandths: int, value: float) -> None:
    claim = one(f"auroc={thousandths / 1000:.3f}")
    assert claim.rounds_to(value) == (abs(value - thousandths / 1000) <= 0.0005 * (1 + 1e-9))
    assert claim.rounds_to(claim.value)


def test_a_constant_reaches_what_it_betters_or_rounds_to() -> None:
    assert one("ece=0.03").reached_by(0.02)
    assert one("ece=0.00").reached_by(0.0044)
    assert not one("ece=0.00").reached_by(0.012)
    assert one("auroc=0.45").reached_by(0.5)
    assert not one("auroc=0.844").reached_by(0.5)
