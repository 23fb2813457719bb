"""The written folder is CheXpert-small's, and its uncertainty means something."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.datasets import open_dataset
from hilum.domain.findings import LabelState, label_set
from hilum.domain.policy import LabelPolicy, Uncertain, settle
from hilum.phantom.chexpert import mined_labels, read_labels, write_chexpert
from hilum.phantom.corpus import FilmPlan, Lesion, PhantomCorpus
from hilum.phantom.plan import SEVERITY

CORPUS = PhantomCorpus(14, seed=4, enrichment=4.0, size=64)
TOP = "CheXpert-v1.0-small"
HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
UNDRAWN = {"Enlarged Cardiomediastinum", "Pleural Other", "Fracture", "Support Devices"}
SAME = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Pneumothorax")
PLANS = PhantomCorpus(1500, seed=2).films()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chexpert(CORPUS, tmp_path_factory.mktemp("chexpert"))


def listing(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def film_of(plan: FilmPlan) -> str:
    split = "valid" if plan.patient_id in CORPUS.test_patients() else "train"
    patient = f"patient{int(plan.patient_id):05d}"
    return f"{split}/{patient}/study{plan.follow_up + 1}/view1_frontal.jpg"


def labels_of(plan: FilmPlan) -> dict[str, LabelState]:
    tested = plan.patient_id in CORPUS.test_patients()
    return read_labels(plan) if tested else mined_labels(plan, CORPUS.seed)


def showing(finding: str, share: float) -> FilmPlan:
    """A film with one finding, at a share of its range of severities."""
    mildest, most, _ = SEVERITY[finding]
    lesion = Lesion(finding, mildest + share * (most - mildest), 1, 0)
    return replace(PLANS[0], findings=(finding,), lesions=(lesion,))


def test_same_corpus_same_bytes(root: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    again = write_chexpert(CORPUS, tmp_path, lambda done, total: calls.append((done, total)))
    assert listing(again) == listing(root)
    total = len(CORPUS.films())
    assert calls == [(done, total) for done in range(1, total + 1)]


def test_the_tables_are_spelled_as_chexpert_small(root: Path) -> None:
    for split in ("train", "valid"):
        header, *rows = (root / TOP / f"{split}.csv").read_text("utf-8").splitlines()
        assert header == HEADER
        assert all(row.startswith(f"{TOP}/{split}/patient0") for row in rows)
        cells = {cell for row in rows for cell in row.split(",")[5:]}
        assert cells == {"1.0", "0.0", ""} | ({"-1.0"} if split == "train" else set())


def test_the_reader_reads_what_was_planned(root: Path) -> None:
    cohort = open_dataset(root)
    read = {record.image_id: record for record in cohort.records}
    assert (cohort.dataset, cohort.synthetic) == ("chexpert", True)
    assert read.keys() == {film_of(plan) for plan in CORPUS.films()}
    for plan in CORPUS.films():
        record = read[film_of(plan)]
        assert dict(zip(cohort.labels, record.states, strict=True)) == labels_of(plan)
        assert (record.sex, record.view) == (plan.sex, plan.view)
        assert record.age_years == plan.age_years
        assert record.patient_id == f"patient{int(plan.patient_id):05d}"
    assert {record.patient_id for record in cohort.records if record.path is None} == set()


def test_valid_is_the_test_set_its_patients_apart_and_none_uncertain(root: Path) -> None:
    cohort = open_dataset(root)
    valid = cohort.select(lambda record: record.image_id.startswith("valid/"))
    assert cohort.official_test == set(valid.image_ids())
    tested = {f"patient{int(number):05d}" for number in CORPUS.test_patients()}
    assert set(valid.patients()) == tested
    assert LabelState.UNCERTAIN not in valid.states()
    assert LabelState.UNCERTAIN in cohort.states()


@pytest.mark.parametrize("place", [TOP, f"{TOP}/train.csv"])
def test_the_films_are_synthetic_wherever_one_opens_them(root: Path, place: str) -> None:
    assert open_dataset(root / place).synthetic
    assert "not patients" in (root / TOP / "SYNTHETIC.txt").read_text("utf-8")


def test_films_are_gray_jpegs_of_what_was_drawn(root: Path) -> None:
    plan = CORPUS.films()[0]
    image = cv2.imread(str(root / TOP / film_of(plan)), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert (image.shape, image.dtype) == ((64, 64), np.uint8)
    assert np.abs(image / 255.0 - CORPUS.draw(plan).pixels).mean() < 0.01


def test_no_uncertainty_policy_loses_a_film(root: Path) -> None:
    """A film called `No Finding` and possibly something would contradict itself under U-Ones."""
    cohort = open_dataset(root)
    for policy in (Uncertain.IGNORE, Uncertain.POSITIVE, Uncertain.NEGATIVE):
        assert settle(cohort, LabelPolicy(uncertain=policy)).image_ids() == cohort.image_ids()


def test_marked_findings_are_certain_and_faint_ones_often_not() -> None:
    for finding in SAME:
        marked, faint = showing(finding, 0.9), showing(finding, 0.1)
        assert {mined_labels(marked, seed)[finding] for seed in range(40)} == {LabelState.POSITIVE}
        said = Counter(mined_labels(faint, seed)[finding] for seed in range(400))
        assert set(said) == {LabelState.POSITIVE, LabelState.UNCERTAIN}
        assert said[LabelState.UNCERTAIN] / 400 == pytest.approx(0.6, abs=0.1)


def test_absent_findings_are_denied_in_a_quarter_and_rarely_uncertain() -> None:
    absent = [p for p in PLANS if not p.findings]
    said = Counter(mined_labels(plan, 2)[name] for plan in absent for name in SAME)
    shares = {state: count / said.total() for state, count in said.items()}
    assert LabelState.POSITIVE not in shares
    assert shares[LabelState.NEGATIVE] == pytest.approx(0.25, abs=0.02)
    assert shares[LabelState.UNCERTAIN] == pytest.approx(0.01, abs=0.005)


def test_about_half_of_uncertain_labels_are_true_and_no_blank_one() -> None:
    drawn: dict[LabelState, list[bool]] = {state: [] for state in LabelState}
    for plan in PLANS:
        labels = mined_labels(plan, 2)
        for name in SAME:
            drawn[labels[name]].append(name in plan.findings)
    assert all(drawn[LabelState.POSITIVE])
    assert not any(drawn[LabelState.NEGATIVE] + drawn[LabelState.UNLABELLED])
    assert np.mean(drawn[LabelState.UNCERTAIN]) == pytest.approx(0.55, abs=0.1)


@pytest.mark.parametrize(
    ("finding", "positive"),
    [
        ("Consolidation", {"Consolidation", "Lung Opacity"}),
        ("Edema", {"Edema", "Lung Opacity"}),
        ("Infiltration", {"Lung Opacity"}),
        ("Pneumonia", {"Pneumonia", "Lung Opacity"}),
        ("Nodule", {"Lung Lesion", "Lung Opacity"}),
        ("Mass", {"Lung Lesion", "Lung Opacity"}),
        ("Atelectasis", {"Atelectasis", "Lung Opacity"}),
        ("Effusion", {"Effusion"}),
        ("Emphysema", set[str]()),
    ],
)
def test_what_a_drawn_finding_is_called(finding: str, positive: set[str]) -> None:
    plan = showing(finding, 0.9)
    for labels in (mined_labels(plan, 0), read_labels(plan)):
        assert {n for n, state in labels.items() if state is LabelState.POSITIVE} == positive
        assert {labels[name] for name in UNDRAWN} == {LabelState.UNLABELLED}
    assert tuple(read_labels(plan)) == label_set("CheXpert-14").findings
    assert read_labels(plan)["No Finding"] is LabelState.NEGATIVE


def test_no_finding_is_said_of_films_with_nothing_drawn_and_nothing_suspected() -> None:
    for plan in PLANS:
        labels = mined_labels(plan, 2)
        suspected = LabelState.UNCERTAIN in labels.values()
        nothing = not plan.findings and not suspected
        expected = LabelState.POSITIVE if nothing else LabelState.UNLABELLED
        assert labels["No Finding"] is expected
        assert read_labels(plan)["No Finding"] == (not plan.findings)


def test_sex_and_view_are_in_the_words_of_chexpert(root: Path) -> None:
    rows = (root / TOP / "train.csv").read_text("utf-8").splitlines()[1:]
    sexes, _, planes, views = zip(*(row.split(",")[1:5] for row in rows), strict=True)
    assert (set(sexes), set(planes)) == ({"Female", "Male"}, {"Frontal"})
    assert set(views) == {"AP", "PA"}
