"""Rules of runs and tables: frozen on one part, tried on another, the look counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.calibration.abstention.request import RuleRequest
from hilum.domain.documents.rule_out import MissUnit, RuleOut, RuleVerdict
from hilum.domain.errors import DatasetError, LeakError, UsageError
from hilum.domain.record import Split
from hilum.domain.scores import Target
from hilum.files.sealed import read_sealed
from hilum.report.rule_out import markdown, printed
from hilum.runs.folder import RunFolder
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.films import split_of
from hilum.stages.rule_out import RuleOutRequest, rule_out_run, rule_out_table

PATIENTS = 600
DATE = "2026-01-02"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labels.csv and scores.csv: 600 patients, one to six films each, a good model."""
    folder = tmp_path_factory.mktemp("rule")
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(PATIENTS), rng.choice([1, 1, 1, 2, 3, 6], size=PATIENTS))
    n = len(patient)
    own = rng.normal(size=PATIENTS)[patient]
    truth = own[:, None] + rng.normal(size=(n, 2)) > [0.8, 1.5]
    scores = 1 / (1 + np.exp(3 - 3.0 * truth - rng.normal(size=(n, 2)) - 0.5 * own[:, None]))
    films = [f"{row:05d}.png" for row in range(n)]
    labels = pd.DataFrame(truth.astype(int), columns=["Effusion", "Mass"])
    labels.insert(0, "image_id", films)
    labels["patient_id"] = patient
    labels["view"] = rng.choice(["PA", "AP"], n)
    labels.to_csv(folder / "labels.csv", index=False)
    labels.drop(columns="patient_id").to_csv(folder / "nobody.csv", index=False)
    table = pd.DataFrame(scores, columns=["Effusion", "Mass"])
    table.insert(0, "Image Index", films)
    table.to_csv(folder / "scores.csv", index=False)
    return folder


def request(rule: RuleRequest, **given: object) -> RuleOutRequest:
    return RuleOutRequest(rule, DATE, resamples=100, **given)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def fitted(corpus: Path) -> RuleOut:
    rule = RuleRequest(miss=0.1, of=("any", "Mass"), ppv=0.6)
    return rule_out_table(
        corpus / "scores.csv", corpus / "labels.csv", corpus / "out", request(rule)
    )


def test_a_table_s_halves_share_no_patient_and_the_look_is_counted(
    fitted: RuleOut, corpus: Path
) -> None:
    assert fitted.check is not None
    assert fitted.fitted_on.patients + fitted.check.split.patients == PATIENTS
    assert fitted.check.look == 1
    assert read_sealed(RuleOut, corpus / "out" / "rule_out.json") == fitted
    (line,) = (corpus / "out" / "test_ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["rule_sha256"] == fitted.rule_sha256
    table, labels = corpus / "scores.csv", corpus / "labels.csv"
    again = rule_out_table(table, labels, corpus / "out", request(RuleRequest(miss=0.1)))
    assert again.check is not None
    assert again.check.look == 2


def test_the_check_says_what_other_patients_show(fitted: RuleOut) -> None:
    assert fitted.check is not None
    for one in fitted.check.rules:
        assert one.verdict in (RuleVerdict.CONFIRMED, RuleVerdict.NOT_CONTRADICTED)
        assert one.miss_by_patient.value is not None
        assert one.miss_by_patient.value < 0.1
        assert one.by_patient.upper is not None
        assert one.by_patient.upper > one.miss_by_patient.value
    mine = fitted.check.rules[0]
    assert mine.flagged > 20
    assert mine.flagged_positive / mine.flagged > 0.6
    for curve in fitted.check.curves:
        assert curve.area.value is not None
        assert curve.area_oracle <= curve.area.value < curve.area_random
        assert curve.risk[-1].value == pytest.approx(curve.area_random)


def test_the_words_fit_the_terminal_and_never_say_normal(fitted: RuleOut) -> None:
    text = printed(fitted, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "the mean share of films ruled out is at" in text
    assert "misses of the labels" in text
    for words in (text, markdown(fitted)):
        assert "normal" not in words.lower()


def test_tables_that_are_refused(corpus: Path, tmp_path: Path) -> None:
    table, labels = corpus / "scores.csv", corpus / "labels.csv"
    with pytest.raises(DatasetError, match="needs 299 independent positives; there are 1"):
        rule_out_table(table, labels, tmp_path / "few", request(RuleRequest(miss=0.01)))
    assert not (tmp_path / "few").exists()  # nothing was looked at
    with pytest.raises(UsageError, match="a bound by patient needs the patient of each film"):
        rule_out_table(table, corpus / "nobody.csv", tmp_path / "x", request(RuleRequest()))
    by_film = RuleRequest(miss=0.1, unit=MissUnit.FILM)
    assert rule_out_table(table, corpus / "nobody.csv", tmp_path / "x", request(by_film)).rules
    (corpus / "seen.csv").write_text("image_id\n00003.png\n")
    leaky = request(RuleRequest(miss=0.1), trained_on=corpus / "seen.csv")
    with pytest.raises(LeakError):
        rule_out_table(table, labels, tmp_path / "y", leaky)


EASY = RuleRequest(miss=0.9, confidence=0.6)
"""A bound that the few patients of a drawn run can give."""


@pytest.fixture(scope="module")
def ruled(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("ruled")
    shutil.copytree(toy / "run", root / "run")
    run = RunFolder(root / "run")
    # so few films give no threshold for this target, so that no film is called
    none = CalibrationRequest(target=Target.SPECIFICITY, goal=0.99)
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), none)
    rule_out_run(run, request(EASY))
    return run


def test_a_run_s_rule_is_bound_to_its_calibration(ruled: RunFolder) -> None:
    rule = read_sealed(RuleOut, ruled.rule_out)
    calibration = json.loads(ruled.calibration.read_text())
    assert rule.bond == calibration["bond"]
    assert rule.fitted_on.name.startswith("calibrate of")
    assert rule.check is not None
    assert rule.check.split.name.startswith("test of")
    assert rule.check.look == 2  # after that of the evaluation
    with pytest.raises(DatasetError, match="needs 149 independent positives"):
        rule_out_run(ruled, request(RuleRequest()))
    assert read_sealed(RuleOut, ruled.rule_out) == rule
