"""CheXpert and PadChest at full real scale: the tables that torchxrayvision's wheel carries."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.datasets import open_dataset
from hilum.domain.findings import LabelState
from hilum.domain.policy import Blank, LabelPolicy, Uncertain, Views, conflicts, settle
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort

pytestmark = pytest.mark.slow

CHEXPERT = "chexpert_train.csv.gz"
PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"

# What makes a finding positive in PadChest's text, written a second time: no list is parsed here.
PATTERNS = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "pleural effusion|fissural effusion|hydropneumothorax|empyema",
    "Infiltration": "infiltrates|interstitial pattern|ground glass|miliary|alveolar pattern|"
    "consolidation|air bronchogram",
    "Mass": r"\bmass\b",
    "Nodule": r"(?:'\s*|multiple )nodules?\b",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Consolidation": "consolidation|air bronchogram",
    "Edema": "pulmonary edema",
    "Emphysema": r"'\s*emphysema",
    "Fibrosis": "pulmonary fibrosis|post radiotherapy|asbestosis",
    "Pleural_Thickening": "pleural thickening",
    "Hernia": "hernia",
    "Fracture": "fracture",
    "Scoliosis": "scoliosis",
    "Aortic elongation": "aortic elongation|aortic button",
    "Bronchiectasis": "bronchiectasis",
    "Granuloma": "granuloma",
    "Hemidiaphragm elevation": "hemidiaphragm elevation",
    "Hilar enlargement": r"hilar enlargement|pulmonary artery enlargement|'\s*adenopathy",
    "Air trapping": "air trapping",
    "Tuberculosis": "tuberculosis",
    "ILD": "interstitial pattern|ground glass|miliary",
    "No Finding": r"'\s*normal\s*'",
}


def wheel(name: str) -> Path:
    """A table of the wheel, found without importing the package: that would import torch."""
    spec = find_spec("torchxrayvision")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "data" / name if folders else None
    if path is None or not path.is_file():
        pytest.skip(f"torchxrayvision, whose wheel has {name}, is not installed")
    return path


@pytest.fixture(scope="module")
def chexpert() -> Cohort:
    return open_dataset(wheel(CHEXPERT))


@pytest.fixture(scope="module")
def chexpert_table() -> pd.DataFrame:
    return pd.read_csv(wheel(CHEXPERT))


@pytest.fixture(scope="module")
def padchest() -> Cohort:
    return open_dataset(wheel(PADCHEST))


@pytest.fixture(scope="module")
def padchest_table() -> pd.DataFrame:
    return pd.read_csv(wheel(PADCHEST), dtype=str, keep_default_na=False)


def test_chexpert_has_the_published_counts(chexpert: Cohort) -> None:
    assert chexpert.dataset == "chexpert"
    assert len(chexpert) == 223_414
    assert len(set(chexpert.patients())) == 64_540
    assert len({record.study_id for record in chexpert.records}) == 187_641
    views = Counter(record.view for record in chexpert.records)
    assert views == {
        ViewPosition.AP: 161_590,
        ViewPosition.PA: 29_420,
        ViewPosition.FRONTAL: 17,
        ViewPosition.LL: 32_387,
    }
    assert sum(count for view, count in views.items() if view.frontal) == 191_027
    assert chexpert.notes == (
        f"labels are from {CHEXPERT}",
        "CheXpert: 'Pleural Effusion' is read as Effusion",
        "films whose age cannot be, taken as unknown: 3",
        "frontal films whose direction is neither AP nor PA, read as frontal: 17",
        "films here: 0 of 223,414; the rest is known by label only",
        "there is no test table: no official test set",
    )


def test_chexpert_equals_pandas_row_by_row(chexpert: Cohort, chexpert_table: pd.DataFrame) -> None:
    expected = chexpert_table.rename(columns={"Pleural Effusion": "Effusion"})
    cells = expected[list(chexpert.labels)].fillna(LabelState.UNLABELLED).astype(np.int8)
    assert np.array_equal(chexpert.states(), cells.to_numpy())
    paths = "CheXpert-v1.0-small/" + pd.Series(chexpert.image_ids())
    assert paths.tolist() == expected["Path"].tolist()
    patients = expected["Path"].str.extract(r"/(patient\d+)/(study\d+)/")
    assert chexpert.patients().tolist() == patients[0].tolist()
    studies = [record.study_id for record in chexpert.records]
    assert studies == (patients[0] + "/" + patients[1]).tolist()
    assert [r.age_years or 0.0 for r in chexpert.records] == expected["Age"].tolist()
    sexes = [record.sex.name.title() for record in chexpert.records]
    assert sexes == expected["Sex"].tolist()
    lateral = [record.view is ViewPosition.LL for record in chexpert.records]
    assert lateral == (expected["Frontal/Lateral"] == "Lateral").tolist()


def test_chexpert_s_no_finding_and_support_devices_are_no_conflict(chexpert: Cohort) -> None:
    states, labels = chexpert.states(), chexpert.labels
    both = states[:, labels.columns(["No Finding", "Support Devices"])] == LabelState.POSITIVE
    assert int(both.all(axis=1).sum()) == 8_808
    assert not any(conflicts(record, labels) for record in chexpert.records)


@pytest.mark.parametrize(
    ("uncertain", "counted"),
    [
        (Uncertain.IGNORE, {1: (1.0,)}),
        (Uncertain.POSITIVE, {1: (1.0, -1.0)}),
        (Uncertain.NEGATIVE, {1: (1.0,), 0: (0.0, -1.0)}),
    ],
)
def test_chexpert_settles_to_the_counts_of_each_policy(
    chexpert: Cohort,
    chexpert_table: pd.DataFrame,
    uncertain: Uncertain,
    counted: dict[int, tuple[float, ...]],
) -> None:
    settled = settle(chexpert, LabelPolicy(uncertain=uncertain))
    assert len(settled) == 191_027
    assert "films left out as not frontal, policy views=frontal: 32,387" in settled.notes
    frontal = chexpert_table[chexpert_table["Frontal/Lateral"] == "Frontal"]
    cells = frontal.rename(columns={"Pleural Effusion": "Effusion"})[list(settled.labels)]
    states = settled.states()
    for state, values in counted.items():
        assert ((states == state).sum(axis=0) == cells.isin(values).sum().to_numpy()).all()


def test_chexpert_s_blanks_are_negative_only_when_said(chexpert: Cohort) -> None:
    few = chexpert.select(lambda record: record.patient_id < "patient02000")
    blanks = int((few.states() == LabelState.UNLABELLED).sum())
    kept = settle(few, LabelPolicy(uncertain=Uncertain.IGNORE, views=Views.ALL))
    assert int((kept.states() == LabelState.UNLABELLED).sum()) == blanks
    said = LabelPolicy(uncertain=Uncertain.IGNORE, views=Views.ALL, blank=Blank.NEGATIVE)
    settled = settle(few, said)
    assert f"unlabelled labels read as negative: {blanks:,}" in settled.notes
    assert LabelState.UNLABELLED not in settled.states()


def test_padchest_has_the_counts_of_its_table(padchest: Cohort) -> None:
    assert padchest.dataset == "padchest"
    assert len(padchest) == 160_861
    assert len(set(padchest.patients())) == 67_625
    assert len({record.study_id for record in padchest.records}) == 109_931
    assert Counter(record.view for record in padchest.records) == {
        ViewPosition.PA: 91_728,
        ViewPosition.AP: 14_346 + 4_559,
        ViewPosition.LL: 49_579,
        ViewPosition.OTHER: 630 + 11,
        ViewPosition.UNKNOWN: 8,
    }


def test_padchest_equals_pandas_finding_by_finding(
    padchest: Cohort, padchest_table: pd.DataFrame
) -> None:
    text = padchest_table["Labels"]
    silent = text.str.replace(
        r"exclude|unchanged|suboptimal study|^nan$|[\[\]', ]", "", regex=True
    ).eq("")
    states = padchest.states()
    assert int(silent.sum()) == 6_302
    assert (states[silent] == LabelState.UNLABELLED).all()
    assert tuple(PATTERNS) == padchest.labels.findings
    for column, (finding, pattern) in enumerate(PATTERNS.items()):
        said = text[~silent].str.contains(pattern, regex=True).to_numpy()
        assert np.array_equal(states[~silent, column], said.astype(np.int8)), finding
        assert said.any()


def test_padchest_equals_pandas_row_by_row(padchest: Cohort, padchest_table: pd.DataFrame) -> None:
    assert padchest.image_ids() == padchest_table["ImageID"].tolist()
    assert padchest.patients().tolist() == padchest_table["PatientID"].tolist()
    assert [r.study_id for r in padchest.records] == padchest_table["StudyID"].tolist()
    known = padchest_table["PatientSex_DICOM"].where(
        padchest_table["PatientSex_DICOM"].isin(["F", "M"]), "unknown"
    )
    assert [record.sex.value for record in padchest.records] == known.tolist()
    birth = pd.to_numeric(padchest_table["PatientBirth"], errors="coerce")
    years = padchest_table["StudyDate_DICOM"].str[:4].astype(int) - birth
    ages = [record.age_years or 0.0 for record in padchest.records]
    assert ages == years.fillna(0.0).tolist()


def test_padchest_s_notes_count_what_was_left_out(padchest: Cohort) -> None:
    notes = padchest.notes
    assert "films whose labels say nothing, unlabelled: 6,302" in notes
    assert "films 'unchanged' beside other labels, absent findings negative: 10,608" in notes
    assert "films without an age, or whose age is 0 or cannot be: 753" in notes
    (left,) = (note for note in notes if note.startswith("labels of no finding here"))
    assert left.startswith(
        "labels of no finding here, 124 left out: COPD signs (23,280), chronic changes (7,337)"
    )
