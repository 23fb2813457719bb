"""Each sink gives back, through its own maker's reader, the lines that it was told."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hilum.domain.errors import UsageError
from hilum.domain.members import members
from hilum.runs.recipe import TrainingConfig, load_config
from hilum.training import sinks

LINES = [
    {
        "epoch": epoch,
        "phase": "all",
        "train_loss": 0.5 / epoch,
        "tune_loss": 0.6 / epoch,
        "tune_auroc": None if epoch == 1 else 0.7,
        "rates": {"head": {"peak": 1e-3, "last": 1e-3 / epoch}},
        "best": True,
    }
    for epoch in (1, 2, 3, 4)
]
TOLD = {
    "train_loss": [(1, 0.5), (2, 0.25), (3, 0.5 / 3), (4, 0.125)],
    "tune_auroc": [(2, 0.7), (3, 0.7), (4, 0.7)],
    "rates/head/last": [(1, 1e-3), (2, 5e-4), (3, 1e-3 / 3), (4, 2.5e-4)],
}
"""What was not computed is not there, not even as 0."""


@pytest.fixture
def config() -> TrainingConfig:
    return load_config("demo", ("seed=7",))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """No sink may speak to anybody."""
    tried: list[object] = []

    def refuse(_: object, address: object) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield tried
    assert tried == []


def told(words: tuple[str, ...], run: Path, config: TrainingConfig, lines: list[Any]) -> None:
    with sinks.opened(words, run, config) as opened:
        for line in lines:
            opened.line(line)


def tensorboard(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def mlflow(folder: Path) -> tuple[Any, dict[str, list[tuple[int, float]]]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=folder.resolve().as_uri())
    (experiment,) = (e for e in client.search_experiments() if e.name == "hilum")
    (run,) = client.search_runs([experiment.experiment_id])
    history = {
        name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    return run, history


def test_tensorboard_gives_every_number_back(tmp_path: Path, config: TrainingConfig) -> None:
    told(("tensorboard",), tmp_path, config, LINES)
    read = tensorboard(tmp_path / "tensorboard")
    for name, points in TOLD.items():
        assert read[name] == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]
    assert "epoch" not in read
    assert "best" not in read


def test_tensorboard_hides_epochs_that_are_trained_again(
    tmp_path: Path, config: TrainingConfig
) -> None:
    told(("tensorboard",), tmp_path, config, [*LINES[:2], {**LINES[2], "train_loss": 9.0}])
    told(("tensorboard",), tmp_path, config, LINES[2:])
    read = tensorboard(tmp_path / "tensorboard")["train_loss"]
    assert read == [(step, pytest.approx(value)) for step, value in TOLD["train_loss"]]


def test_mlflow_gives_every_number_and_parameter_back(
    tmp_path: Path, config: TrainingConfig
) -> None:
    told(("mlflow",), tmp_path, config, LINES)
    run, read = mlflow(tmp_path / "mlruns")
    assert {name: read[name] for name in TOLD} == TOLD
    assert run.info.run_name == "demo"
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "7"
    assert run.data.params["phases.1.trains.all"] == "0.002"
    assert run.data.tags["config_sha256"] == config.sha256()


def test_a_resumed_run_goes_on_in_its_mlflow_run(tmp_path: Path, config: TrainingConfig) -> None:
    def stop() -> None:
        with sinks.opened(("mlflow",), tmp_path, config) as opened:
            opened.line(LINES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert mlflow(tmp_path / "mlruns")[0].info.status == "KILLED"
    told(("mlflow",), tmp_path, config, LINES[1:])
    run, read = mlflow(tmp_path / "mlruns")
    assert run.info.status == "FINISHED"
    assert read["train_loss"] == TOLD["train_loss"]


def test_a_place_may_be_named(tmp_path: Path, config: TrainingConfig) -> None:
    words = (f"mlflow={(tmp_path / 'ml').as_uri()}", f"tensorboard={tmp_path / 'tb'}")
    (tmp_path / "run").mkdir()
    told(words, tmp_path / "run", config, LINES)
    assert mlflow(tmp_path / "ml")[1]["train_loss"] == TOLD["train_loss"]
    assert len(tensorboard(tmp_path / "tb")["train_loss"]) == 4


def test_a_server_that_fails_does_not_end_the_training(
    tmp_path: Path, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    with sinks.opened(("mlflow",), tmp_path, config) as opened:
        opened.line(LINES[0])

        def fails(*_: object, **__: object) -> None:
            raise MlflowException("the server\nis down")

        monkeypatch.setattr(MlflowClient, "log_metric", fails)
        with pytest.warns(RuntimeWarning, match="MLflow takes no more lines: the server is down"):
            opened.line(LINES[1])
        opened.line(LINES[2])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tensorbord",), r"no sink 'tensorbord'; .* Did you mean 'tensorboard'\?"),
        (("mlflow", "mlflow=x"), "a sink is named once; mlflow stands 2 times"),
    ],
)
def test_what_is_no_sink_is_refused(
    tmp_path: Path, config: TrainingConfig, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        sinks.check(words)
    with pytest.raises(UsageError, match=message), sinks.opened(words, tmp_path, config):
        pass


def test_a_place_that_mlflow_cannot_use_is_refused(tmp_path: Path, config: TrainingConfig) -> None:
    message = "MLflow must be able to use nonsense://x: "
    with pytest.raises(UsageError, match=message) as caught:
        sinks.sink("mlflow").start(tmp_path, config, "nonsense://x", 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", members("hilum.training.sinks"))
def test_a_missing_package_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        sinks.check((name,))
    assert str(caught.value) == (
        f"the sink {name} needs {name}, which is not installed; install hilum[{name}]"
    )
    assert importlib.util.find_spec(name) is not None


def test_no_sink_is_a_sink_too(tmp_path: Path, config: TrainingConfig) -> None:
    told((), tmp_path, config, LINES)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_refused_leaves_nothing(tmp_path: Path, config: TrainingConfig) -> None:
    told(("tensorboard", "mlflow"), tmp_path, config, [])
    assert list(tmp_path.iterdir()) == []
