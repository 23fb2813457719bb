"""Every preset, made small: trained, calibrated and bundled, and its bundle predicts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilum import Bundle
from hilum.domain.errors import HilumError
from hilum.domain.findings import label_set, nih14
from hilum.domain.policy import Uncertain
from hilum.model.classifier import classifier
from hilum.phantom.chexpert import write_chexpert
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import load_config, presets
from hilum.runs.recipe_parts import Criterion, Weighting
from hilum.training import phases

Said = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    *("preprocessing.size=64", "batch_size=8", "compute.threads=1", "compute.precision=float32"),
    *("model.backbone=timm/test_resnet", "model.weights=null"),
    "model.options={zero_init_last: 0}",  # else a few steps at 1e-5 do not reach every tensor
    *("split.train=0.4", "split.tune=0.2", "split.calibrate=0.3", "split.test=0.1"),
)
"""What makes a recipe run in seconds; phases, rates, loss, policy and schedule stay its own."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same patients twice: `nih/` and `chexpert/`."""
    root = tmp_path_factory.mktemp("films")
    corpus = PhantomCorpus(patients=24, seed=1, enrichment=6, size=128)
    write_nih(corpus, root / "nih")
    write_chexpert(corpus, root / "chexpert")
    return root


def small(name: str) -> list[str]:
    config = load_config(name)
    changes = [*SMALL, *(f"phases.{n}.epochs=1" for n in range(len(config.phases)))]
    if config.model.head == "inherited":  # from weights, which a small run has not
        changes.append("model.head=fresh")
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once", "uncurved")
@pytest.mark.parametrize("name", presets())
def test_a_preset_ends_in_a_bundle_that_predicts(
    name: str, films: Path, tmp_path: Path, said: Said
) -> None:
    data = films / ("chexpert" if name.startswith("chexpert") else "nih")
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    for words in (
        ("train", name, "--data", data, "-o", run, *small(name)),
        ("calibrate", run),
        ("bundle", run, "-o", bundle),
    ):
        code, _, err = said(*words, "--quiet") if words[0] != "bundle" else said(*words)
        assert code == 0, err
    film = sorted(data.rglob("*.png" if data.name == "nih" else "*.jpg"))[0]
    predicted = Bundle.load(bundle).predict(film)

    preset, facts = load_config(name), RunFolder(run)
    findings = label_set(preset.labels.label_set) if preset.labels.label_set else nih14()
    assert facts.labels() == findings
    assert tuple(predicted.findings) == tuple(findings)
    assert all(0.0 <= one.probability <= 1.0 for one in predicted.findings.values())

    for phase, proved in zip(preset.phases, facts.trained().phases, strict=True):
        assert proved.phase == phase.name
        assert proved.head_before != proved.head_after
        frozen = set(phase.trains) == {"head"}
        assert (proved.backbone_before == proved.backbone_after) == frozen
    for part in {part for phase in preset.phases for part in phase.trains}:
        assert f",{part}," in (run / "learning_rates.csv").read_text()


# what the recipes say


def test_the_recipes_are_those_that_were_promised() -> None:
    chexnet = load_config("chexnet")
    assert (chexnet.preprocessing.size, chexnet.batch_size) == (224, 32)
    assert (chexnet.loss.name, chexnet.loss.weights) == ("bce", Weighting.NONE)
    assert [set(phase.trains) for phase in load_config("chexnet-frozen").phases] == [{"head"}]
    policies = {"ignore": Uncertain.IGNORE, "ones": Uncertain.POSITIVE, "zeros": Uncertain.NEGATIVE}
    for word, policy in policies.items():
        config = load_config(f"chexpert-u-{word}")
        assert (config.preprocessing.size, config.batch_size) == (320, 32)
        assert [(p.trains, p.epochs) for p in config.phases] == [({"all": 1e-4}, 10)]
        assert (config.loss.weights, config.loss.weights_max) == (Weighting.RATIO, 8)
        assert (config.labels.uncertain, config.labels.label_set) == (policy, "CheXpert-5")
    head, rest = load_config("two-phase").phases
    assert (set(head.trains), rest.trains) == ({"head"}, {"all": 1e-5})
    timm = load_config("timm-320")
    assert (timm.preprocessing.size, timm.batch_size, timm.phases[0].epochs) == (320, 32, 20)
    assert (timm.optimizer.name, timm.compute.precision) == ("adamw", "auto")
    assert timm.choice.patience > 0
    adam = ("chexnet", "chexnet-frozen", "chexpert-u-ones", "two-phase", "one-phase")
    assert {load_config(name).optimizer.name for name in adam} == {"adam"}
    by_area = (*adam, "timm-320", "recommended")
    assert {load_config(name).choice.by for name in by_area} == {Criterion.AUROC}


def test_the_twins_differ_in_their_phases_alone() -> None:
    two, one = load_config("two-phase"), load_config("one-phase")
    assert one.model_copy(update={"name": two.name, "phases": two.phases}) == two
    assert sum(phase.epochs for phase in one.phases) == sum(phase.epochs for phase in two.phases)
    assert one.phases[0].trains == {
        "head": two.phases[0].trains["head"],
        "backbone": two.phases[1].trains["all"],
    }


def test_the_policies_differ_in_the_policy_alone() -> None:
    ignore = load_config("chexpert-u-ignore")
    for word in ("ones", "zeros"):
        other = load_config(f"chexpert-u-{word}")
        labels = other.labels.model_copy(update={"uncertain": ignore.labels.uncertain})
        assert other.model_copy(update={"name": ignore.name, "labels": labels}) == ignore


@pytest.mark.parametrize("name", presets())
def test_foreign_weights_say_what_they_have_seen(name: str) -> None:
    model = load_config(name).model
    assert (model.weights is None) == (model.weights_trained_on is None)


def test_no_preset_mirrors_a_film() -> None:
    assert {load_config(name).augment.horizontal_flip for name in presets()} == {0.0}


def test_every_preset_is_told_in_the_table() -> None:
    page = (ROOT / "docs" / "how-to" / "train-a-recipe.md").read_text("utf-8")
    table = page.partition("## The presets")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", table, re.M)) == sorted(presets())


# what is refused


@pytest.mark.parametrize(
    ("trains", "message"),
    [
        ("{features.denseblok4: 1.0e-4}", "Did you mean"),
        ("{haed: 1.0e-3}", "Did you mean 'head'"),
    ],
)
def test_a_preset_with_a_wrong_layer_is_refused(trains: str, message: str) -> None:
    config = load_config("chexnet", (f"phases.0.trains={trains}", "model.options.growth_rate=4"))
    network = classifier(config.model.backbone, nih14(), 3, config.model.options, 0)
    with pytest.raises(HilumError, match=message):
        phases.begin(network, config.phases[0])


def test_a_phase_that_trains_nothing_is_refused() -> None:
    with pytest.raises(HilumError, match=r"phases\.0\.trains: Dictionary should have at least 1"):
        load_config("chexnet", ("phases.0.trains={}",))


def test_weights_are_those_of_the_right_state() -> None:
    """One positive in four: ratio weighs positives 3, inverse frequency both states alike."""
    from hilum.training.weighting import check_weights, state_weights

    y = np.array([[1.0], [0.0], [0.0], [0.0]], np.float32)
    loss = load_config("chexpert-u-ones").loss
    weights = state_weights(y, np.ones_like(y), loss)
    assert weights.tolist() == [[1.0, 3.0]]
    check_weights(label_set("CheXpert-5"), np.repeat(weights, 5, axis=0), loss)
    both = state_weights(y, np.ones_like(y), load_config("two-phase").loss)
    assert both[0].tolist() == pytest.approx([4 / 6, 2.0])
