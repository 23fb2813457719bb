"""Small inputs that once failed in the hands of users: each command gives what is right now.

The inputs lie beside a checkout, in `shared/cases`, a folder each, with a README that names the
command and what is right. Without them the tests skip; the tests beside this file, and those of
each room, rebuild the inputs by code.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
Said = Callable[..., tuple[int, str, str]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_dir(), reason="the cases that failed are not here"),
]

REFUSED = "reject VIEW_NOT_FRONTAL"
ROWS = {
    "01-uid-named-folder": {
        **dict.fromkeys(
            ("1.2.826.0.1.3680043.8.498.11", "1.2.826.0.1.3680043.8.498.12", "good.dcm"), "ok"
        )
    },
    "14-png16-of-14-bits": {"film.png": "warn RANGE_INFERRED", "same_8bit.png": "ok"},
    "15-png16-of-13-bits": {"film.png": "warn RANGE_INFERRED", "same_8bit.png": "ok"},
    "16-j2k-14-in-bits-stored-16": {"film.dcm": "warn BITS_MISMATCH"},
    "18-rgb16-of-12-bits": {"grey.png": "warn RANGE_INFERRED", "rgb.png": "warn RANGE_INFERRED"},
    "19-voi-lut-descriptor-16-bits": {"film.dcm": "warn VOI_LUT_INVALID"},
    "22-view-left-lateral": {
        **dict.fromkeys(("LAT_L.dcm", "LEFT_LATERAL.dcm", "LLAT.dcm", "L_LAT.dcm"), REFUSED),
        **{"AP_SUPINE.dcm": "ok", "PA_ERECT.dcm": "ok"},
    },
    "25-body-part-port-chest": {"0.dcm": "ok", "1.dcm": "ok", "2.dcm": "ok"},
    "27-own-results-below-the-films": {"film.png": "ok"},
    "29-list-windows-paths": {"film.png": "ok"},
    "30-list-blanks-around": {"film.png": "ok"},
    "39-two-pictures-no-frame-count": {"film.dcm": "reject MULTI_FRAME"},
    "41-no-samples-per-pixel": dict.fromkeys(("a.dcm", "b.dcm"), "warn HEADER_INCOMPLETE"),
    "43-j2k-syntax-native-pixels": {"film.dcm": "warn TRANSFER_SYNTAX_MISMATCH"},
    "44-age-999Y-shown-as-90": {"film.dcm": "warn AGE_UNKNOWN"},
}
"""Film to status and codes, of the cases whose command is `hilum predict`."""
SENTENCES = {
    "06-patient-float-leak": (2, "120 films are on both sides"),
    "08-no-patient-column-leak": (2, "(120 of 120) are training films by name"),
    "09-split-mixed-ids": (3, "error PATIENT_LEAK: patients must not cross splits: 120 patients"),
    "10-split-padded-ids": (3, "error PATIENT_LEAK: patients must not cross splits: 120 patients"),
    "11-exclude-with-paths": (0, "as requested: 60 of 240"),
    "13-exclude-bom-and-no-suffix": (0, "as requested: 60 of 240"),
    "28-nul-in-list": (2, "list.csv line 3 must be text; it has a zero byte"),
    "35-score-in-percent-or-blank": (2, "Are these percent? Divide by 100"),
    "36-two-tables-fit": (2, "labels.csv, labels_old.csv. Name one of them"),
    "37-tab-separated": (0, "films here: 0 of 240"),
    "45-nih-suffix-in-capitals": (3, "films here: 3 of 39"),
    "46-nih-films-as-jpg": (3, "films here: 3 of 39"),
    "47-nih-age-as-float": (3, "films here: 3 of 39"),
}
"""Exit code and a part of what is printed, of all other commands but those tested by themselves."""
NEVER = {
    "06-patient-float-leak": " 0 of 120 ",
    "08-no-patient-column-leak": " 0 of 120 ",
    "47-nih-age-as-float": "IMPOSSIBLE_AGE",
}
"""What must not be printed."""
ALONE = (
    *("03-truth-beside-pred", "34-score-just-above-one"),
    *("31-api-pil-or-tensor", "32-weights-under-another-key"),
)


def test_no_case_is_left_out() -> None:
    there = {folder.name for folder in CASES.iterdir() if folder.is_dir()}
    assert there == {*ROWS, *SENTENCES, *ALONE}


@pytest.fixture
def run(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, str, Path]]:
    """Run a case's own command on a copy of it: exit code, what was printed, where it wrote."""

    def call(case: str) -> tuple[int, str, Path]:
        shutil.copytree(CASES / case, tmp_path / case)
        monkeypatch.chdir(tmp_path)
        readme = (tmp_path / case / "README.md").read_text("utf-8")
        command = next(c for c in re.findall(r"`hilum ([^`]+)`", readme) if case in c)
        full = ("--full",) * command.startswith("check")
        code, out, err = said(*command.split(), *full)
        return code, f"{out}\n{err}", tmp_path / case / "_out"

    return call


@pytest.mark.parametrize("case", ROWS)
def test_each_film_has_the_right_row(run: Callable[..., tuple[int, str, Path]], case: str) -> None:
    code, _, out = run(case)
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]
    found = {Path(row["input"]).name: " ".join((row["status"], *row["codes"])) for row in rows}
    assert found == ROWS[case]
    assert len(rows) == len(found)
    assert code == (3 if any("reject" in row for row in found.values()) else 0)
    assert not any(row["age_years"] for row in rows if "AGE_UNKNOWN" in row["codes"])


@pytest.mark.parametrize("case", SENTENCES)
def test_each_command_says_what_is_right(
    run: Callable[..., tuple[int, str, Path]], case: str
) -> None:
    code, printed, _ = run(case)
    assert (code, SENTENCES[case][1] in printed) == (SENTENCES[case][0], True), printed
    assert case not in NEVER or NEVER[case] not in printed


@pytest.mark.parametrize("case", ["03-truth-beside-pred", "34-score-just-above-one"])
def test_scores_without_skill_have_none(
    run: Callable[..., tuple[int, str, Path]], case: str
) -> None:
    code, _, out = run(case)
    findings = json.loads((out / "evaluation.json").read_text("utf-8"))["findings"]
    assert code == 0
    assert [name for name, one in findings.items() if not 0.4 < one["auroc"]["value"] < 0.6] == []


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("31-api-pil-or-tensor", ["hilum.domain.errors UsageError a film must come from a file"]),
        ("32-weights-under-another-key", ["model ok", "model_state_dict ok"]),
    ],
)
def test_each_script_prints_what_is_right(tmp_path: Path, case: str, words: list[str]) -> None:
    shutil.copytree(CASES / case, tmp_path / case)
    done = subprocess.run(
        [sys.executable, "try.py"],
        cwd=tmp_path / case,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert [line.startswith(word) for line, word in zip(lines, words, strict=True)] == [True] * len(
        words
    ), done.stderr
