"""A run is one frozen value: whatever is misspelled or out of range is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from hilum.domain.errors import UsageError
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig, load_config, presets

PHASES = "phases: [{name: head, trains: {head: 0.1}, epochs: 1}]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(f"name: own\n{PHASES}\n")
    return path


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_under_its_own_name(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 1


def test_what_is_not_said_has_its_default(file: Path) -> None:
    config = load_config(str(file))
    assert (config.seed, config.labels.uncertain, config.model.backbone) == (0, None, "densenet121")


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("seed=7", lambda config: config.seed == 7),
        ("phases.0.epochs=3", lambda config: config.phases[0].epochs == 3),
        ("preprocessing.size=96", lambda config: config.preprocessing.size == 96),
        (
            "model.options.growth_rate=8",
            lambda config: config.model.options == {"growth_rate": 8},
        ),
        ("phases.0={name: a, trains: {all: 1}, epochs: 2}", lambda c: c.phases[0].epochs == 2),
        ("phases.0.trains.backbone=1e-4", lambda c: c.phases[0].trains["backbone"] == 1e-4),
        ("name=a=b", lambda config: config.name == "a=b"),
    ],
)
def test_any_field_can_be_set(file: Path, change: str, value: object) -> None:
    assert value(load_config(str(file), (change,)))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("seed: 1\nsed: 2", "own.yaml:4: sed: no such field. Did you mean 'seed'?"),
        (
            "loss:\n  name: bce\n  weigths: log",
            "own.yaml:5: loss.weigths: no such field. Did you mean 'loss.weights'?",
        ),
        ("optimizer: {name: sgd, lr: 2}", "own.yaml:3: optimizer.lr: no such field. There are "),
        ("threads: 1", "own.yaml:3: threads: no such field. Did you mean 'compute.threads'?"),
        ("\n\nbatch_size: one", "own.yaml:5: batch_size: Input should be a valid integer"),
        ("augment:\n  noise: 2", "own.yaml:4: augment.noise: Input should be less than 0.5"),
        ("seed: 1\nseed: 2", "own.yaml:4: seed: this key is in line 3 already"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line(file: Path, lines: str, message: str) -> None:
    file.write_text(f"name: own\n{PHASES}\n{lines}\n")
    with pytest.raises(UsageError) as caught:
        load_config(str(file))
    assert str(caught.value).startswith(f"{file.parent}/{message}")
    assert "\n" not in str(caught.value)


def test_what_a_change_replaced_stands_in_no_line(file: Path) -> None:
    file.write_text(f"name: own\n{PHASES}\nbatch_size: 4\n")
    with pytest.raises(UsageError, match=r"own\.yaml: batch_size: Input should be greater"):
        load_config(str(file), ("batch_size=1",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            (
                "phases.0.name=a",
                "phases=[{name: a, trains: {all: 1}, epochs: 1}, "
                "{name: a, trains: {head: 1}, epochs: 1}]",
            ),
            "each phase must have a name of its own; 'a' is there 2 times",
        ),
        (
            ("data.augment_on=device", "augment.clahe=0.5"),
            r"augment\.clahe must be 0 where data\.augment_on is device",
        ),
        (
            ("data.augment_on=device", "augment.jpeg=0.5"),
            r"augment\.jpeg must be 0 where data\.augment_on is device",
        ),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(
    file: Path, changes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(str(file), changes)
    load_config(str(file), changes[:1])


def test_of_two_changes_the_later_holds(file: Path) -> None:
    assert load_config(str(file), ("seed=1", "seed=2")).seed == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sed=7", r"own\.yaml: sed: no such field\. Did you mean 'seed'\?"),
        ("loss.gamma=2", r"loss\.gamma: no such field\. Did you mean 'loss\.focal_gamma'\?"),
        ("optimizer.lr=1", r"optimizer\.lr: no such field\. There are name, weight_decay, "),
        ("phases.0.epoch=2", r"phases\.0\.epoch: no .* Did you mean 'phases\.0\.epochs'\?"),
        ("precision=float16", r"precision: no such field\. Did you mean 'compute\.precision'\?"),
        ("split.trian=0.8", r"split\.trian: no such field\. Did you mean 'split\.train'\?"),
        ("seed=many", "seed: Input should be a valid integer"),
        ("phases.0.epochs=0", r"phases\.0\.epochs: Input should be greater"),
        ("phases.0.trains.head=0", r"phases\.0\.trains\.head: Input should be greater"),
        ("phases.0.trains={}", r"phases\.0\.trains: Dictionary should have at least 1 item"),
        ("phases=[]", "phases: Tuple should have at least 1 item"),
        ("batch_size=1", "batch_size: Input should be greater"),
        ("compute.precision=float8", r"compute\.precision: Input should be"),
        ("preprocessing.channels=1", "mean must have one value for each of the 1 channels"),
        ("split.train=0.9", r"own\.yaml: split fractions must add up to 1"),
        ("seed", "a change must read key=value"),
        ("seed=[1", "must be YAML; the value of seed"),
        ("phases.9.epochs=1", "must name an existing field, .* got 'phases.9.epochs'"),
        ("phases.last.epochs=1", "must name an existing field"),
        ("phases.9=1", "must name an existing field"),
        ("name.first=1", "must name an existing field"),
        ("name.first.second=1", "must name an existing field"),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_one_line(
    file: Path, change: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_config(str(file), (change,))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("demmo", r"no preset 'demmo', .* Did you mean 'demo'\?"),
        ("none.yaml", r"a configuration must be readable; none\.yaml: No such file"),
    ],
)
def test_a_configuration_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(name)


@pytest.mark.parametrize("text", ["[1, 2]", "name", "", "a: [", "a: b: c", "\tname: x"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match="a configuration must be") as caught:
        load_config(str(path))
    assert "\n" not in str(caught.value)


def test_the_same_configuration_has_the_same_hash_in_memory_and_on_disk(
    file: Path, tmp_path: Path
) -> None:
    config = load_config(str(file), ("optimizer.weight_decay=1e-7", "model.weights=a/b.pth"))
    again = ("model.weights=a/b.pth", "optimizer.weight_decay=0.0000001")
    assert config == load_config(str(file), again)
    RunFolder(tmp_path).write_config(config)
    tree = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert TrainingConfig.tree_sha256(tree) == config.sha256()
    assert TrainingConfig.model_validate(tree) == config
    assert config.sha256() != load_config(str(file)).sha256()
