"""MLflow: a folder inside the run, or the tracking server that was named."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hilum.domain.errors import UsageError
from hilum.runs.recipe import TrainingConfig
from hilum.training.sinks import Sink, numbers

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["SINK", "start"]

EXPERIMENT = "hilum"
RESUMES = "mlflow_run.txt"
"""File of the run folder with the id of its MLflow run, so that a resumed one goes on in it."""
LONGEST = 500
"""Characters of a parameter that every MLflow server takes."""


class _Mlflow:
    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self.listens = True

    def line(self, line: Mapping[str, Any]) -> None:
        epoch = int(line["epoch"])
        for name, value in numbers(line):
            if name != "epoch" and self.listens:
                self._tell(name, value, epoch)

    def _tell(self, name: str, value: float, epoch: int) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_metric(self.run_id, name, value, step=epoch)
        except MlflowException as error:
            # hours of training outweigh a server's bad minute; RUN/log.jsonl has every line
            self.listens = False
            reason = " ".join(str(error).split())
            warnings.warn(f"MLflow takes no more lines: {reason}", RuntimeWarning, stacklevel=2)

    def close(self, finished: bool) -> None:
        if self.listens:
            self.client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")


def start(run: Path, config: TrainingConfig, place: str, done: int) -> _Mlflow:
    """An MLflow run with the configuration as its parameters.

    Args:
        run: the run folder.
        config: of the run.
        place: a tracking URI or a folder; empty for `RUN/mlruns`.
        done: where some epochs are, the run that this folder began is continued.

    Raises:
        UsageError: when MLflow cannot use the place.
    """
    uri = place or (run / "mlruns").resolve().as_uri()
    from mlflow.exceptions import MlflowException

    note = run / RESUMES
    try:
        client = _client(uri)
        if done and note.exists():
            run_id = note.read_text("utf-8").strip()
            client.update_run(run_id, status="RUNNING")
            return _Mlflow(client, run_id)
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        tags = {"config_sha256": config.sha256()}
        run_id = client.create_run(experiment, tags=tags, run_name=config.name).info.run_id
        for name, value in _parameters(config.model_dump(mode="json")):
            client.log_param(run_id, name, value[:LONGEST])
    except MlflowException as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"MLflow must be able to use {uri}: {reason}") from None
    note.write_text(f"{run_id}\n", "utf-8")
    return _Mlflow(client, run_id)


SINK: Sink = Sink("mlflow", start)


def _client(uri: str) -> MlflowClient:
    from mlflow.environment_variables import MLFLOW_ALLOW_FILE_STORE, MLFLOW_DISABLE_TELEMETRY
    from mlflow.telemetry import set_telemetry_client
    from mlflow.tracking import MlflowClient

    # MLflow reports on its users unless configured otherwise, and knows no other place to tell it
    MLFLOW_DISABLE_TELEMETRY.set(True)
    set_telemetry_client()
    if urlsplit(uri).scheme in ("", "file"):
        # its file format is frozen, not gone, and asks for this; a database needs more packages
        MLFLOW_ALLOW_FILE_STORE.set(True)
    return MlflowClient(tracking_uri=uri)


def _parameters(tree: object, above: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of the configuration: `phases.0.epochs` and its value."""
    inner = dict(enumerate(tree)) if isinstance(tree, list) else tree
    if isinstance(inner, Mapping) and inner:
        for name, value in inner.items():
            yield from _parameters(value, f"{above}.{name}" if above else str(name))
    else:
        yield above, str(tree)
