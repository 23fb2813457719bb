"""The Markdown tables, from literals."""

from __future__ import annotations

from hilum.domain.result import (
    NOT_A_DEVICE,
    ConstantPredictor,
    Evaluation,
    ExpectedCalibrationError,
    FindingEvaluation,
    Interval,
    PointEvaluation,
    SplitFacts,
    SummaryEvaluation,
)
from hilum.evaluation.table import calibration_table, markdown, ranking_table

NONE = Interval(value=None, reason="no film is positive")


def at(value: float) -> Interval:
    return Interval(value=value, low=value - 0.05, high=value + 0.05)


def finding(positives: int, number: Interval) -> FindingEvaluation:
    return FindingEvaluation(
        n=1200,
        positives=positives,
        positive_patients=positives,
        auroc=number,
        average_precision=number,
        sensitivity_at_specificity={"0.80": number},
        brier=at(0.1),
        brier_skill=number,
        log_loss=at(0.2),
        ece=ExpectedCalibrationError(equal_mass=at(0.06), equal_width=at(0.05), null_95=0.04),
        operating_points={
            "f1": PointEvaluation(
                threshold=0.123456 if positives else None,
                target="f1",
                sensitivity=number,
                specificity=number,
                ppv=number,
            )
        },
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
    half = Interval(value=0.5, low=0.5, high=0.5)
    return Evaluation(
        model="drawn",
        split=SplitFacts(name="test", sha256="0123456789abcdef" * 4, images=1200, patients=400),
        labels="two",
        interval="95 % patient bootstrap",
        seed=0,
        resamples=1000,
        notes=("films were drawn, not taken",),
        findings={"Mass": finding(1100, at(0.8123)), "Hernia": finding(0, NONE)},
        macro=summary,
        micro=summary,
        constant_predictor=ConstantPredictor(
            prevalence_from="train",
            auroc=half,
            average_precision=at(0.1),
            brier=at(0.1),
            ece_equal_mass=at(0.05),
            ece_equal_width=at(0.05),
            micro_auroc=at(0.7),
        ),
    )


def test_the_ranking_table_is_the_one_promised() -> None:
    assert ranking_table(evaluation()).splitlines() == [
        "| Finding | n+ | AUROC | AP | Threshold | Sens@Spec 0.80 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| Mass | 1,100 | 0.812 [0.762, 0.862] | 0.812 [0.762, 0.862] | 0.1235 "
        "| 0.812 [0.762, 0.862] |",
        "| Hernia | 0 | – | – | – | – |",
        "| **macro (1 of 2 findings)** |  | 0.800 [0.750, 0.850] | 0.300 [0.250, 0.350] |  "
        "| 0.600 [0.550, 0.650] |",
        "| **micro** |  | 0.800 [0.750, 0.850] | 0.300 [0.250, 0.350] |  | 0.600 [0.550, 0.650] |",
        "| constant predictor, macro |  | 0.500 [0.500, 0.500] | 0.100 [0.050, 0.150] |  |  |",
        "| constant predictor, micro |  | 0.700 [0.650, 0.750] |  |  |  |",
    ]


def test_rows_have_as_many_cells_as_the_header() -> None:
    for table in (ranking_table(evaluation()), calibration_table(evaluation())):
        cells = {line.count("|") for line in table.splitlines()}
        assert cells == {7}


def test_no_table_without_split_size_interval_and_notice() -> None:
    text = markdown(evaluation())
    for part in (
        "drawn on test: 1,200 films of 400 patients, film list sha256 0123456789ab.",
        "95 % patient bootstrap",
        "constant predictor: train",
        "cannot be told from none",
        "- films were drawn, not taken",
        "- Hernia: no film is positive",
        NOT_A_DEVICE,
    ):
        assert part in text
