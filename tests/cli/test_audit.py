"""`hilum audit` from the command line: what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Hilum = Callable[..., subprocess.CompletedProcess[str]]
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ with the labels of 240 films of 120 patients, theirs.csv, and lists of films."""
    root = tmp_path_factory.mktemp("audit")
    rng = np.random.default_rng(0)
    rows, scores, names = [HEADER], ["Image Index,prob_Mass,Effusion"], []
    for patient in range(1, 121):
        for film in range(2):
            mass, effusion = (int(there) for there in rng.random(2) < 0.3)
            found = "|".join(["Mass"] * mass + ["Effusion"] * effusion) or "No Finding"
            name = f"{patient:08d}_{film:03d}.png"
            rows.append(f"{name},{found},{film},{patient},50,F,PA")
            drawn = 1 / (1 + np.exp(-rng.normal(2.0 * np.array([mass, effusion]) - 1.5, 1.0)))
            scores.append(f"{name},{drawn[0]:.6f},{drawn[1]:.6f}")
            names.append(name)
    (root / "data").mkdir()
    (root / "data" / "Data_Entry_2017_v2020.csv").write_text("\n".join(rows) + "\n")
    (root / "theirs.csv").write_text("\n".join([scores[0], *scores[121:]]) + "\n")
    (root / "bare.csv").write_text("\n".join(["film,0,1", *scores[121:]]) + "\n")
    (root / "clean.txt").write_text("\n".join(names[:120]) + "\n")
    (root / "leaking.txt").write_text("\n".join(names[::2]) + "\n")
    return root


def test_a_report_is_printed_and_written_and_failing_claims_are_no_error(
    place: Path, hilum: Hilum, tmp_path: Path
) -> None:
    table = ("audit", place / "theirs.csv", "--labels", place / "data", "--resamples", 100)
    done = hilum(*table, "--claim", "auroc=0.99, ece=0.00", "--claim", "f1=x", code=2)
    assert done.stderr == "hilum: claim 'f1=x' must give a number such as 0.844 or 84.4 %\n"
    claims = ("--claim", "auroc=0.99, ece=0.00", "--claim", "pneumonia auroc=0.7")
    listed = ("--trained-on", place / "clean.txt")
    done = hilum(*table, *claims, *listed, "-o", tmp_path / "out")
    assert done.stdout.endswith(f"{tmp_path / 'out' / 'audit.json'}\n")
    page = (tmp_path / "out" / "audit.md").read_text()
    assert done.stdout.startswith(page)
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert [claim["verdict"] for claim in found["claims"]] == [
        "outside the interval",
        "meaningless",
        "not computable",
    ]
    assert found["schema_version"] == 1
    assert "not a medical device" in found["notice"]
    assert found["leak"]["leaking_films"] == 0
    assert "0 of 120 evaluation films and 0 of 60 evaluation patients" in page


def test_training_patients_that_are_evaluated_are_flagged_with_their_share(
    place: Path, hilum: Hilum
) -> None:
    done = hilum(
        *("audit", place / "theirs.csv", "--labels", place / "data", "--resamples", 100),
        *("--claim", "auroc=0.9", "--trained-on", place / "leaking.txt", "--json"),
    )
    found = json.loads(done.stdout)
    assert found["claims"][0]["reasons"] == ["training patients are evaluated"]
    assert found["leak"]["certificate"].startswith(
        "100.0 % of the evaluation films (120 of 120) and 100.0 % of the evaluation patients"
    )
    assert found["leak"]["shared_films"] == 60


def test_columns_without_names_are_evaluated_once_they_are_named(place: Path, hilum: Hilum) -> None:
    table = ("audit", place / "bare.csv", "--labels", place / "data", "--resamples", 100)
    claim = ("--claim", "auroc=0.9", "--json")
    bare = json.loads(hilum(*table, *claim).stdout)
    assert bare["claims"][0]["verdict"] == "not computable"
    assert bare["remarks"][-1]["kind"] == "UNNAMED_COLUMNS"
    named = json.loads(hilum(*table, *claim, "--label-order", "Mass, effusion").stdout)
    assert named["findings"] == ["Effusion", "Mass"]
    assert named["claims"][0]["recomputed"]["value"] > 0.8
    done = hilum(*table, *claim, "--label-order", "alphabetic", code=2)
    assert "Did you mean 'alphabetical'?" in done.stderr
