"""Weights remember whom they have seen, and are not tested on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.domain.errors import LeakError
from hilum.domain.findings import LabelState, nih14
from hilum.domain.record import Cohort, Record, Split
from hilum.runs.folder import RunFolder
from hilum.runs.recipe_parts import ModelConfig
from hilum.splits import Place, SeenPatients, SplitTable, known_splits
from hilum.training.starting_weights import inherited_notes, inherited_patients, refuse_contaminated


def cohort(*patients: str) -> Cohort:
    states = (LabelState.NEGATIVE,) * 14
    return Cohort("nih", nih14(), tuple(Record(f"{p}.png", p, states) for p in patients))


def splits(**uses: str) -> SplitTable:
    return SplitTable("mine", {f"{p}.png": Place(p, Split(use)) for p, use in uses.items()})


@pytest.fixture
def model(tmp_path: Path) -> ModelConfig:
    """Weights of a run that saw patients p1 and p2."""
    run = RunFolder(tmp_path / "earlier")
    (run.root / "checkpoints").mkdir(parents=True)
    SeenPatients.of("nih", ["p1", "p2"]).write(run.seen)
    return ModelConfig(weights=run.checkpoint("best"))


def test_patients_that_the_weights_have_seen_may_train_again(model: ModelConfig) -> None:
    mine = cohort("p1", "p3", "p4", "p5")
    refuse_contaminated(model, mine, splits(p1="train", p3="tune", p4="calibrate", p5="test"))
    assert len(inherited_patients(model)) == 2


@pytest.mark.parametrize("use", ["tune", "calibrate", "test"])
def test_they_may_do_nothing_else(model: ModelConfig, use: str) -> None:
    with pytest.raises(LeakError, match=rf"50\.0 % of the {use} films \(1 of 2\)"):
        refuse_contaminated(model, cohort("p1", "p3"), splits(p1=use, p3=use))


def test_of_another_dataset_nobody_was_seen(model: ModelConfig) -> None:
    mine = Cohort("chexpert", nih14(), cohort("p1").records)
    refuse_contaminated(model, mine, splits(p1="test"))


def test_weights_without_a_past_are_marked(model: ModelConfig, tmp_path: Path) -> None:
    foreign = ModelConfig(weights=tmp_path / "densenet.pth")
    assert inherited_notes(foreign)[0].startswith("possibly contaminated")
    told = ModelConfig(weights=tmp_path / "densenet.pth", weights_trained_on="ImageNet")
    assert "trained on ImageNet" in inherited_notes(told)[0]
    assert "earlier" in inherited_notes(model)[0]
    assert inherited_notes(ModelConfig()) == ()


def test_weights_of_everyday_pictures_have_seen_no_patient() -> None:
    model = ModelConfig(weights="imagenet")
    assert "trained on ImageNet" in inherited_notes(model)[0]
    assert len(inherited_patients(model)) == 0
    refuse_contaminated(model, cohort("p1"), splits(p1="test"))


def test_weights_of_one_family_are_refused_the_other_familys_test_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official test list by name; the films themselves need not be here."""
    official = next(known for known in known_splits() if known.name == "NIH official test")
    monkeypatch.setattr("hilum.training.starting_weights.recognize", lambda _: official)
    random = ModelConfig(weights=tmp_path / "m.pth", weights_trained_on="nih-random")
    with pytest.raises(LeakError, match="20,383 of 25,596 films"):
        refuse_contaminated(random, cohort("p1"), splits(p1="test"))
