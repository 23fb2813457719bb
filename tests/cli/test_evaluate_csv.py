"""`hilum evaluate PREDICTIONS.csv`: options reach the evaluation, mistakes are one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum.domain.documents.evaluation import Evaluation
from hilum.files.sealed import read_sealed

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(said: Said, undrawn: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Said:
    """Call `hilum evaluate` in this process, in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return lambda arguments: said("evaluate", *arguments.split())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A CheXpert of 20 patients with two films in each study, and predictions of it."""
    rng = np.random.default_rng(0)
    findings = "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema"
    findings += ",Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other"
    findings += ",Fracture,Support Devices"
    labels = [f"Path,Sex,Age,Frontal/Lateral,AP/PA,{findings}"]
    scores = ["Path,prob_Cardiomegaly,Cardiomegaly_pred,Pleural Effusion"]
    for patient in range(20):
        truth = rng.choice(["1.0", "0.0", "-1.0", ""], size=14, p=[0.4, 0.4, 0.1, 0.1])
        truth[0] = ""
        for view in ("view1_frontal,Frontal,AP", "view2_lateral,Lateral,"):
            name, plane = view.split(",", 1)
            film = f"CheXpert-v1.0-small/valid/patient6454{patient:02d}/study1/{name}.jpg"
            labels.append(f"{film},Male,60,{plane},{','.join(truth)}")
            one, other = rng.random(2).tolist()
            scores.append(f"/data/{film.split('/', 1)[1]},{one},1,{other}")
    (tmp_path / "valid.csv").write_text("\n".join(labels) + "\n")
    (tmp_path / "theirs.csv").write_text("\n".join(scores) + "\n")
    return tmp_path


BASE = "theirs.csv --labels valid.csv -o out --resamples 100 --uncertain ignore"


def test_options_reach_the_evaluation(said: Said, corpus: Path) -> None:
    code, out, err = said(
        f"{BASE} --level study --combine mean --views all --no-finding keep --full"
    )
    assert code == 0, err
    evaluation = read_sealed(Evaluation, corpus / "out" / "evaluation.json")
    assert (evaluation.level, evaluation.split.images) == ("study", 20)
    assert evaluation.policy["uncertain"] == "ignore"
    assert evaluation.policy["views"] == "all"
    assert evaluation.policy["no_finding"] == "keep"
    assert list(evaluation.findings) == ["Cardiomegaly", "Effusion"]
    assert "prob_Cardiomegaly as Cardiomegaly, Pleural Effusion as Effusion" in err
    assert out.endswith("out/evaluation.json\n")
    assert (corpus / "out" / "evaluation.md").read_text() in out


def test_json_is_what_a_program_reads(said: Said, corpus: Path) -> None:
    code, out, err = said(f"{BASE} --json --quiet --calibrate platt --prevalence Effusion=0.1")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((corpus / "out" / "evaluation.json").read_text())
    notes = json.loads(out)["notes"]
    assert any("calibrated here by platt" in note for note in notes)
    assert any("Effusion: prevalence" in note for note in notes)
    assert json.loads(out)["split"]["images"] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("theirs.csv --labels valid.csv -o out", "uncertain labels: what they count as must be"),
        ("theirs.csv -o out", "a predictions CSV is evaluated with --labels DATASET and -o OUT"),
        (f"{BASE} --level views", "--level must be one of film, study, patient; got 'views'"),
        (f"{BASE} --combine median", "--combine must be one of max, mean; got 'median'"),
        (f"{BASE} --blank positive", "--blank must be one of unlabelled, negative"),
        (f"{BASE} --label-set NIH", "--label-set must be one of NIH-14, "),
        (f"{BASE} --thresholds none.json", "cannot read thresholds none.json"),
        (
            f"{BASE} --trained-on none.txt",
            "training films must be a list, a split table, a run, or a bundle",
        ),
        (f"{BASE} --trained-on train.txt", "belong to training patients"),
        (f"{BASE} --top -1", "Invalid value for '--top'"),
        (
            "scores.npy --labels valid.csv -o out --uncertain ignore",
            "scores.npy must be UTF-8; it has the byte 0x93",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    said: Said, corpus: Path, arguments: str, message: str
) -> None:
    np.save(corpus / "scores.npy", np.full((4, 14), 0.5))
    film = "valid/patient645400/study1/view1_frontal.jpg"
    (corpus / "train.txt").write_text(f"{film}\n")
    code, out, err = said(arguments)
    assert (code, out) == (2, "")
    assert err.startswith("hilum: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (corpus / "out").exists()


def test_a_run_is_evaluated_into_the_folder_that_was_named(
    said: Said, toy: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(toy / "run", tmp_path / "run")
    code, _, err = said(f"{run} -o {tmp_path / 'out'} --resamples 100")
    assert code == 0, err
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"evaluation.json", "evaluation.md", "matched_predictions.csv", "cases.csv"} <= written


def test_a_run_takes_no_option_of_a_table(said: Said, toy: Path, tmp_path: Path) -> None:
    code, out, err = said(f"{toy / 'run'} -o {tmp_path / 'out'} --level study --views all")
    assert (code, out) == (2, "")
    assert err.startswith("hilum: --level, --views: for a predictions CSV only")
