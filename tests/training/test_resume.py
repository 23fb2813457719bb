"""A run that is stopped anywhere goes on to the same bits, and nobody can see that it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.training.checkpoint import read_state
from hilum.training.data.films import Films
from hilum.training.fit import Fitted, Job, fit
from hilum.training.resume import ResumeKey
from hilum.training.step import Learner

LABELS = LabelSet("two", ("Mass", "Edema"))
CONFIG = TrainingConfig.model_validate(
    {
        "name": "tiny",
        "preprocessing": {"size": 32, "channels": 1, "mean": (0.5,), "std": (0.25,)},
        "phases": [
            {"name": "head", "trains": {"head": 1e-2}, "epochs": 1},
            {"name": "all", "trains": {"backbone": 1e-2, "head": 1e-3}, "epochs": 3},
        ],
        "batch_size": 8,
        "optimizer": {"accumulate": 2},
        "schedule": {"name": "plateau", "patience": 0},
        "choice": {"patience": 2},
        "weights_average": 0.5,
        "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    }
)
OFTEN = {"compute": CONFIG.compute.model_copy(update={"checkpoint_minutes": 1e-9})}
SHORT = CONFIG.model_copy(
    update={"phases": tuple(p.model_copy(update={"epochs": 1}) for p in CONFIG.phases)}
)
TIMES = {"seconds", "films_per_s", "peak_memory_mb"}


class Extractor(nn.Module):
    """A convolution, batch norm and drop-out: all that a state must hold, in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 6, 3, stride=4)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.3)

    def forward(self, images: Tensor) -> Tensor:
        return self.drop(self.norm(self.convolution(images)))


def network(seed: int = 0) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(Features(Extractor(), 6), LABELS)


def films(count: int, seed: int) -> Films:
    rng = np.random.default_rng(seed)
    states = rng.integers(0, 2, (count, 2)).astype(np.int8)
    rasters = rng.integers(0, 90, (count, 32, 32)) + 90 * (states[:, :1, None] == 1)
    states[rng.random(states.shape) < 0.1] = -2
    return Films(tuple(f"{n}.png" for n in range(count)), rasters.astype(np.uint8), states)


TRAIN, TUNE = films(45, 0), films(24, 1)  # 5 batches: 3 steps, the last of one batch


def job(root: Path, config: TrainingConfig = CONFIG, **changes: Any) -> Job:
    tree = config.model_dump(mode="json")
    own = {"records": "r", "split": "s", "films": "f", "code": "c", "processes": 1, **changes}
    resume_key = ResumeKey(config=tree, labels=LABELS.findings, **own)
    return Job(config, TRAIN, TUNE, RunFolder(root), resume_key)


def train(root: Path, config: TrainingConfig = CONFIG, **changes: Any) -> Fitted:
    return fit(job(root, config, **changes), network())


def files_of(root: Path) -> dict[str, object]:
    """Every file's bytes; of the log all but the times, of the state all but the log's length."""
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        if path.name == "log.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[path.name] = [
                {key: value for key, value in line.items() if key not in TIMES} for line in lines
            ]
        elif path.name == "state.safetensors":
            state = read_state(path)
            assert state is not None
            progress = {k: v for k, v in state.facts["progress"].items() if k != "log_bytes"}
            tensors = {name: t.numpy().tobytes() for name, t in state.tensors.items()}
            found[path.name] = (state.facts["making"], progress, tensors)
        elif path.is_file():
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


class Killed(BaseException):
    """What a kill looks like from inside."""


class Killer:
    """Kills at the n-th event: each step, each write, before it and after."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = sys.maxsize
        self.events = 0
        patch.setattr(os, "fsync", self.around(lambda _: None))  # nobody cuts the power here
        for owner, name in ((Learner, "learn"), (os, "truncate"), (Path, "replace")):
            patch.setattr(owner, name, self.around(getattr(owner, name)))
        unlink = Path.unlink
        # a kill cleans nothing up
        patch.setattr(Path, "unlink", lambda *a, **k: None if self.left < 1 else unlink(*a, **k))

    def around(self, call: Callable[..., object]) -> Callable[..., object]:
        def watched(*given: object, **named: object) -> object:
            self.event()
            result = call(*given, **named)
            self.event()
            return result

        return watched

    def event(self) -> None:
        self.events += 1
        self.left -= 1
        if self.left < 1:
            raise Killed


@pytest.mark.parametrize("often", [False, True], ids=["after epochs", "after every step"])
@pytest.mark.parametrize("apart", [5, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.slow
def test_a_run_killed_at_any_step_or_write_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: bool, apart: int
) -> None:
    config = SHORT.model_copy(update=OFTEN if often else {})
    expected = train(tmp_path / "whole", config)
    files = files_of(tmp_path / "whole")
    killer = Killer(monkeypatch)
    train(tmp_path / "counted", config)
    assert files_of(tmp_path / "counted") == files
    for event in range(1, killer.events + 1, apart):
        root = tmp_path / str(event)
        killer.left = event
        with pytest.raises(Killed):
            train(root, config)
        killer.left = sys.maxsize
        assert train(root, config) == expected, f"killed at event {event}"
        assert files_of(root) == files, f"killed at event {event}"


def test_a_run_killed_in_every_step_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update=OFTEN)
    expected = train(tmp_path / "whole", config)
    learn, steps = Learner.learn, []

    def once(learner: Learner, *given: Any) -> object:
        if steps:
            raise Killed
        steps.append(1)
        return learn(learner, *given)

    monkeypatch.setattr(Learner, "learn", once)
    processes = 0
    while True:
        processes += 1
        steps.clear()
        try:
            done = train(tmp_path / "run", config)
        except Killed:
            continue
        break
    assert processes == 12  # 4 epochs of 3 steps
    assert done == expected
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


def asked_to_stop_in_the_fifth_step(root: str) -> None:
    """Runs in a process of its own: the signal is a real one, and ends whom it surprises."""
    learn, calls = Learner.learn, []
    before = signal.getsignal(signal.SIGTERM)

    def asked(learner: Learner, *given: Any) -> object:
        calls.append(1)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGTERM)
        return learn(learner, *given)

    Learner.learn = asked
    with pytest.raises(KeyboardInterrupt):
        train(Path(root))
    # the step in which it was asked hears it with the next
    assert len(calls) == 6
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_wish_to_stop_ends_after_the_step_with_the_state_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: dict[str, str]
) -> None:
    expected = train(tmp_path / "whole")
    called = "import runpy, sys, torch; runpy.run_path(sys.argv[1])[sys.argv[2]](sys.argv[3])"
    name = asked_to_stop_in_the_fifth_step.__name__
    given = [__file__, name, str(tmp_path / "run")]
    subprocess.run(["python", "-c", called, *given], env=prepared, check=True)
    learn, calls = Learner.learn, []
    monkeypatch.setattr(Learner, "learn", lambda *given: calls.append(1) or learn(*given))
    assert train(tmp_path / "run") == expected
    assert len(calls) == 6  # 12 steps, of which 6 were done
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"records": "others"}, "another records"),
        ({"split": "another"}, "another split"),
        ({"films": "others"}, "another films"),
        ({"labels": ("Edema", "Mass")}, "another labels"),
        ({"config": {"seed": 1, "optimizer.clip_norm": 2.0}}, "another optimizer.clip_norm, seed"),
        ({"config": {"phases.1.epochs": 4}}, r"another phases\.1\.epochs"),
    ],
)
def test_a_run_begun_otherwise_is_refused_and_left_alone(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    train(tmp_path)
    before = files_of(tmp_path)
    other = job(tmp_path)
    tree = json.loads(json.dumps(other.resume_key.config))
    for key, value in changes.pop("config", {}).items():
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place[int(parent) if isinstance(place, list) else parent]
        place[last] = value
    resume_key = other.resume_key.model_copy(update={"config": tree, **changes})
    with pytest.raises(UsageError, match=f"begun with {named}. Give what") as caught:
        fit(Job(other.config, TRAIN, TUNE, other.run, resume_key), network())
    assert "\n" not in str(caught.value)
    assert files_of(tmp_path) == before


def test_other_circumstances_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("hilum.training.step.Learner.score", stop)
        with pytest.raises(Killed):
            train(tmp_path)
    done = train(tmp_path, code="newer", processes=2)
    assert done.notes == (
        "from epoch 1 on trained by 2 processes, before that by 1",
        "from epoch 1 on trained by another version of hilum's code",
    )


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    state = RunFolder(tmp_path).state
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(BundleError, match="must be as hilum wrote it"):
        train(tmp_path)


SCRIPT = """
import importlib.util, os, pathlib, signal, sys, torch
spec = importlib.util.spec_from_file_location("test_resume", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["test_resume"] = module
spec.loader.exec_module(module)
learn = module.Learner.learn
for steps in map(int, sys.argv[3:]):
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        def learned(*given):
            done = learn(*given)
            os.write(tell, b".")
            return done
        module.Learner.learn = learned
        module.train(pathlib.Path(sys.argv[2]), module.LONG)
        os._exit(0)
    os.close(tell)
    for _ in range(steps):
        os.read(told, 1)
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
module.train(pathlib.Path(sys.argv[2]), module.LONG)
"""
"""Trains in a process of its own, kills it after so many steps, several times, and goes on."""
LONG = CONFIG.model_copy(
    update={
        **OFTEN,
        "phases": tuple(p.model_copy(update={"epochs": 10}) for p in CONFIG.phases),
        "choice": CONFIG.choice.model_copy(update={"patience": 0}),
    }
)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_kill_9_at_several_moments(tmp_path: Path, prepared: dict[str, str]) -> None:
    steps = ("1", "4", "7", "9", "11")  # of 60
    command = ["python", "-c", SCRIPT, __file__, str(tmp_path / "run"), *steps]
    done = subprocess.run(command, env=prepared, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["-9"] * len(steps), "it was too fast to be killed"
    train(tmp_path / "whole", LONG)
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")
