"""The run folder: all files of a training run, through which its stages communicate.

::

    RUN/
      run.json          network, origin, films: labels, hashes, seed, code; only in a finished run
      config.yaml       the resolved configuration
      environment.json  machine and packages
      split.csv         every film's split
      prevalence.csv    how many films are labeled how, by finding and split
      weights.csv       weight of each finding and state in the loss
      excluded.txt      films left out on request
      seen_patients.txt hashes of all patients that trained, tuned or calibrated it
      log.jsonl         one line per epoch
      learning_rates.csv
      curves.png
      checkpoints/      best.safetensors, last.safetensors
      checkpoints/state.safetensors   checkpoint of a stopped run; a finished run has none
      stopped_batch.json              films of the step in which the loss became NaN or infinite
      model.onnx        the best weights, with the heatmaps in the graph
      model-int8.onnx   the same with convolutions in 8 bits, after `hilum calibrate --precision`
      quantisation.json films that set the ranges of the 8-bit convolutions
      calibration.json  calibrator and operating points, after `hilum calibrate`
      evaluation.json   the numbers on test, after `hilum evaluate`
      rule_out.json     the rule-out rule and its check on test, after `hilum rule-out`
      index.html        what each stage wrote, with its headline numbers
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from hilum.domain.documents.rule_out import RULE_OUT
from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.files.atomic import atomic_file
from hilum.files.lock import LOCK
from hilum.files.sealed import first_fault, read_sealed, write_sealed
from hilum.runs.facts import BoundFilms, Quantization, RunFacts, Trained

if TYPE_CHECKING:
    from hilum.runs.recipe import TrainingConfig

__all__ = ["Places", "RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run folder."""

    root: Path

    @property
    def model(self) -> Path:
        """The exported network."""
        return self.root / "model.onnx"

    @property
    def quantized(self) -> Path:
        """The exported network with its convolutions in 8 bits."""
        return self.root / "model-int8.onnx"

    @property
    def split(self) -> Path:
        """The split table."""
        return self.root / "split.csv"

    @property
    def excluded(self) -> Path:
        """Names of the films that were left out on request, one per line."""
        return self.root / "excluded.txt"

    @property
    def seen(self) -> Path:
        """Hashes of the patients that trained, tuned or calibrated the network."""
        return self.root / "seen_patients.txt"

    @property
    def ledger(self) -> Path:
        """Ledger with one line for every look at test."""
        return self.root / "test_ledger.jsonl"

    @property
    def log(self) -> Path:
        """Log with one JSON object per epoch."""
        return self.root / "log.jsonl"

    @property
    def rates(self) -> Path:
        """Learning rate of every part at every step."""
        return self.root / "learning_rates.csv"

    @property
    def curves(self) -> Path:
        """Picture of the training curves."""
        return self.root / "curves.png"

    @property
    def state(self) -> Path:
        """Checkpoint that a stopped run resumes from."""
        return self.checkpoint("state")

    @property
    def stopped_batch(self) -> Path:
        """The films of the step in which the loss became NaN or infinite."""
        return self.root / "stopped_batch.json"

    @property
    def calibration(self) -> Path:
        """Fitted calibrator and frozen thresholds."""
        return self.root / "calibration.json"

    @property
    def evaluation(self) -> Path:
        """The evaluation on test."""
        return self.root / "evaluation.json"

    @property
    def bundles(self) -> Path:
        """Bundles that were made of the run, one JSON object per line."""
        return self.root / "bundles.jsonl"

    @property
    def rule_out(self) -> Path:
        """The rule-out rule and its check on test."""
        return self.root / RULE_OUT

    def checkpoint(self, name: str) -> Path:
        """Return the path of the `best` or `last` weights, or of the `state`."""
        return self.root / "checkpoints" / f"{name}.safetensors"

    @property
    def finished(self) -> bool:
        """Whether training or the import finished here."""
        return (self.root / "run.json").exists()

    def finished_with(self, config: TrainingConfig) -> bool:
        """Return whether training finished here with this configuration, for a requeued job.

        Raises:
            UsageError: for a run that finished with a different one.
        """
        try:
            theirs = self.trained().config_sha256
        except BundleError:  # not finished, damaged, or imported: to be refused as any used folder
            return False
        if theirs != config.sha256():
            raise UsageError(
                f"a run goes on as it was begun; {self.root} is finished, with a different "
                "configuration. Give what it was begun with, or name a different folder with -o"
            )
        return True

    def refuse_finished(self) -> None:
        """Refuse to train in the folder of a finished run.

        Raises:
            UsageError: for a finished run.
        """
        if self.finished:
            raise UsageError(
                f"a run is trained in a new folder; {self.root} holds a finished one. Name a "
                "different folder with -o"
            )

    def refuse_used(self, resume: bool) -> None:
        """Refuse to start a run in a folder that holds a run or other files.

        Args:
            resume: go on with a stopped run; where there is none, a new one starts.

        Raises:
            UsageError: for a finished run, a stopped one that is not to be resumed, or a folder
                of other things.
        """
        self.refuse_finished()
        begun = (self.root / "config.yaml").exists()
        if begun and not resume:
            raise UsageError(
                f"a run is trained in a new folder; {self.root} holds one that was stopped. Resume "
                "it with --resume, or name a different folder with -o"
            )
        if not begun and self._foreign():
            raise UsageError(
                f"a run is trained in a new folder; {self.root} is not a run and not empty. "
                "Name a different folder with -o"
            )

    def _foreign(self) -> bool:
        """Return whether the folder has files besides those of a run stopped while reading."""
        found = self.root.iterdir() if self.root.exists() else ()
        known = (self.excluded, self.root / LOCK)
        return any(path.is_file() and path not in known for path in found)

    def write_config(self, config: TrainingConfig) -> None:
        """Write the resolved configuration."""
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        with atomic_file(self.root / "config.yaml") as unfinished:
            unfinished.write_text(text, "utf-8")

    def config(self) -> TrainingConfig:
        """Read the configuration of a trained run.

        Raises:
            BundleError: when the folder has none, one of another version, or one that is not what
                the run was trained with; and for an imported run, which has none.
        """
        return self._config(self.trained().config_sha256)

    def refuse_edited_config(self) -> None:
        """Refuse a trained run whose config.yaml is missing or edited.

        Raises:
            BundleError: as `config` does. An imported run has no configuration and passes.
        """
        origin = self.facts().origin
        if isinstance(origin, Trained):
            self._config(origin.config_sha256)

    def _config(self, sha256: str) -> TrainingConfig:
        from hilum.runs.recipe import (
            TrainingConfig,
        )  # slow to import, and loading a bundle does not need it

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
        if TrainingConfig.tree_sha256(tree) != sha256:
            raise BundleError(
                f"config.yaml must be what the run was trained with; {path} was edited since. "
                "Restore it or train again"
            )
        return config

    def write_facts(self, facts: RunFacts) -> None:
        """Write run.json, sealed, as the last file: a folder that has it is a finished run."""
        with atomic_file(self.root / "run.json") as unfinished:
            write_sealed(facts, unfinished)

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
        return read_sealed(RunFacts, path, self._completed)

    def _completed(self, tree: dict[str, Any]) -> dict[str, Any]:
        """Add what schema 2 and earlier left to config.yaml: name, input, limits, seed, policy."""
        if "network" in tree or "config_sha256" not in tree:
            return tree
        config = self._config(tree["config_sha256"])
        return {
            **tree,
            "name": config.name,
            "preprocessing": config.preprocessing,
            "architecture": config.model.in_words(),
            "limits": config.limits,
            "seed": config.seed,
            "policy": config.labels,
        }

    def trained(self) -> Trained:
        """Return the facts on the run's training.

        Raises:
            BundleError: when training did not finish here, or the network was imported.
        """
        origin = self.facts().origin
        if not isinstance(origin, Trained):
            raise BundleError(
                f"only a trained run has a configuration; the network in {self.root} was imported "
                f"from {origin.file}. Name a run of `hilum train`"
            )
        return origin

    def films(self) -> BoundFilms:
        """Return the films that the run is bound to.

        Raises:
            UsageError: for an imported network that no dataset was named for.
        """
        films = self.facts().films
        if films is None:
            raise UsageError(
                f"a run must be bound to films; the network in {self.root} was imported and has "
                f"none. Name the dataset with --data: hilum calibrate {self.root} --data ROOT"
            )
        return films

    def write_quantization(self, facts: Quantization) -> None:
        """Write quantisation.json, sealed."""
        write_sealed(facts, self.root / "quantisation.json")

    def quantization(self) -> Quantization:
        """Read quantisation.json.

        Raises:
            BundleError: when there is none, or it was edited.
        """
        return read_sealed(Quantization, self.root / "quantisation.json")

    def labels(self) -> LabelSet:
        """Return the findings of the network's outputs, in order."""
        return self.facts().network.outputs

    def epochs(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]


@dataclass(frozen=True)
class Places:
    """Folders that a training run reads and writes.

    Attributes:
        run: the run folder, created by training.
        data: the dataset's folder, recorded in run.json.
        cache: folder that keeps the reduced films for the next run; None reads them into memory.
    """

    run: RunFolder
    data: Path
    cache: Path | None = None
