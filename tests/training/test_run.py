"""From a drawn corpus to a finished run folder, through every way in which it may be stopped."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.datasets import open_dataset
from hilum.domain.errors import BundleError, DatasetError, UsageError
from hilum.domain.record import Cohort, Split
from hilum.files.sealed import file_sha256
from hilum.inference.cohort import score_cohort
from hilum.inference.engine import Precision
from hilum.metrics.ranking import auroc
from hilum.model import weights
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.runs.facts import RunFacts
from hilum.runs.folder import Places, RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.splits import SplitTable, assign
from hilum.stages.calibrate import engine_of
from hilum.training.ranks import Ranks
from hilum.training.starting_weights import start_notes, starting_network
from hilum.training.train import train

CONFIG = TrainingConfig.model_validate(
    {
        "name": "tiny",
        "split": {"train": 0.5, "tune": 0.3, "calibrate": 0.1, "test": 0.1},
        "preprocessing": {"size": 32, "channels": 1, "mean": (0.5,), "std": (0.25,)},
        "model": {"backbone": "timm/test_efficientnet"},
        "phases": [
            {"name": "head", "trains": {"head": 1e-2}, "epochs": 1},
            {"name": "all", "trains": {"all": 1e-2}, "epochs": 1},
        ],
        "batch_size": 8,
        "weights_average": 0.5,
        "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    }
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    films = tmp_path_factory.mktemp("films")
    write_nih(PhantomCorpus(patients=24, seed=1, enrichment=6, size=128), films)
    return films


@pytest.fixture(scope="module")
def cohort(corpus: Path) -> Cohort:
    return open_dataset(corpus)


def splits(cohort: Cohort) -> SplitTable:
    return assign(cohort, CONFIG.split, CONFIG.seed)


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, corpus: Path, cohort: Cohort, traced_once: None
) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("run") / "run")
    train(CONFIG, cohort, splits(cohort), Places(run, corpus))
    return run


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_folder_has_all_that_the_later_stages_and_readers_need(
    trained: RunFolder, corpus: Path, cohort: Cohort
) -> None:
    assert {path.relative_to(trained.root).as_posix() for path in trained.root.rglob("*.*")} == {
        *("run.json", "config.yaml", "environment.json", "split.csv", "seen_patients.txt"),
        *("prevalence.csv", "weights.csv", "log.jsonl", "learning_rates.csv", "curves.png"),
        *("model.onnx", "checkpoints/best.safetensors", "checkpoints/last.safetensors", ".lock"),
    }
    network, films, origin = trained.facts().network, trained.films(), trained.trained()
    assert trained.config() == CONFIG
    assert (network.name, network.preprocessing) == (CONFIG.name, CONFIG.preprocessing)
    assert origin.seed == CONFIG.seed
    assert (films.dataset, films.data) == (cohort.dataset, str(corpus))
    assert (films.policy, films.synthetic) == (CONFIG.labels, True)
    assert films.records_sha256 == cohort.sha256()
    assert network.model_sha256 == file_sha256(trained.model)
    assert max(network.parity.values()) < 1e-3
    assert [record.phase for record in origin.phases] == ["head", "all"]
    assert origin.chosen_by == "auroc"
    line = trained.epochs()[origin.best_epoch - 1]
    assert origin.best_tune == origin.best_tune_auroc == line["tune_auroc"]
    negative, positive = origin.state_weights["Effusion"]
    prevalence = network.train_prevalence["Effusion"]
    assert positive / negative == pytest.approx((1 - prevalence) / prevalence, rel=1e-5)
    environment = json.loads((trained.root / "environment.json").read_text())
    assert (environment["device"], environment["precision"]) == ("cpu", "float32")
    with (trained.root / "prevalence.csv").open(newline="") as file:
        rows = {(row["finding"], row["split"]): row for row in csv.DictReader(file)}
    assert float(rows["Effusion", "train"]["prevalence"]) == pytest.approx(prevalence, abs=1e-6)
    assert {split for _, split in rows} == {"train", "tune"}  # calibrate and test are not read


@pytest.mark.slow
def test_what_is_exported_is_what_tune_chose(trained: RunFolder, cohort: Cohort) -> None:
    """The whole way round: the exported network on the tune films has the log's AUROC."""
    tune = splits(cohort).of(cohort, Split.TUNE)
    scored = score_cohort(engine_of(trained, Precision.F32), tune)
    states, logits = scored.cohort.states(), scored.logits.values.astype(np.float64)
    areas = [auroc(states[:, c] == 1, logits[:, c]) for c in range(states.shape[1])]
    known = [area for area in areas if area is not None]
    assert np.mean(known) == pytest.approx(trained.trained().best_tune_auroc, abs=1e-6)


@pytest.mark.slow
def test_a_run_killed_outside_the_loop_goes_on_too(
    trained: RunFolder,
    corpus: Path,
    cohort: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = RunFolder(tmp_path / "run")
    places = Places(run, corpus, tmp_path / "cache")

    for where in ("films_of", "write_environment", "draw_curves", "export_onnx", "RunFacts"):
        with monkeypatch.context() as patch:
            patch.setattr(f"hilum.training.train.{where}", stop)
            with pytest.raises(KeyboardInterrupt):
                train(CONFIG, cohort, splits(cohort), places)
        assert not run.finished
        if where == "films_of":
            assert [path.name for path in run.root.iterdir()] == [".lock"]
            run.refuse_used(resume=False)
            continue
        with pytest.raises(UsageError, match="holds one that was stopped"):
            run.refuse_used(resume=False)
        run.refuse_used(resume=True)
    assert run.state.exists()
    train(CONFIG, cohort, splits(cohort), places)
    assert not run.state.exists()
    for name in ("best", "last"):  # with a cache and without
        assert run.checkpoint(name).read_bytes() == trained.checkpoint(name).read_bytes()
    aside = {"network": {"provenance"}}
    ours, theirs = (world.facts().model_dump(exclude=aside) for world in (run, trained))
    assert ours == theirs


@pytest.mark.slow
def test_a_finished_run_and_another_run_s_leavings_are_refused(
    trained: RunFolder,
    corpus: Path,
    cohort: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match="holds a finished one"):
        train(CONFIG, cohort, splits(cohort), Places(trained, corpus))
    run = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("hilum.training.step.Learner.score", stop)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, cohort, splits(cohort), Places(run, corpus))
    config = (run.root / "config.yaml").read_bytes()
    other = CONFIG.model_copy(update={"seed": 7})
    with pytest.raises(UsageError, match="begun with another seed, split"):
        train(other, cohort, assign(cohort, other.split, other.seed), Places(run, corpus))
    fewer = cohort.select(lambda record: record.image_id != cohort.records[0].image_id)
    with pytest.raises(UsageError, match="begun with another records, split"):
        train(CONFIG, fewer, splits(fewer), Places(run, corpus))
    assert (run.root / "config.yaml").read_bytes() == config


def refused(changes: dict[str, Any], cohort: Cohort, root: Path, ranks: Ranks) -> str:
    config = TrainingConfig.model_validate({**CONFIG.model_dump(), **changes})
    with pytest.raises(UsageError) as caught:
        train(config, cohort, splits(cohort), Places(RunFolder(root / "run"), root), ranks=ranks)
    assert not (root / "run").exists()
    return str(caught.value)


def test_what_would_be_refused_after_hours_is_refused_at_once(
    cohort: Cohort, tmp_path: Path
) -> None:
    said = refused({}, cohort, tmp_path, Ranks(0, 3))
    assert said == (
        "batch_size counts the films of all processes and must be a multiple of their number; "
        "8 is none of 3"
    )


def test_films_that_are_not_there_are_a_matter_of_the_dataset(
    cohort: Cohort, tmp_path: Path
) -> None:
    gone = replace(cohort, records=tuple(replace(r, path=None) for r in cohort.records))
    with pytest.raises(DatasetError, match="the train split needs readable films"):
        train(CONFIG, gone, splits(gone), Places(RunFolder(tmp_path / "run"), tmp_path))


# the folder


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.refuse_used(resume=False)
    run.refuse_used(resume=True)
    (tmp_path / "thesis.tex").touch()
    for resume in (False, True):
        with pytest.raises(UsageError, match="is not a run and not empty"):
            run.refuse_used(resume)


def test_a_run_stopped_while_it_read_films_can_be_begun_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.excluded.write_text("a.png\n")
    (tmp_path / "tensorboard").mkdir()
    for resume in (False, True):
        run.refuse_used(resume)


@pytest.mark.slow
def test_facts_are_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: RunFolder
) -> None:
    facts = trained.facts()
    run = RunFolder(tmp_path)

    def half(_: RunFacts, path: Path) -> None:
        path.write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hilum.runs.folder.write_sealed", half)
        with pytest.raises(KeyboardInterrupt):
            run.write_facts(facts)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BundleError, match=r"must have run\.json"):
        run.facts()
    run.write_facts(facts)
    assert run.facts() == facts


# the first weights


@pytest.mark.slow
def test_a_run_may_start_from_an_earlier_one_s_backbone(trained: RunFolder, cohort: Cohort) -> None:
    model = {**CONFIG.model.model_dump(), "weights": trained.checkpoint("best")}
    config = TrainingConfig.model_validate({**CONFIG.model_dump(), "model": model})
    network = starting_network(config, cohort.labels)
    whole = starting_network(CONFIG, cohort.labels)
    assert weights.digest(network.head) == weights.digest(whole.head)
    weights.load(whole, trained.checkpoint("best"))
    assert weights.digest(network.backbone) == weights.digest(whole.backbone)
    assert start_notes(config) == ("started from the weights of run; its patients only train here",)


def test_gray_levels_that_the_first_weights_do_not_know_are_noted() -> None:
    model = {"backbone": "densenet121", "weights": "imagenet"}
    config = TrainingConfig.model_validate({**CONFIG.model_dump(), "model": model})
    assert start_notes(config)[1:] == (
        "films are normalized to mean 0.500 and deviation 0.250; the starting weights were "
        "trained with mean 0.449 and deviation 0.226",
    )
    imagenet = {
        "preprocessing": {"size": 32, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    }
    same = TrainingConfig.model_validate({**CONFIG.model_dump(), "model": model, **imagenet})
    assert len(start_notes(same)) == 1
