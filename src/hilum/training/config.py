"""What a training run is: one frozen value, from a preset or a YAML file, unknown keys refused."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hilum.domain.errors import UsageError, suggestion
from hilum.domain.policy import LabelPolicy
from hilum.domain.seal import first_fault
from hilum.imaging.preprocess import Preprocessing
from hilum.splits import DEFAULT_FRACTIONS, Fractions

__all__ = [
    "AugmentConfig",
    "LossConfig",
    "ModelConfig",
    "PhaseConfig",
    "TrainingConfig",
    "load_config",
    "presets",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Part):
    """The network."""

    backbone: str = "densenet121"
    options: dict[str, int] = {}
    """Options of the backbone, such as `growth_rate`."""
    weights: Path | None = None
    """Backbone weights to start from: .safetensors, .pth or .pt; none starts from random."""
    weights_trained_on: str | None = None
    """What foreign weights have seen: a family of film lists, such as nih-random, or other words,
    such as ImageNet. A run's own checkpoint says it itself."""


class LossConfig(_Part):
    """Masked binary cross-entropy with inverse-frequency weights of the positives."""

    positive_weight_max: float = Field(default=20.0, ge=1.0)
    """Upper bound of negatives/positives, so that a handful of films cannot rule the gradient."""
    positive_weight_power: float = Field(default=1.0, ge=0.0, le=1.0)
    """1 is the inverse frequency, 0 no weighting, 0.5 its square root."""
    positive_weight_log: bool = False
    """Weigh by log2(1 + negatives/positives) instead: rare findings count more, but not by much."""


class AugmentConfig(_Part):
    """Bounds of the random changes to a training film. No horizontal flip: it moves the heart."""

    rotation_degrees: float = Field(default=8.0, ge=0.0, le=45.0)
    scale: float = Field(default=0.10, ge=0.0, lt=0.5)
    shift: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Fraction of the side."""
    brightness: float = Field(default=0.08, ge=0.0, lt=0.5)
    contrast: float = Field(default=0.20, ge=0.0, lt=1.0)
    gamma: float = Field(default=0.15, ge=0.0, lt=1.0)
    blur_sigma_px: float = Field(default=0.0, ge=0.0, le=5.0)
    """Largest Gaussian blur. Hides resampling and codec traces that could stand in for a label."""
    noise: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Largest standard deviation of added noise, in grey levels of 1."""


class PhaseConfig(_Part):
    """One stretch of training with a fixed set of trainable parts."""

    name: str
    trains: Literal["head", "all"]
    """What may change; the rest, batch-norm statistics too, is proved unchanged by hash."""
    epochs: int = Field(ge=1)
    rate: float = Field(gt=0.0)
    """Peak learning rate; warms up over the first tenth, then falls to zero along a cosine."""


class TrainingConfig(_Part):
    """A whole run. Written, resolved, into every artefact that comes of it."""

    name: str
    """Stands on the bundle, its card and every report."""
    seed: int = 0
    """Of initial weights, batches, augmentation and split: all randomness there is."""
    split: Fractions = DEFAULT_FRACTIONS
    """Shares of the patients; an official test list, where there is one, is the test split."""
    preprocessing: Preprocessing = Preprocessing()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    phases: tuple[PhaseConfig, ...] = Field(min_length=1)
    """Trained one after the other."""
    batch_size: int = Field(default=32, ge=2)
    """Films a step; the odd films at an epoch's end wait for another."""
    weight_decay: float = Field(default=1e-4, ge=0.0)
    """Of AdamW."""
    weights_average: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Decay of the exponential moving average of the weights that is scored and kept; 0 is off."""
    labels: LabelPolicy = LabelPolicy()
    """What uncertain, blank and contradicting labels count as, and which views are used."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the processor computes in it."""
    threads: int = Field(default=2, ge=1)
    """Pinned, since results depend on it."""

    def sha256(self) -> str:
        """Hash of the resolved configuration."""
        return self.tree_sha256(self.model_dump(mode="json"))

    @staticmethod
    def tree_sha256(tree: object) -> str:
        """Hash of a configuration as it stands in a file: a field added since changes nothing."""
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def presets() -> tuple[str, ...]:
    """Names of the presets inside the package.

    >>> "demo" in presets()
    True
    """
    folder = files("hilum.training").joinpath("presets")
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".yaml")))


def load_config(name: str, changes: tuple[str, ...] = ()) -> TrainingConfig:
    """A preset by name, or a YAML file by path, with changes such as `model.backbone=densenet121`.

    Raises:
        UsageError: for an unknown preset, a file that is not there, an unknown key or a value out
            of range; the message names the key.

    Example:
        >>> load_config("demo", ("seed=7",)).seed
        7
        >>> load_config("demo", ("sed=7",))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: demo: sed: Extra inputs are not permitted (got 7)
    """
    tree = _tree(name)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise UsageError(
                f"a change must read key=value, such as optimiser.rate=1e-4; got '{change}'"
            )
        _put(tree, key, _parsed(text, f"the value of {key}"))
    try:
        return TrainingConfig.model_validate(tree)
    except ValidationError as error:
        got = error.errors()[0]["input"]
        raise UsageError(f"{name}: {first_fault(error)} (got {got!r})") from None


def _tree(name: str) -> dict[str, Any]:
    if name in presets():
        text = files("hilum.training").joinpath("presets", f"{name}.yaml").read_text("utf-8")
    elif Path(name).suffix in (".yaml", ".yml"):
        try:
            text = Path(name).read_text("utf-8")
        except OSError as error:
            raise UsageError(
                f"a configuration must be readable; {name}: {error.strerror}"
            ) from None
    else:
        known = ", ".join(presets())
        raise UsageError(
            f"no preset '{name}', and not a .yaml file; presets: {known}."
            f"{suggestion(name, presets())}"
        )
    tree = _parsed(text, name)
    if not isinstance(tree, dict):
        raise UsageError(f"a configuration must be a mapping of keys; got {name}")
    return tree


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise UsageError(f"a configuration must be YAML; {where}: {place}") from None


def _put(tree: dict[str, Any], name: str, value: object) -> None:
    """Set a nested value; a number steps into a list, such as phases.1.epochs."""
    *parents, last = name.split(".")
    here: Any = tree
    try:
        for key in parents:
            here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
        here[int(last) if isinstance(here, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise UsageError(
            f"a change must name a field that is there, such as phases.0.epochs; got '{name}'"
        ) from None
