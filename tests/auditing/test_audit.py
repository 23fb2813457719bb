"""What an audit must find out, and what it must not cry wolf at."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split

from hilum.auditing.audit import AuditRequest, audit
from hilum.auditing.claims import read_claims
from hilum.datasets import open_dataset
from hilum.domain.documents.audit import Audit, ClaimResult, ClaimVerdict, Reason, RemarkKind
from hilum.domain.findings import LabelState, nih14
from hilum.domain.record import Cohort, Record
from hilum.predictions.read import read_scores
from hilum.report.audit import markdown
from hilum.splits import TrainingFilms

Array = NDArray[np.float64]
Table = Callable[..., Path]
PREVALENCES = np.linspace(0.05, 0.25, 14)
NAMES = list(nih14())
TABLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "tables"


def cohort_of(patients: int = 400, seed: int = 0) -> Cohort:
    """About 800 films: one to three a patient, each finding present in 5 to 25 % of the films."""
    rng = np.random.default_rng(seed)
    records = [
        Record(
            image_id=f"{patient:05d}_{film}.png",
            patient_id=str(patient),
            states=tuple(LabelState(int(there)) for there in rng.random(14) < PREVALENCES),
        )
        for patient in range(patients)
        for film in range(rng.integers(1, 4))
    ]
    return Cohort("nih", nih14(), tuple(records))


def probabilities(cohort: Cohort, separation: float, seed: int = 0) -> Array:
    """(N, 14) of a calibrated model: scores ~ N(± separation / 2, 1), turned by Bayes' rule."""
    rng = np.random.default_rng([seed, 7])
    there = cohort.states() == LabelState.POSITIVE
    drawn = rng.normal(np.where(there, separation / 2, -separation / 2), 1.0)
    log_odds = separation * drawn + np.log(PREVALENCES / (1 - PREVALENCES))
    return 1.0 / (1.0 + np.exp(-log_odds))


COHORT = cohort_of()
HONEST = probabilities(COHORT, 1.2)
THERE = COHORT.states() == LabelState.POSITIVE


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Write a table of scores, under the findings' own names unless others are given."""

    def made(cohort: Cohort, values: Array, names: Sequence[str] = tuple(NAMES)) -> Path:
        path = tmp_path / "theirs.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["Image Index", *names])
            for name, row in zip(cohort.image_ids(), values.tolist(), strict=True):
                rows.writerow([name, *row])
        return path

    return made


def audited(
    path: Path, *claims: str, cohort: Cohort = COHORT, training: TrainingFilms | None = None
) -> Audit:
    scores = read_scores(path, cohort)
    request = AuditRequest(path.name, "0" * 64, read_claims(claims), training, resamples=100)
    return audit(scores, request)


def kinds(found: Audit) -> set[RemarkKind]:
    return {remark.kind for remark in found.remarks}


def only(found: Audit) -> ClaimResult:
    (claim,) = found.claims
    return claim


def macro(score: Callable[[NDArray[np.bool_], Array], float], values: Array) -> float:
    return float(np.mean([score(THERE[:, k], values[:, k]) for k in range(14)]))


# claims


def test_an_honest_table_is_reproduced_and_nothing_is_met(table: Table) -> None:
    auroc = macro(roc_auc_score, HONEST)
    brier = macro(brier_score_loss, HONEST)
    mass = roc_auc_score(THERE[:, 4], HONEST[:, 4])
    ap = macro(average_precision_score, HONEST)
    claims = (f"auroc={auroc:.3f}", f"brier={brier:.4f}", f"Mass.auroc={mass:.4f}", f"ap={ap:.3f}")
    found = audited(table(COHORT, HONEST), *claims)
    assert [claim.verdict for claim in found.claims] == [ClaimVerdict.REPRODUCED] * 4
    assert found.claims[0].recomputed.value == pytest.approx(auroc, abs=1e-12)
    assert found.claims[1].recomputed.value == pytest.approx(brier, abs=1e-12)
    assert found.remarks == ()
    assert found.claims[0].findings_counted == 14


def test_the_truth_as_scores_is_found_and_proves_nothing(table: Table) -> None:
    values = HONEST.copy()
    values[:, 4] = THERE[:, 4]
    found = audited(table(COHORT, values), "Mass.auroc=1.0", "auroc=0.8")
    assert RemarkKind.EQUAL_TO_LABELS in kinds(found)
    assert [Reason.TRUTH in claim.reasons for claim in found.claims] == [True, True]
    assert only(audited(table(COHORT, HONEST), "Mass.auroc=0.8")).reasons == ()


def test_thresholded_numbers_equal_scikit_learn_s(table: Table) -> None:
    found = audited(table(COHORT, HONEST), "f1@0.3=0.4", "micro.accuracy=0.9", "micro.auroc=0.9")
    f1, accuracy, auroc = (claim.recomputed.value for claim in found.claims)
    assert f1 == pytest.approx(macro(lambda y, p: f1_score(y, p >= 0.3), HONEST))
    assert accuracy == pytest.approx(float(((HONEST >= 0.5) == THERE).mean()))
    assert auroc == pytest.approx(roc_auc_score(THERE.ravel(), HONEST.ravel()))


def test_0844_claimed_of_a_model_of_080_lies_outside(table: Table) -> None:
    claim = only(audited(table(COHORT, HONEST), "auroc=0.844"))
    assert claim.verdict is ClaimVerdict.OUTSIDE
    assert claim.recomputed.value == pytest.approx(0.80, abs=0.01)
    assert claim.recomputed.high is not None
    gap = 0.844 - claim.recomputed.high
    assert claim.words == f"the claim lies {gap:.4f} above the interval"


def test_a_claim_that_other_patients_could_give_lies_inside(table: Table) -> None:
    assert only(audited(table(COHORT, HONEST), "auroc=0.800")).verdict is ClaimVerdict.INSIDE


def test_a_constant_predictor_s_ece_is_meaningless(table: Table) -> None:
    constant = np.tile(THERE.mean(axis=0), (len(COHORT), 1))
    found = audited(table(COHORT, constant), "ece=0.00", "auroc=0.5")
    for claim in found.claims:
        assert claim.verdict is ClaimVerdict.MEANINGLESS
        assert claim.agreement is ClaimVerdict.REPRODUCED
        assert Reason.CONSTANT in claim.reasons
    assert RemarkKind.CONSTANT_SCORES in kinds(found)


def test_numbers_that_a_constant_has_too_are_meaningless(table: Table) -> None:
    negative = float((~THERE).mean())
    claims = (f"accuracy={negative:.3f}", "brier=0.20", "ece=0.12", "sensitivity@0.8=0.15")
    for claim in audited(table(COHORT, HONEST), *claims).claims:
        assert claim.reasons == (Reason.CONSTANT,)
        assert claim.verdict is ClaimVerdict.MEANINGLESS
    prevalence = float(THERE.mean(axis=0).mean())
    (claim,) = audited(table(COHORT, HONEST), f"ap={prevalence:.3f}").claims
    assert claim.constant == pytest.approx(prevalence)
    assert claim.verdict is ClaimVerdict.MEANINGLESS


def test_no_honest_model_has_an_ece_of_nothing_on_so_few_films(table: Table) -> None:
    claim = only(audited(table(COHORT, HONEST), "ece=0.00"))
    assert claim.reasons == (Reason.BELOW_CHANCE,)
    assert claim.agreement is ClaimVerdict.OUTSIDE


def isotonic(values: Array, fitted_on: slice) -> Array:
    """Each finding's scores, calibrated by scikit-learn on some of the films."""
    fits = [
        IsotonicRegression(out_of_bounds="clip").fit(values[fitted_on, k], THERE[fitted_on, k])
        for k in range(14)
    ]
    return np.stack([fit.predict(values[:, k]) for k, fit in enumerate(fits)], axis=1)


@pytest.mark.parametrize("decimals", [17, 6, 4])
def test_isotonic_fitted_on_the_same_rows_is_in_sample(table: Table, decimals: int) -> None:
    values = np.round(isotonic(HONEST, slice(None)), decimals)
    found = audited(table(COHORT, values), "ece=0.00", "auroc=0.81")
    ece, auroc = found.claims
    assert ece.verdict is ClaimVerdict.MEANINGLESS
    assert ece.reasons[0] is Reason.IN_SAMPLE
    assert auroc.verdict is not ClaimVerdict.MEANINGLESS
    (steps,) = (r for r in found.remarks if r.kind is RemarkKind.IN_SAMPLE_STEPS)
    assert set(steps.findings) == set(NAMES)


def test_isotonic_fitted_on_other_rows_is_not(table: Table) -> None:
    values = isotonic(HONEST, slice(0, 400))
    held_out = replace(COHORT, records=COHORT.records[400:])
    assert kinds(audited(table(held_out, values[400:]), cohort=held_out)) == set()


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_rounded_scores_are_not_taken_for_steps(table: Table, decimals: int) -> None:
    assert kinds(audited(table(COHORT, np.round(HONEST, decimals)))) == set()


def test_a_score_that_is_no_number_spoils_its_claims(table: Table) -> None:
    broken = HONEST.copy()
    broken[3, 4] = np.nan
    found = audited(table(COHORT, broken), "Mass.auroc=0.8", "Edema.auroc=0.8", "auroc=0.8")
    assert [claim.reasons for claim in found.claims] == [
        (Reason.NOT_FINITE,),
        (),
        (Reason.NOT_FINITE,),
    ]
    assert RemarkKind.NOT_FINITE in kinds(found)


def test_what_cannot_be_computed_says_why(table: Table) -> None:
    labels = COHORT.states()
    labels[:, 1] = LabelState.NEGATIVE
    records = [
        replace(record, states=tuple(LabelState(int(s)) for s in row))
        for record, row in zip(COHORT.records, labels, strict=True)
    ]
    cohort = replace(COHORT, records=tuple(records))
    path = table(cohort, HONEST[:, :4], NAMES[:4])
    claims = ("Mass.auroc=0.8", "Cardiomegaly.auroc=0.8", "Lung Opacity auroc=0.9", "auroc=0.8")
    found = audited(path, *claims, cohort=cohort)
    assert [claim.words for claim in found.claims[:3]] == [
        "the table has no column of Mass",
        "one class only of Cardiomegaly",
        "the labels do not have Lung Opacity",
    ]
    assert {claim.verdict for claim in found.claims[:3]} == {ClaimVerdict.NOT_COMPUTABLE}
    assert found.claims[3].findings_counted == 3
    assert "mean of 3 of 4 findings" in markdown(found)


# what scores are


def test_logits_are_named_and_rank_but_have_no_ece(table: Table) -> None:
    logits = np.log(HONEST / (1 - HONEST))
    auroc = macro(roc_auc_score, HONEST)
    found = audited(table(COHORT, logits), f"auroc={auroc:.3f}", "ece=0.02")
    assert kinds(found) == {RemarkKind.LOGITS}
    assert found.claims[0].verdict is ClaimVerdict.REPRODUCED
    assert found.claims[1].reasons == (Reason.NOT_PROBABILITIES,)


def op_normalized(values: Array) -> Array:
    """As torchxrayvision does it: each finding's threshold becomes 0.5."""
    t = np.quantile(values, 0.8, axis=0)
    return np.where(values < t, values / (2 * t), 1 - (1 - values) / (2 * (1 - t)))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda p: 100 * p, RemarkKind.PERCENTAGES),
        (lambda p: (p >= 0.2).astype(float), RemarkKind.DECISIONS),
        (op_normalized, RemarkKind.PILE_AT_HALF),
        (lambda p: p[:, [0, *range(13)]], RemarkKind.IDENTICAL_COLUMNS),
        (lambda p: 1 - p, RemarkKind.INVERTED_SCORES),
    ],
)
def test_scores_that_are_no_probabilities_are_named(
    table: Table, change: Callable[[Array], Array], kind: RemarkKind
) -> None:
    assert kind in kinds(audited(table(COHORT, change(HONEST))))


# the order of columns


@pytest.mark.parametrize("seed", range(4))
def test_a_permuted_order_is_found_with_the_right_permutation(table: Table, seed: int) -> None:
    cohort = cohort_of(seed=seed)
    permutation = np.random.default_rng(seed).permutation(14)
    values = probabilities(cohort, 1.2, seed)[:, permutation]
    found = audited(table(cohort, values), "auroc=0.80", cohort=cohort)
    (remark,) = found.remarks
    assert remark.kind is RemarkKind.PERMUTED_COLUMNS
    for at, held in enumerate(permutation):
        if held != at:
            assert f"{NAMES[held]} in the column of {NAMES[at]}" in remark.words
            assert NAMES[held] in remark.findings
    assert only(found).reasons == (Reason.PERMUTED,)


def test_two_columns_exchanged_are_found(table: Table) -> None:
    exchanged = [*range(4), 9, *range(5, 9), 4, *range(10, 14)]
    found = audited(table(COHORT, HONEST[:, exchanged]), "Mass.auroc=.8", "Hernia.auroc=.8")
    (remark,) = found.remarks
    assert remark.findings == ("Mass", "Edema")
    assert [Reason.PERMUTED in claim.reasons for claim in found.claims] == [True, False]


@pytest.mark.parametrize("seed", range(6))
def test_a_weak_model_in_the_right_order_passes(table: Table, seed: int) -> None:
    cohort = cohort_of(seed=seed)
    found = audited(table(cohort, probabilities(cohort, 0.18, seed)), "auroc=0.55", cohort=cohort)
    assert only(found).recomputed.value == pytest.approx(0.55, abs=0.03)
    assert RemarkKind.PERMUTED_COLUMNS not in kinds(found)


def test_a_well_known_order_is_named(table: Table) -> None:
    (remark,) = audited(table(COHORT, HONEST, sorted(NAMES))).remarks
    assert "That is the order 'NIH-14'" in remark.words


def test_columns_without_names_are_not_evaluated_but_guessed(table: Table) -> None:
    alphabetical = HONEST[:, [NAMES.index(name) for name in sorted(NAMES)]]
    found = audited(table(COHORT, alphabetical, [str(k) for k in range(14)]), "auroc=0.8")
    assert only(found).verdict is ClaimVerdict.NOT_COMPUTABLE
    (remark,) = found.remarks
    assert remark.kind is RemarkKind.UNNAMED_COLUMNS
    assert "Only 'alphabetical' fits" in remark.words
    other = np.random.default_rng(0).permutation(14)
    (remark,) = audited(table(COHORT, HONEST[:, other], [str(k) for k in range(14)])).remarks
    held = ", ".join(NAMES[k] for k in other)
    assert remark.words.endswith(f"Neither fits; the best order has 0.796: {held}")


def test_a_model_that_knows_nothing_fits_no_order_better(table: Table) -> None:
    values = np.random.default_rng(1).random(HONEST.shape)
    (remark,) = audited(table(COHORT, values, [str(k) for k in range(14)])).remarks
    assert "too few, or the scores too weak" in remark.words


# films


def trained_on(cohort: Cohort, names: Sequence[str]) -> TrainingFilms:
    patient = {record.image_id: record.patient_id for record in cohort.records}
    patients = frozenset(patient[name] for name in names)
    return TrainingFilms("list.txt", frozenset(names), patients, 0)


def test_disjoint_patients_get_a_certificate(table: Table) -> None:
    names = COHORT.image_ids()
    half = next(k for k in range(400, 410) if names[k][:5] != names[k - 1][:5])
    tested = replace(COHORT, records=COHORT.records[half:])
    path = table(tested, HONEST[half:])
    found = audited(path, "auroc=0.8", training=trained_on(COHORT, names[:half]), cohort=tested)
    assert found.leak is not None
    assert found.leak.leaking_films == found.leak.shared_films == 0
    count = len(tested)
    assert found.leak.certificate.startswith(f"0 of {count} evaluation films and 0 of")
    assert Reason.LEAK not in only(found).reasons


@pytest.fixture(scope="module")
def nih() -> Cohort:
    if not TABLES.is_dir():
        pytest.skip("the full NIH tables are not beside the checkout")
    return open_dataset(TABLES)


@pytest.mark.slow
def test_a_split_by_film_leaks_and_spoils_every_claim(nih: Cohort, tmp_path: Path) -> None:
    # how the headline AUROC of 0.844 was measured: there over 112,104 films, which gives 82.8 %
    train, test = train_test_split(nih.image_ids(), test_size=0.2, random_state=42)
    names = frozenset(test)
    tested = nih.select(lambda record: record.image_id in names)
    path = tmp_path / "t.csv"
    path.write_text("film,Mass\n" + "".join(f"{name},0.5\n" for name in tested.image_ids()))
    found = audited(path, "Mass.auroc=0.844", cohort=nih, training=trained_on(nih, train))
    assert found.leak is not None
    assert found.leak.certificate.startswith(
        "82.7 % of the evaluation films (18,542 of 22,424) and 68.7 % of the evaluation patients "
        "(8,028 of 11,687) belong to training patients"
    )
    assert only(found).reasons[0] is Reason.LEAK


@pytest.mark.slow
def test_the_official_test_list_is_recognized_and_passes(nih: Cohort, tmp_path: Path) -> None:
    listed = nih.official_test or frozenset()
    train = [name for name in nih.image_ids() if name not in listed]
    path = tmp_path / "t.csv"
    path.write_text("film,Mass\n" + "".join(f"{name},0.5\n" for name in sorted(listed)))
    found = audited(path, cohort=nih, training=trained_on(nih, train))
    assert found.split.name == "NIH official test"
    assert found.leak is not None
    assert found.leak.leaking_films == 0
    assert found.leak.certificate.startswith(
        "0 of 25,596 evaluation films and 0 of 2,797 evaluation patients belong"
    )
    assert RemarkKind.KNOWN_SPLIT in kinds(found)
    assert RemarkKind.OTHER_FAMILY not in kinds(found)


def test_films_on_and_off_the_official_list_are_a_mixture(table: Table) -> None:
    listed = frozenset(COHORT.image_ids()[:100])
    cohort = replace(COHORT, official_test=listed)
    (remark,) = audited(table(cohort, HONEST), cohort=cohort).remarks
    assert remark.words.startswith("100 of 815 films are on the dataset's official test list")
    part = replace(cohort, records=cohort.records[:60])
    (remark,) = audited(table(part, HONEST[:60]), cohort=part).remarks
    assert remark.words == "the films are 60 of the 100 films of the dataset's official test list"


# what is written


def test_the_same_audit_gives_the_same_bytes_and_comes_back(table: Table) -> None:
    path = table(COHORT, HONEST)
    first, second = (audited(path, "auroc=0.8, ece=0.03").model_dump_json() for _ in range(2))
    assert first == second
    assert Audit.model_validate(json.loads(first)).model_dump_json() == first


def test_the_page_names_every_claim_and_its_verdict(table: Table) -> None:
    page = markdown(audited(table(COHORT, HONEST), "auroc=0.844", "accuracy=0.9"))
    assert "| auroc=0.844 |" in page
    assert "**outside the interval**" in page
    assert "Accuracy is no headline" in page
    assert "not a medical device" in page
