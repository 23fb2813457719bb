"""The loop learns what can be learnt, keeps the best epoch, and does the same thing twice."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.metrics import average_precision_score, roc_auc_score

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.model import weights
from hilum.model.classifier import Classifier, classifier
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.runs.recipe_parts import AugmentConfig, PhaseConfig
from hilum.training import optimizer
from hilum.training.checkpoint import read_state
from hilum.training.data.batches import batches
from hilum.training.data.films import Films, targets
from hilum.training.device import Device
from hilum.training.fit import Fitted, Job, fit
from hilum.training.resume import ResumeKey
from hilum.training.step import Learner, StepResult
from hilum.training.stop import OVERFLOWS, refuse_overflows

LABELS = LabelSet("two", ("Mass", "Edema"))
PHASES = (
    PhaseConfig(name="head", trains={"head": 1e-2}, epochs=1),
    PhaseConfig(name="all", trains={"all": 5e-3}, epochs=3),
)
CONFIG = TrainingConfig.model_validate(
    {
        "name": "small",
        "preprocessing": {"size": 32, "channels": 1, "mean": (0.5,), "std": (0.25,)},
        "phases": PHASES,
        "batch_size": 16,
        "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    }
)
HEAD = CONFIG.model_copy(update={"phases": PHASES[:1]})


def films(count: int, seed: int) -> Films:
    """A mass is a bright square, an edema a bright film; a tenth of the labels is unknown."""
    rng = np.random.default_rng(seed)
    states = rng.integers(0, 2, (count, 2)).astype(np.int8)
    rasters = rng.integers(0, 60, (count, 32, 32))
    rasters[:, 10:22, 10:22] += 120 * (states[:, 0] == 1)[:, None, None]
    rasters += 70 * (states[:, 1] == 1)[:, None, None]
    states[rng.random(states.shape) < 0.1] = -2
    return Films(tuple(f"{n}.png" for n in range(count)), rasters.astype(np.uint8), states)


TRAIN, TUNE = films(72, 0), films(40, 1)


def network(seed: int = 0) -> Classifier:
    return classifier("timm/test_efficientnet", LABELS, 1, {}, seed)


def resume_key(config: TrainingConfig) -> ResumeKey:
    tree = config.model_dump(mode="json")
    return ResumeKey(
        config=tree, labels=LABELS.findings, records="", split="", code="", processes=1
    )


@dataclass
class Told:
    """Everything that the loop told."""

    steps: list[tuple[str, int, int]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def advance(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))

    def log(self, line: dict[str, Any]) -> None:
        self.lines.append(line)


@dataclass
class World:
    run: RunFolder
    told: Told
    done: Fitted


def fitted(root: Path, config: TrainingConfig = CONFIG, tune: Films = TUNE) -> World:
    run, told = RunFolder(root), Told()
    job = Job(config, TRAIN, tune, run, resume_key(config))
    return World(run, told, fit(job, network(config.seed), watch=told))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> World:
    return fitted(tmp_path_factory.mktemp("first"))


def scores(path: Path) -> np.ndarray:
    loaded = network()
    weights.load(loaded, path)
    loaded.eval()
    with torch.no_grad():
        images = torch.from_numpy(CONFIG.preprocessing.normalize(np.asarray(TUNE.rasters)))
        return loaded(images).numpy()


def test_it_learns_and_keeps_the_epoch_that_tune_chose(first: World) -> None:
    epochs = first.run.epochs()
    areas = [line["tune_auroc"] for line in epochs]
    assert first.done.value == max(areas) > 0.9
    assert first.done.epoch == 1 + areas.index(max(areas))
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    logits = scores(first.run.checkpoint("best"))
    known = TUNE.states >= 0
    pairs = [(TUNE.states[known[:, c], c], logits[known[:, c], c]) for c in range(2)]
    line = epochs[first.done.epoch - 1]
    by_sklearn = [roc_auc_score(*pair) for pair in pairs]
    assert np.mean(by_sklearn) == pytest.approx(line["tune_auroc"], abs=1e-9)
    assert list(line["tune_auroc_by_finding"].values()) == pytest.approx(by_sklearn, abs=1e-9)
    precisions = [average_precision_score(*pair) for pair in pairs]
    assert np.mean(precisions) == pytest.approx(line["tune_average_precision"], abs=1e-9)
    with safe_open(first.run.checkpoint("best"), "np") as file:
        assert json.loads(file.metadata()["hilum"])["epoch"] == str(first.done.epoch)


def test_the_log_and_the_proofs_tell_what_happened(first: World) -> None:
    epochs = first.run.epochs()
    assert first.told.lines == epochs
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4]
    assert [(line["phase"], line["phase_epoch"]) for line in epochs] == [
        ("head", 1),
        ("all", 1),
        ("all", 2),
        ("all", 3),
    ]
    assert epochs[0]["trained_tensors"] == 2 < epochs[1]["trained_tensors"]
    assert all(line["tune_findings"] == 2 for line in epochs)
    assert all(line["gradient_norm"] > 0 and line["films_per_s"] > 0 for line in epochs)
    last = {"peak": 5e-3, "last": 5e-3 * optimizer.factor(CONFIG.schedule, 11, 12)}
    assert epochs[-1]["rates"] == {"all": last}
    best = [line["epoch"] for line in epochs if line["best"]]
    assert best[-1] == first.done.epoch
    head, everything = first.done.phases
    assert head.backbone_before == head.backbone_after == everything.backbone_before
    assert everything.backbone_after != everything.backbone_before
    assert head.head_before != head.head_after == everything.head_before
    # whole batches only: 72 films give 4 of 16
    assert first.told.steps == [
        *(("head 1/1", 16 * step, 64) for step in range(1, 5)),
        *((f"all {n}/3", 16 * step, 64) for n in range(1, 4) for step in range(1, 5)),
    ]
    rates = first.run.rates.read_text().splitlines()
    assert len(rates) == 1 + 16
    assert rates[1].startswith("1,1,head,head,")


def test_the_same_seed_gives_the_same_bytes_and_another_others(
    first: World, tmp_path: Path
) -> None:
    torch.manual_seed(99)  # what the process drew before must not matter
    before = torch.random.get_rng_state()
    again = fitted(tmp_path / "again")
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in ("best", "last"):
        mine, theirs = (world.run.checkpoint(name) for world in (first, again))
        assert mine.read_bytes() == theirs.read_bytes()
    heads = [
        fitted(tmp_path / str(seed), HEAD.model_copy(update={"seed": seed})).run for seed in (0, 1)
    ]
    assert heads[0].checkpoint("last").read_bytes() != heads[1].checkpoint("last").read_bytes()


def by_hand(steps: int, size: int) -> Classifier:
    """The first epoch's weights, by a loop as torch's tutorials have it."""
    model = network()
    model.train()
    model.backbone.eval()
    adamw = torch.optim.AdamW(
        [
            {"params": [model.head.weight], "weight_decay": 1e-4},
            {"params": [model.head.bias], "weight_decay": 0.0},
        ]
    )
    y, mask = (torch.from_numpy(a) for a in targets(TRAIN.states, CONFIG.labels, 0))
    count = torch.stack([((1 - y) * mask).sum(0), (y * mask).sum(0)])
    weight = count[0] / count[1]
    shown = list(batches(TRAIN, CONFIG.model_copy(update={"batch_size": size}), 1))
    for step in range(steps):
        for group in adamw.param_groups:
            group["lr"] = 1e-2 * optimizer.factor(CONFIG.schedule, step, steps)
        films, rows = shown[step].rasters, shown[step].rows
        logits = model(torch.from_numpy(CONFIG.preprocessing.normalize(films)))
        terms = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, y[rows], pos_weight=weight, reduction="none"
        )
        loss = (terms * mask[rows]).sum() / mask[rows].sum()
        adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        adamw.step()
    return model


def test_an_epoch_is_that_of_a_plain_loop(tmp_path: Path) -> None:
    run = fitted(tmp_path, HEAD).run
    trained = network()
    weights.load(trained, run.checkpoint("last"))
    expected = by_hand(steps=4, size=16).state_dict()
    for name, tensor in trained.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)


def test_accumulated_batches_make_the_step_of_one_large_batch(tmp_path: Path) -> None:
    """Known labels are unevenly spread over the batches, and none weighs more for it."""
    small = CONFIG.optimizer.model_copy(update={"accumulate": 2})
    still = AugmentConfig.model_validate(dict.fromkeys(AugmentConfig.model_fields, 0.0))
    one = HEAD.model_copy(update={"augment": still})
    two = one.model_copy(update={"batch_size": 8, "optimizer": small})
    films = Films(TRAIN.names[:64], TRAIN.rasters[:64], TRAIN.states[:64])
    trained = [network(), network()]
    for number, (config, model) in enumerate(zip((one, two), trained, strict=True)):
        run = RunFolder(tmp_path / str(number))
        fit(Job(config, films, TUNE, run, resume_key(config)), model)
    lines = [RunFolder(tmp_path / str(number)).epochs()[0] for number in (0, 1)]
    assert lines[0]["train_loss"] == pytest.approx(lines[1]["train_loss"], rel=1e-5)
    assert lines[0]["gradient_norm"] == pytest.approx(lines[1]["gradient_norm"], rel=1e-5)
    torch.testing.assert_close(trained[0].head.weight, trained[1].head.weight)


def test_the_average_of_the_weights_is_what_is_scored_and_kept(tmp_path: Path) -> None:
    run = fitted(tmp_path, HEAD.model_copy(update={"weights_average": 0.5})).run
    plain = fitted(tmp_path / "plain", HEAD).run
    last = [scores(world.checkpoint("last")) for world in (run, plain)]
    assert np.abs(last[0] - last[1]).max() > 1e-4
    assert run.epochs()[0]["train_loss"] == plain.epochs()[0]["train_loss"]


def test_fewer_films_than_a_batch_are_refused(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"batch_size": 73})
    with pytest.raises(UsageError, match="at least one batch of 73 films; got 72"):
        fitted(tmp_path, config)


def test_where_tune_cannot_choose_the_last_epoch_is_kept(tmp_path: Path) -> None:
    negative = Films(TUNE.names, TUNE.rasters, np.zeros_like(TUNE.states))
    world = fitted(tmp_path, HEAD, negative)
    assert (world.done.epoch, world.done.value) == (1, None)
    (line,) = world.run.epochs()
    assert (line["tune_auroc"], line["tune_findings"], line["best"]) == (None, 0, False)
    assert math.isfinite(line["tune_loss"])
    best, last = (world.run.checkpoint(name) for name in ("best", "last"))
    assert best.read_bytes() == last.read_bytes()


def stopped(root: Path, what: str) -> tuple[str, dict[str, Any]]:
    """A run of which the third step goes astray: its error, and the batch that it wrote."""
    learn, calls = Learner.learn, []

    def astray(learner: Learner, *given: Any) -> Any:
        calls.append(1)
        outcome = learn(learner, *given)
        return replace(outcome, **{what: math.nan}) if len(calls) == 3 else outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "learn", astray)
        with pytest.raises(UsageError) as caught:
            fitted(root, HEAD)
    return str(caught.value), json.loads(RunFolder(root).stopped_batch.read_text())


def test_a_loss_that_is_no_number_stops_the_run_and_shows_its_batch(tmp_path: Path) -> None:
    said, told = stopped(tmp_path, "terms")
    assert re.fullmatch(
        r"loss and gradient must stay finite; in epoch 1, step 3 the loss became nan\. Its films "
        r"are in .*stopped_batch\.json, the weights from before it in .*last\.safetensors\. .*",
        said,
    )
    assert (told["epoch"], told["phase"], told["step"]) == (1, "head", 3)
    assert told["loss"] == "nan"
    assert told["rates"]["head"] > 0
    expected = list(batches(TRAIN, HEAD, 1))[2]
    assert [film["film"] for film in told["films"]] == [TRAIN.names[r] for r in expected.rows]
    assert told["films"][0]["change"] == asdict(expected.changes[0])
    words = {1: "positive", 0: "negative", -2: "unlabelled"}
    assert list(told["films"][0]["states"].values()) == [
        words[state] for state in TRAIN.states[expected.rows[0]].tolist()
    ]


def test_a_gradient_that_is_no_number_stops_it_too(tmp_path: Path) -> None:
    said, told = stopped(tmp_path, "norm")
    assert "the gradient norm became nan" in said
    assert told["gradient_norm"] == "nan"


def test_a_wild_rate_leaves_the_weights_from_before_the_step(tmp_path: Path) -> None:
    """For real: batch-norm statistics turn into NaN in the very pass that finds it."""
    phase = CONFIG.phases[1].model_copy(update={"trains": {"all": 1e30}})
    config = CONFIG.model_copy(update={"phases": (phase,)})
    with pytest.raises(UsageError, match=r"must stay finite; in epoch 1, step [23] the"):
        fitted(tmp_path, config)
    run = RunFolder(tmp_path)
    assert not run.checkpoint("best").exists()
    with safe_open(run.checkpoint("last"), "pt") as file:
        assert all(bool(file.get_tensor(name).isfinite().all()) for name in file.keys())  # noqa: SIM118


def test_float16_may_skip_some_steps_but_not_go_on_skipping(tmp_path: Path) -> None:
    assert not StepResult(1.0, 2.0, math.inf, stop=False).astray(scaled=True)
    assert StepResult(1.0, 2.0, math.inf, stop=False).astray(scaled=False)
    assert StepResult(math.inf, 2.0, 1.0, stop=False).astray(scaled=True)
    refuse_overflows(OVERFLOWS)
    with pytest.raises(UsageError, match="26 steps in a row overflowed"):
        refuse_overflows(OVERFLOWS + 1)


def in_float16(root: Path, scale: float, patch: pytest.MonkeyPatch) -> World:
    """A run in float16 on a CPU, which is slow there, and so never asked for."""
    patch.setattr(Device, "of", lambda config, _: Device("cpu", torch.float16, config))
    patch.setattr(Device, "scaler", lambda _: torch.amp.GradScaler("cpu", init_scale=scale))
    phase = PHASES[1].model_copy(update={"epochs": 1})
    return fitted(root, CONFIG.model_copy(update={"phases": (phase,)}))


@pytest.mark.slow
def test_how_the_loss_is_scaled_hardly_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        in_float16(tmp_path / str(scale), scale, monkeypatch).run.epochs()[0]
        for scale in (1.0, 2.0**12)
    ]
    for name in ("train_loss", "tune_loss", "gradient_norm"):
        assert lines[0][name] == pytest.approx(lines[1][name], rel=0.03), name
    assert lines[1]["skipped_steps"] == 0


@pytest.mark.slow
def test_steps_that_overflow_are_skipped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = in_float16(tmp_path, 2.0**19, monkeypatch)
    (line,) = world.run.epochs()
    assert 1 <= line["skipped_steps"] <= 3
    assert line["gradient_norm"] > 0
    state = read_state(world.run.state)
    assert state is not None
    assert state.facts["progress"]["scaler"]["scale"] == 2.0 ** (19 - line["skipped_steps"])
