"""The loop learns what can be learnt, keeps the best epoch, and does the same thing twice."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.metrics import roc_auc_score
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.model import weights
from hilum.model.classifier import Classifier, classifier
from hilum.training.config import PhaseConfig, TrainingConfig
from hilum.training.fit import Films, Fitted, _rate, fit
from hilum.training.run import RunFolder

LABELS = LabelSet("two", ("Mass", "Edema"))
PHASES = (
    PhaseConfig(name="head", trains="head", epochs=1, rate=1e-2),
    PhaseConfig(name="all", trains="all", epochs=3, rate=5e-3),
)
CONFIG = TrainingConfig(
    name="small",
    preprocessing={"size": 32, "channels": 1, "mean": (0.5,), "std": (0.25,)},
    phases=PHASES,
    batch_size=16,
    precision="float32",
    threads=1,
)


def films(count: int, seed: int) -> Films:
    """A mass is a bright square, an edema a bright film; a tenth of the labels is unknown."""
    rng = np.random.default_rng(seed)
    states = rng.integers(0, 2, (count, 2)).astype(np.int8)
    rasters = rng.integers(0, 60, (count, 32, 32))
    rasters[:, 10:22, 10:22] += 120 * (states[:, 0] == 1)[:, None, None]
    rasters += 70 * (states[:, 1] == 1)[:, None, None]
    states[rng.random(states.shape) < 0.1] = -2
    return Films(rasters.astype(np.uint8), states)


TRAIN, TUNE = films(72, 0), films(40, 1)


def network(seed: int = 0) -> Classifier:
    return classifier("densenet121", LABELS, 1, {"growth_rate": 4}, seed)


def fitted(root: Path, config: TrainingConfig = CONFIG) -> SimpleNamespace:
    run, told = RunFolder(root), []
    done = fit(config, network(config.seed), (TRAIN, TUNE), run, lambda *step: told.append(step))
    return SimpleNamespace(run=run, told=told, done=done)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    return fitted(tmp_path_factory.mktemp("first"))


def scores(path: Path) -> np.ndarray:
    loaded = network()
    weights.load(loaded, path)
    loaded.eval()
    with torch.no_grad():
        images = torch.from_numpy(CONFIG.preprocessing.normalise(TUNE.rasters))
        return loaded(images).numpy()


@pytest.mark.slow
def test_it_learns_and_keeps_the_epoch_that_tune_chose(first: SimpleNamespace) -> None:
    done: Fitted = first.done
    epochs = first.run.epochs()
    areas = [line["tune_auroc"] for line in epochs]
    assert done.best_tune_auroc == max(areas) > 0.9
    assert done.best_epoch == 1 + areas.index(max(areas))
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    logits = scores(first.run.checkpoint("best"))
    known = TUNE.states >= 0
    by_sklearn = [
        roc_auc_score(TUNE.states[known[:, c], c], logits[known[:, c], c]) for c in range(2)
    ]
    assert np.mean(by_sklearn) == pytest.approx(done.best_tune_auroc, abs=1e-9)
    with safe_open(first.run.checkpoint("best"), "np") as file:
        assert json.loads(file.metadata()["hilum"])["epoch"] == str(done.best_epoch)


@pytest.mark.slow
def test_the_log_and_the_hashes_tell_what_happened(first: SimpleNamespace) -> None:
    epochs = first.run.epochs()
    assert [line["phase"] for line in epochs] == ["head", "all", "all", "all"]
    assert epochs[0]["trainable_tensors"] == 2 < epochs[1]["trainable_tensors"]
    assert all(line["tune_findings"] == 2 for line in epochs)
    hashes = first.done.backbone_sha256
    assert list(hashes) == ["start", "head", "all"]
    assert hashes["start"] == hashes["head"] != hashes["all"]
    # whole batches only: 72 films give 4 of 16
    assert first.told == [
        *(("head 1/1", step, 4) for step in range(1, 5)),
        *((f"all {n}/3", step, 4) for n in range(1, 4) for step in range(1, 5)),
    ]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_others(
    first: SimpleNamespace, tmp_path: Path
) -> None:
    torch.manual_seed(99)  # what the process drew before must not matter
    again = fitted(tmp_path / "again")
    for name in ("best", "last"):
        mine, theirs = (world.run.checkpoint(name) for world in (first, again))
        assert mine.read_bytes() == theirs.read_bytes()
    short = CONFIG.model_copy(update={"phases": PHASES[:1]})
    heads = [
        fitted(tmp_path / str(seed), short.model_copy(update={"seed": seed})).run for seed in (0, 1)
    ]
    assert heads[0].checkpoint("last").read_bytes() != heads[1].checkpoint("last").read_bytes()


@pytest.mark.slow
def test_the_average_of_the_weights_is_what_is_scored_and_kept(tmp_path: Path) -> None:
    changes = {"phases": PHASES[:1], "weights_average": 0.5}
    run = fitted(tmp_path, CONFIG.model_copy(update=changes)).run
    plain = fitted(tmp_path / "plain", CONFIG.model_copy(update={"phases": PHASES[:1]})).run
    last = [scores(world.checkpoint("last")) for world in (run, plain)]
    assert np.abs(last[0] - last[1]).max() > 1e-4
    assert run.epochs()[0]["train_loss"] == plain.epochs()[0]["train_loss"]


@pytest.mark.parametrize(("epochs", "steps"), [(1, 20), (3, 10), (5, 33)])
def test_the_rate_warms_up_and_falls_along_a_cosine_as_torch_s_own_does(
    epochs: int, steps: int
) -> None:
    phase = PhaseConfig(name="all", trains="all", epochs=epochs, rate=0.3)
    total = epochs * steps
    warm = total // 10
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=phase.rate)
    up = LinearLR(optimizer, start_factor=1 / warm, total_iters=warm - 1)
    down = CosineAnnealingLR(optimizer, T_max=total - warm)
    schedule = SequentialLR(optimizer, [up, down], milestones=[warm])
    for step in range(total):
        expected = optimizer.param_groups[0]["lr"]
        assert _rate(phase, step, steps) == pytest.approx(expected, rel=1e-6)
        optimizer.step()
        schedule.step()


@pytest.mark.slow
def test_the_optimiser_is_given_that_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []

    class Watched(torch.optim.AdamW):
        def step(self, closure: object = None) -> object:
            used.extend(group["lr"] for group in self.param_groups)
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    fitted(tmp_path, CONFIG.model_copy(update={"phases": PHASES[:1]}))
    assert used == [_rate(PHASES[0], step, 4) for step in range(4)]


def test_fewer_films_than_a_batch_are_refused(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"batch_size": 73})
    with pytest.raises(UsageError, match="at least one batch of 73 films; got 72"):
        fitted(tmp_path, config)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    wild = CONFIG.phases[1].model_copy(update={"rate": 1e30})
    with pytest.raises(UsageError, match=r"the loss must stay finite; it became .* rate"):
        fitted(tmp_path, CONFIG.model_copy(update={"phases": (wild,)}))
    assert not RunFolder(tmp_path).checkpoint("last").exists()


@pytest.mark.slow
def test_where_tune_cannot_choose_the_last_epoch_is_kept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    config = CONFIG.model_copy(update={"phases": PHASES[:1]})
    negative = Films(TUNE.rasters, np.zeros_like(TUNE.states))
    done = fit(config, network(), (TRAIN, negative), run, lambda *_: None)
    assert (done.best_epoch, done.best_tune_auroc) == (1, None)
    line = json.loads(run.log.read_text())
    assert (line["tune_auroc"], line["tune_findings"]) == (None, 0)
    assert math.isfinite(line["tune_loss"])
    assert run.checkpoint("best").read_bytes() == run.checkpoint("last").read_bytes()
