"""`hilum evaluate --label-noise`: numbers, absence, notes and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hilum import evaluate
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import UsageError
from hilum.report.evaluation.sentences import terminal_summary
from hilum.report.evaluation.table import markdown

HEAD = "finding,sensitivity,positives,specificity,negatives\n"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two findings of 400 patients with two films each; a third of positives lost by the labels."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(3)
    truth = rng.random((800, 2)) < 0.3
    labels = np.where(truth, rng.random((800, 2)) < 0.66, rng.random((800, 2)) >= 0.97)
    scores = 1 / (1 + np.exp(1 - 2.0 * truth - rng.normal(size=(800, 2))))
    films = [f"{row:04d}.png" for row in range(800)]
    names = ["Mass", "Nodule"]
    frame = pd.DataFrame(labels.astype(int), columns=names)
    frame.insert(0, "image_id", films)
    frame["patient_id"] = np.arange(800) // 2
    frame.to_csv(folder / "labels.csv", index=False)
    frame = pd.DataFrame(scores, columns=names)
    frame.insert(0, "image_id", films)
    frame.to_csv(folder / "scores.csv", index=False)
    rows = "Mass,0.66,300,0.97,900\nMass|Nodule,0.7,300,0.95,900\nEdema,0.5,90,0.9,90\n"
    (folder / "errors.csv").write_text(HEAD + rows, "utf-8")
    return folder


def measured(corpus: Path, out: str, errors: Path | str | None) -> Evaluation:
    table, labels = corpus / "scores.csv", corpus / "labels.csv"
    return evaluate(table, labels, corpus / out, label_noise=errors, resamples=100)


@pytest.fixture(scope="module")
def found(corpus: Path) -> Evaluation:
    return measured(corpus, "out", corpus / "errors.csv")


def test_numbers_are_nearer_to_the_truth(found: Evaluation) -> None:
    assert list(found.label_noise) == ["Mass", "Mass or Nodule"]  # Edema is not evaluated
    mass = found.label_noise["Mass"]
    assert mass.prevalence.low is not None
    assert mass.prevalence.high is not None
    assert mass.prevalence.low < 0.3 < mass.prevalence.high
    area = found.findings["Mass"].auroc.value
    assert mass.auroc.against_labels.value == pytest.approx(area)
    assert (mass.auroc.if_independent.value or 0) > (area or 0) + 0.02
    point = mass.operating_points["f1"]
    own = found.findings["Mass"].operating_points["f1"]
    assert point.sensitivity.against_labels.value == pytest.approx(own.sensitivity.value)
    assert point.specificity.against_labels.value == pytest.approx(own.specificity.value)
    for number in (mass.auroc, point.sensitivity, point.specificity):
        bounds, value = number.bounds, number.if_independent.value
        assert bounds.low is not None
        assert bounds.high is not None
        assert value is not None
        assert bounds.low <= (bounds.least or 0) <= value <= (bounds.most or 1) <= bounds.high
    either = found.label_noise["Mass or Nodule"]
    assert (either.labeled_positive.value or 0) > (mass.labeled_positive.value or 1)


def test_the_same_call_gives_the_same_numbers(corpus: Path, found: Evaluation) -> None:
    again = measured(corpus, "again", corpus / "errors.csv")
    assert again.label_noise == found.label_noise


def test_it_is_written_and_printed(corpus: Path, found: Evaluation) -> None:
    assert "label_noise" in json.loads((corpus / "out/evaluation.json").read_text("utf-8"))
    text = markdown(found)
    assert "Against the truth, where labels err" in text
    assert "300 independent positive cases" in text
    assert "Mass or Nodule: AUROC against labels" in " ".join(terminal_summary(found, 80).split())
    page = (corpus / "out/evaluation.html").read_text("utf-8")
    assert 'id="noise"' in page


def test_without_a_table_nothing_changes(corpus: Path, found: Evaluation) -> None:
    plain = measured(corpus, "plain", None)
    tree = json.loads((corpus / "plain/evaluation.json").read_text("utf-8"))
    assert "label_noise" not in tree
    assert 'id="noise"' not in (corpus / "plain/evaluation.html").read_text("utf-8")
    assert plain.findings == found.findings


def test_a_table_of_other_findings_is_refused(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(HEAD + "Edema,0.5,90,0.9,90\n", "utf-8")
    with pytest.raises(UsageError, match="must have a finding that is evaluated; it has Edema"):
        measured(corpus, "none", other)


def test_labels_that_are_explained_by_their_errors_give_bounds_of_nothing(
    corpus: Path, tmp_path: Path
) -> None:
    table = tmp_path / "wide.csv"
    table.write_text(HEAD + "Mass,0.9,300,0.6,900\n", "utf-8")
    one = measured(corpus, "wide", table).label_noise["Mass"]
    assert one.prevalence.value == 0.0
    assert one.auroc.if_independent.value is None
    assert "the labels' errors alone explain" in one.auroc.bounds.reason


def test_the_verb_takes_the_shipped_table(corpus: Path, tmp_path: Path, said: Any) -> None:
    words = [str(corpus / "scores.csv"), "--labels", str(corpus / "labels.csv"), "-o"]
    more = [str(tmp_path / "out"), "--label-noise", "nih", "--resamples", "100", "-q"]
    code, out, _ = said("evaluate", *words, *more)
    assert code == 0
    assert "Mass or Nodule" in out
    more[2] = "nobody.csv"
    code, out, err = said("evaluate", *words, *more)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "nobody.csv is not there" in err
