"""Two processes that torchrun starts train what one would, and end together."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.model import weights
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.training.data.films import Films
from hilum.training.fit import Job, fit
from hilum.training.ranks import ALONE, Ranks, joined
from hilum.training.resume import ResumeKey
from hilum.training.step import Learner

LABELS = LabelSet("two", ("Mass", "Edema"))
CONFIG = TrainingConfig.model_validate(
    {
        "name": "tiny",
        "preprocessing": {"size": 32, "channels": 1, "mean": (0.5,), "std": (0.25,)},
        "phases": [
            {"name": "head", "trains": {"head": 1e-2}, "epochs": 1},
            {"name": "all", "trains": {"all": 1e-2}, "epochs": 2},
        ],
        "batch_size": 8,
        "optimizer": {"name": "sgd", "accumulate": 2},
        "weights_average": 0.5,
        "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    }
)


class Extractor(nn.Module):
    """Two convolutions, with batch norm between them or without."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2, bias=not norm)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.second = nn.Conv2d(8, 12, 3, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(torch.relu(self.norm(self.first(images))))


def network(norm: bool) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(Features(Extractor(norm), 12), LABELS)


def films(count: int, seed: int) -> Films:
    """An odd number of labels is unknown, so that shares of a batch have unlike counts."""
    drawn = torch.Generator().manual_seed(seed)
    states = torch.randint(0, 2, (count, 2), generator=drawn)
    rasters = torch.randint(0, 90, (count, 32, 32), generator=drawn)
    rasters += 90 * (states[:, :1, None] == 1)
    rasters[:, :16] += 70 * (states[:, 1:, None] == 1)
    states[torch.rand(states.shape, generator=drawn) < 0.3] = -2
    names = tuple(f"{n}.png" for n in range(count))
    return Films(names, rasters.to(torch.uint8).numpy(), states.to(torch.int8).numpy())


def job(root: Path, config: TrainingConfig, ranks: Ranks) -> Job:
    tree = config.model_dump(mode="json")
    resume_key = ResumeKey(
        config=tree,
        labels=LABELS.findings,
        records="",
        split="",
        code="",
        processes=ranks.size,
    )
    return Job(config, films(45, 0), films(25, 1), RunFolder(root), resume_key)


def train(root: Path, ranks: Ranks, norm: bool = False, config: TrainingConfig = CONFIG) -> None:
    fit(job(root, config, ranks), network(norm), ranks)


class StoppedError(Exception):
    """What a crash of all ranks looks like from inside."""


def train_in_two_halves(root: Path, ranks: Ranks) -> None:
    learn, calls = Learner.learn, []

    def until(learner: Learner, *given: Any) -> object:
        calls.append(1)
        if len(calls) == 6:
            raise StoppedError
        return learn(learner, *given)

    Learner.learn = until
    compute = CONFIG.compute.model_copy(update={"checkpoint_minutes": 1e-9})
    config = CONFIG.model_copy(update={"compute": compute})
    try:
        train(root, ranks, norm=True, config=config)
    except StoppedError:
        Learner.learn = learn
        torch.distributed.barrier()
        train(root, ranks, norm=True, config=config)


def scenarios(root: Path) -> None:
    """What each of the two ranks does."""
    with joined() as ranks:
        train(root / "plain", ranks)
        train(root / "norm", ranks, norm=True)
        train_in_two_halves(root / "halves", ranks)


def failures(_: Path) -> None:
    """One rank finds a fault while the other waits for it."""
    with joined() as ranks:
        if not ranks.main:
            raise UsageError("the fault that rank 1 found")
        ranks.total(torch.zeros(1))


def torchrun(
    what: Callable[[Path], None], root: Path, prepared: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    script = (
        "import importlib.util, pathlib, sys, torch\n"
        f"spec = importlib.util.spec_from_file_location('test_ranks', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['test_ranks'] = module\n"
        "spec.loader.exec_module(module)\n"
        f"module.{what.__name__}(pathlib.Path({str(root)!r}))\n"
    )
    options = ["--nproc_per_node", "2", "--master_port", "0", "--rdzv_backend", "c10d"]
    command = ["torchrun", *options, "--rdzv_endpoint", "localhost:0", "--no-python"]
    command += ["python", "-c", script]
    return subprocess.run(
        command, env=prepared, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, prepared: dict[str, str]) -> Path:
    """The runs of two ranks."""
    root = tmp_path_factory.mktemp("two")
    done = torchrun(scenarios, root, prepared)
    assert done.returncode == 0, done.stderr
    return root


def log(root: Path) -> list[dict[str, Any]]:
    times = {"seconds", "films_per_s", "peak_memory_mb"}
    lines = RunFolder(root).epochs()
    return [{key: value for key, value in line.items() if key not in times} for line in lines]


@pytest.mark.slow
def test_without_batch_norm_two_ranks_train_the_weights_that_one_trains(
    two: Path, tmp_path: Path
) -> None:
    train(tmp_path, ALONE)
    mine, theirs = network(norm=False), network(norm=False)
    for name in ("best", "last"):
        weights.load(mine, RunFolder(tmp_path).checkpoint(name))
        weights.load(theirs, RunFolder(two / "plain").checkpoint(name))
        for (key, a), b in zip(
            mine.state_dict().items(), theirs.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=key)
    for a, b in zip(log(tmp_path), log(two / "plain"), strict=True):
        for key in ("train_loss", "tune_loss", "tune_auroc", "gradient_norm"):
            assert a[key] == pytest.approx(b[key], rel=1e-5), key


@pytest.mark.slow
def test_with_batch_norm_two_ranks_reach_the_same_metric(two: Path, tmp_path: Path) -> None:
    train(tmp_path, ALONE, norm=True)
    one, both = log(tmp_path)[-1], log(two / "norm")[-1]
    # each rank normalizes by the four films of its own share
    assert one["tune_auroc"] == pytest.approx(both["tune_auroc"], abs=0.1)
    assert one["tune_loss"] == pytest.approx(both["tune_loss"], rel=0.1)


@pytest.mark.slow
def test_two_ranks_go_on_to_the_same_bits(two: Path) -> None:
    for name in ("best", "last"):
        paths = [RunFolder(two / run).checkpoint(name) for run in ("norm", "halves")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert log(two / "norm") == log(two / "halves")
    rates = [RunFolder(two / run).rates.read_bytes() for run in ("norm", "halves")]
    assert rates[0] == rates[1]


@pytest.mark.slow
def test_an_error_on_one_rank_ends_both_and_is_said_once(
    tmp_path: Path, prepared: dict[str, str]
) -> None:
    done = torchrun(failures, tmp_path, prepared)
    assert done.returncode != 0
    assert done.stderr.count("hilum.domain.errors.UsageError: the fault that rank 1 found") == 1
    assert "Connection closed by peer" not in done.stderr


def test_a_process_alone_is_its_own_main() -> None:
    with joined() as ranks:
        assert ranks is ALONE
    assert json.dumps(ranks.agreed(0.5)) == "0.5"
    assert ranks.agreed(None) is None
    values = torch.ones(2)
    assert ranks.total(values) is values
    plain = network(norm=True)
    assert ranks.wrap(plain) is plain
    assert ranks.synchronized(plain) is plain
