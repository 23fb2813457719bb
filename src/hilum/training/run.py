"""The run folder: everything a training run leaves, and the only way its stages talk.

::

    RUN/
      run.json          labels, hashes, seed, code, what was refused
      config.yaml       the resolved configuration
      split.csv         every film's split
      excluded.txt      films left out on request
      seen_patients.txt hashes of all patients that trained, tuned or calibrated it
      log.jsonl         one line an epoch
      curves.png
      checkpoints/      best.safetensors, last.safetensors
      model.onnx        the best weights, with the heatmaps in the graph
      calibration.json  calibrator and operating points, after `hilum calibrate`
      evaluation.json   the numbers on test, after `hilum evaluate`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.domain.seal import first_fault, read_sealed, write_sealed
from hilum.training.config import TrainingConfig

__all__ = ["RunFacts", "RunFolder"]


class RunFacts(BaseModel):
    """run.json: what the later stages must agree with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    dataset: str
    data: str
    """Folder of the dataset, as it was named; another may be named later if its records agree."""
    label_set: str
    labels: tuple[str, ...]
    records_sha256: str
    config_sha256: str
    split_name: str
    split_sha256: dict[str, str]
    """Split to the hash of its film names."""
    patients_sha256: dict[str, str] = {}
    """Split to the hash of its patients' names."""
    seen_sha256: str = ""
    """Hash of the patients seen, those of the starting weights included."""
    train_prevalence: dict[str, float]
    positive_weights: dict[str, float] = {}
    """What the loss multiplied each finding's positive films by."""
    best_epoch: int
    best_tune_auroc: float | None
    model_sha256: str
    """Of the exported network: calibrator and thresholds are bound to it."""
    parity: dict[str, float]
    """Largest difference of the exported graph from torch."""
    backbone_sha256: dict[str, str]
    """Hash of the backbone at the start and after each phase."""
    synthetic: bool = False
    """The films were drawn, not taken."""
    notes: tuple[str, ...] = ()
    provenance: dict[str, str] = {}


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run folder."""

    root: Path

    @property
    def model(self) -> Path:
        """The exported network."""
        return self.root / "model.onnx"

    @property
    def split(self) -> Path:
        """The split table."""
        return self.root / "split.csv"

    @property
    def excluded(self) -> Path:
        """Names of the films that were left out on request, one a line."""
        return self.root / "excluded.txt"

    @property
    def seen(self) -> Path:
        """Hashes of the patients that trained, tuned or calibrated the network."""
        return self.root / "seen_patients.txt"

    @property
    def ledger(self) -> Path:
        """One line for every look at test."""
        return self.root / "test_ledger.jsonl"

    @property
    def log(self) -> Path:
        """One JSON object an epoch."""
        return self.root / "log.jsonl"

    @property
    def calibration(self) -> Path:
        """The fitted calibrator and the frozen thresholds."""
        return self.root / "calibration.json"

    @property
    def evaluation(self) -> Path:
        """The evaluation on test."""
        return self.root / "evaluation.json"

    def checkpoint(self, name: str) -> Path:
        """`best` or `last` weights."""
        return self.root / "checkpoints" / f"{name}.safetensors"

    def write_config(self, config: TrainingConfig) -> None:
        """Write the resolved configuration."""
        self.root.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        (self.root / "config.yaml").write_text(text, "utf-8")

    def config(self) -> TrainingConfig:
        """Read the configuration.

        Raises:
            BundleError: when the folder has none, one of another version, or one that is not what
                the run was trained with.
        """
        path = self.root / "config.yaml"
        try:
            tree = yaml.safe_load(path.read_text("utf-8"))
            config = TrainingConfig.model_validate(tree)
        except OSError:
            raise BundleError(f"a run folder must have config.yaml; {self.root} has none") from None
        except ValidationError as error:
            raise BundleError(f"{path}: {first_fault(error)}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"config.yaml must be YAML; {path}: {reason}") from None
        if TrainingConfig.tree_sha256(tree) != self.facts().config_sha256:
            raise BundleError(
                f"config.yaml must be what the run was trained with; {path} was edited since. "
                "Restore it or train again"
            )
        return config

    def write_facts(self, facts: RunFacts) -> None:
        """Write run.json, sealed, last of all: a folder that has it is a finished run."""
        write_sealed(facts, self.root / "run.json")

    def facts(self) -> RunFacts:
        """Read run.json.

        Raises:
            BundleError: when training did not finish here, or the file was edited.
        """
        path = self.root / "run.json"
        if not path.exists():
            raise BundleError(
                f"a finished run must have run.json; {self.root} has none. Train it with "
                "`hilum train PRESET --data ROOT -o RUN`"
            )
        return read_sealed(RunFacts, path)

    def labels(self) -> LabelSet:
        """The findings of the network's outputs, in order."""
        facts = self.facts()
        return LabelSet(facts.label_set, facts.labels)

    def epochs(self) -> list[dict[str, object]]:
        """The lines of the log."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
