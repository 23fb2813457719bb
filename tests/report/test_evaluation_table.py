"""The Markdown tables and their sentences, from literals."""

from __future__ import annotations

import pytest

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.evaluation import (
    BrierParts,
    CalibrationEvaluation,
    ConstantPredictor,
    Evaluation,
    ExpectedCalibrationError,
    FindingEvaluation,
    MacroEvaluation,
    MetadataBaseline,
    NetBenefitEvaluation,
    PointEvaluation,
    Subgroup,
    SummaryEvaluation,
)
from hilum.domain.notice import NOT_A_DEVICE
from hilum.evaluation.finding import calibration_verdict
from hilum.report.evaluation.sentences import best_and_worst, interpretation
from hilum.report.evaluation.table import (
    calibration_table,
    findings_table,
    markdown,
    points_table,
    ranking_table,
    rivals_table,
    scores_table,
    subgroups_table,
)

NONE = Interval(value=None, reason="no film is positive")
HALF = Interval(value=0.5, low=0.5, high=0.5)
TABLES = (
    ranking_table,
    findings_table,
    rivals_table,
    calibration_table,
    scores_table,
    points_table,
    subgroups_table,
)


def at(value: float) -> Interval:
    return Interval(value=value, low=round(value - 0.05, 6), high=round(value + 0.05, 6))


def ece(mass: float, chance: float = 0.04) -> ExpectedCalibrationError:
    return ExpectedCalibrationError(
        equal_mass=at(mass), equal_width=at(0.05), null_95=chance, debiased_l2=at(0.06)
    )


def finding(positives: int, number: Interval) -> FindingEvaluation:
    return FindingEvaluation(
        n=1200,
        positives=positives,
        positive_patients=positives // 2,
        auroc=number,
        auroc_delong=number,
        average_precision=number,
        sensitivity_at_specificity={"0.80": number},
        specificity_at_sensitivity={"0.80": number},
        brier=at(0.1),
        brier_skill=number,
        brier_parts=BrierParts(miscalibration=number, discrimination=number, uncertainty=number),
        log_loss=at(0.2),
        ece=ece(0.06),
        calibration=CalibrationEvaluation(
            slope=number, intercept=number, o_e=at(1.2), verdict="not calibrated"
        ),
        operating_points={
            "f1": PointEvaluation(
                threshold=0.123456 if positives else None,
                target="f1",
                goal=None,
                chosen_on="the calibrate split",
                sensitivity=number,
                specificity=number,
                ppv=number,
                npv=number,
                f1=number,
            )
        },
        net_benefit={"0.05": NetBenefitEvaluation(model=at(0.02), treat_all=0.01)},
        within_view={"PA": number},
        metadata_baseline=at(0.55) if positives else NONE,
    )


def evaluation() -> Evaluation:
    summary = SummaryEvaluation(
        auroc=at(0.8),
        average_precision=at(0.3),
        sensitivity_at_specificity={"0.80": at(0.6)},
        brier=at(0.1),
        ece_equal_mass=at(0.06),
        ece_equal_width=at(0.05),
        findings_counted=1,
        findings_total=2,
    )
    return Evaluation(
        model="drawn",
        split=SplitFacts(name="test", sha256="0123456789abcdef" * 4, images=1200, patients=400),
        labels="two",
        policy={"uncertain": "ignored"},
        look=2,
        interval="95 % patient bootstrap",
        seed=0,
        resamples=1000,
        notes=("films were drawn, not taken",),
        findings={"Mass": finding(1100, at(0.8123)), "Hernia": finding(0, NONE)},
        macro=MacroEvaluation(
            **summary.model_dump(),
            f1=at(0.4),
            shared_threshold=0.5,
            f1_shared=at(0.3),
            threshold_gain=at(0.1),
        ),
        micro=summary,
        constant_predictor=ConstantPredictor(
            prevalence_from="train",
            auroc=HALF,
            average_precision=at(0.1),
            brier=at(0.1),
            ece_equal_mass=at(0.05),
            ece_equal_width=at(0.05),
            micro_auroc=at(0.7),
        ),
        metadata_baseline=MetadataBaseline(features="view, sex", auroc=at(0.55)),
        subgroups=(
            Subgroup(
                attribute="view",
                group="AP",
                images=700,
                patients=300,
                auroc=at(0.79),
                findings_counted=1,
                findings={},
            ),
        ),
    )


def test_the_ranking_table_is_the_one_promised() -> None:
    assert ranking_table(evaluation()).splitlines() == [
        "| Class | AUROC | AP | Thr | Sen@Spec(0.8) |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| Mass | 0.812 [0.762, 0.862] | 0.812 [0.762, 0.862] | 0.1235 | 0.812 [0.762, 0.862] |",
        "| Hernia | – | – | – | – |",
        "| **Macro** | 0.800 [0.750, 0.850] | 0.300 [0.250, 0.350] |  | 0.600 [0.550, 0.650] |",
    ]


@pytest.mark.parametrize("table", TABLES)
def test_rows_have_as_many_cells_as_the_header(table: object) -> None:
    assert callable(table)
    lines = str(table(evaluation())).splitlines()
    assert len(lines) > 2
    assert len({line.count("|") for line in lines}) == 1


def test_no_table_without_split_size_interval_and_notice() -> None:
    text = markdown(evaluation())
    for part in (
        "drawn on test: 1,200 films of 400 patients, film list sha256 0123456789ab.",
        "Labels (uncertain: ignored). Evaluation number 2 of this test set.",
        "95 % patient bootstrap",
        "constant predictor: train",
        "| metadata alone, macro | 0.550 [0.500, 0.600] |",
        "A low ECE alone proves nothing",
        "Macro: 1 of 2 findings.",
        "Thresholds were chosen on the calibrate split. Macro F1 with each finding's first "
        "threshold: 0.400 [0.350, 0.450]; with 0.5 for all: 0.300 [0.250, 0.350]; "
        "difference 0.100 [0.050, 0.150].",
        "| view: AP | 700 | 300 | 0.790 [0.740, 0.840] | 1 of 2 |",
        "- films were drawn, not taken",
        "- Hernia: no film is positive",
        NOT_A_DEVICE,
    ):
        assert part in text
    assert "accuracy" not in text.lower()


def test_without_thresholds_or_subgroups_their_tables_are_left_out() -> None:
    whole = evaluation()
    bare = {n: f.model_copy(update={"operating_points": {}}) for n, f in whole.findings.items()}
    text = markdown(whole.model_copy(update={"findings": bare, "subgroups": ()}))
    assert "Operating points" not in text
    assert "Subgroups" not in text


@pytest.mark.parametrize(
    ("area", "said"),
    [
        (NONE, "not evaluated: no film is positive"),
        (Interval(value=0.9), "too few patients to tell (50 with the finding)"),
        (at(0.52), "cannot be distinguished from chance"),
        (at(0.4), "ranks films the wrong way round"),
        (at(0.58), "cannot be distinguished from view, sex and age alone (0.550)"),
        (at(0.65), "ranks films weakly"),
        (at(0.75), "ranks films moderately"),
        (at(0.80), "ranks films well"),
        (at(0.94), "ranks films very well"),
    ],
)
def test_each_finding_is_put_into_words_by_one_rule(area: Interval, said: str) -> None:
    found = interpretation(finding(100, area))
    assert found.startswith(said)
    flags = "; of 100 films with it" in found
    assert flags is (area.low is not None)


def test_best_and_worst_come_with_what_they_rest_on() -> None:
    whole = evaluation()
    assert best_and_worst(whole) == ""
    three = {"Mass": finding(90, at(0.8)), "Nodule": finding(7, at(0.6)), "Edema": finding(0, NONE)}
    assert best_and_worst(whole.model_copy(update={"findings": three})) == (
        "Best ranked: Mass, AUROC 0.800 [0.750, 0.850] (45 patients with it). "
        "Worst ranked: Nodule, AUROC 0.600 [0.550, 0.650] (3 patients with it)."
    )


def test_calibrated_needs_slope_o_e_and_ece() -> None:
    assert (
        calibration_verdict(at(1.0), at(0.96), ece(0.03))
        == "calibrated, as far as these films can tell"
    )
    assert calibration_verdict(at(0.8), at(1.3), ece(0.06)) == (
        "not calibrated: too extreme (slope 0.80 [0.75, 0.85]); "
        "too low on average (O/E 1.30 [1.25, 1.35]); ECE 0.0600 where chance explains 0.0400"
    )
    assert calibration_verdict(at(1.2), at(0.7), ece(0.03)) == (
        "not calibrated: too timid (slope 1.20 [1.15, 1.25]); "
        "too high on average (O/E 0.70 [0.65, 0.75])"
    )
    assert calibration_verdict(NONE, at(1.0), ece(0.03)) == "not known: no film is positive"
    one = Interval(value=1.0, reason="no interval: all films are of one patient")
    assert calibration_verdict(at(1.0), one, ece(0.03)) == (
        "not known: no interval: all films are of one patient"
    )
