"""Tables that the field would bring, beside the checkout: leaks, truth as scores, cells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parents[2] / ".." / "shared" / "cases"
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="the folder of cases is not beside the checkout"
)
Said = Callable[..., tuple[int, str, str]]


def evaluated(said: Said, case: str, out: Path, *options: str) -> tuple[int, str, str]:
    tables = (CASES / case / "predictions.csv", "--labels", CASES / case / "labels.csv")
    return said("evaluate", *tables, "-o", out, "-q", "--resamples", 100, *options)


@pytest.mark.parametrize("case", ["06-patient-float-leak", "08-no-patient-column-leak"])
def test_training_films_are_refused(said: Said, undrawn: None, tmp_path: Path, case: str) -> None:
    split = str(CASES / case / "split.csv")
    code, _, err = evaluated(said, case, tmp_path / "out", "--trained-on", split)
    assert code == 2
    assert "120 of 120" in err
    tables = (CASES / case / "predictions.csv", "--labels", CASES / case / "labels.csv")
    code, out, _ = said("audit", *tables, "--trained-on", split, "--resamples", 100)
    assert (code, "NO_LEAK_FOUND" in out, "- LEAK: " in out) == (0, False, True)


@pytest.mark.parametrize("case", ["09-split-mixed-ids", "10-split-padded-ids"])
def test_patients_in_two_splits_are_found(said: Said, case: str) -> None:
    code, out, _ = said("check", CASES / case, "--no-films", "-q")
    assert code == 3
    assert re.search("error PATIENT_LEAK: .*120 patients", out)


def test_the_truth_is_not_scored(said: Said, undrawn: None, tmp_path: Path) -> None:
    code, _, err = evaluated(said, "03-truth-beside-pred", tmp_path)
    assert code == 0, err
    findings = json.loads((tmp_path / "evaluation.json").read_text())["findings"]
    assert all(0.35 < finding["auroc"]["value"] < 0.65 for finding in findings.values())


def test_cells_are_called_what_they_are(said: Said, undrawn: None, tmp_path: Path) -> None:
    code, out, _ = evaluated(said, "34-score-just-above-one", tmp_path / "rounded")
    assert (code, "outside [0, 1] by rounding" in out) == (0, True)
    code, _, err = evaluated(said, "35-score-in-percent-or-blank", tmp_path / "percent")
    assert (code, "Are these percent?" in err) == (2, True)
