"""A whole run as one frozen value, from a preset or a YAML file, unknown keys refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from hilum.domain.errors import UsageError, suggestion
from hilum.domain.policy import LabelPolicy
from hilum.files.sealed import first_fault
from hilum.imaging.preprocess import Depth, Preprocessing
from hilum.runs.recipe_parts import (
    AugmentConfig,
    ChoiceConfig,
    ComputeConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    Part,
    PhaseConfig,
    ScheduleConfig,
)
from hilum.splits import DEFAULT_FRACTIONS, Fractions

__all__ = ["Key", "Source", "TrainingConfig", "describe", "load_config", "presets"]


class TrainingConfig(Part):
    """Configuration of a whole training run, written resolved into every artifact of it."""

    name: str
    """Name that the bundle, its card and every report show."""
    limits: str = ""
    """Uses the network must not have, shown first among the limits on the card."""
    seed: int = 0
    """Seed of initial weights, batches, augmentation and split: all randomness there is."""
    split: Fractions = DEFAULT_FRACTIONS
    """Shares of the patients; an official test list, where there is one, is the test split."""
    preprocessing: Preprocessing = Preprocessing()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    phases: tuple[PhaseConfig, ...] = Field(min_length=1)
    """Phases, trained one after the other."""
    batch_size: int = Field(default=32, ge=2)
    """Films in a batch, over all processes; an incomplete last batch is left out of the epoch."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    choice: ChoiceConfig = ChoiceConfig()
    weights_average: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Decay of the exponential moving average of the weights that is scored and kept; 0 is off."""
    data: DataConfig = DataConfig()
    labels: LabelPolicy = LabelPolicy()
    """Policy of uncertain, blank and contradicting labels, and the views used."""
    compute: ComputeConfig = ComputeConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [phase.name for phase in self.phases]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(
                f"each phase must have a name of its own; '{twice[0]}' is there {len(twice)} times"
            )
        if self.preprocessing.depth is not Depth.EIGHT:
            raise UsageError(
                f"preprocessing.depth must be 8 in training, which keeps films in 8 bits; got "
                f"{self.preprocessing.depth.value}. float is for imported networks"
            )
        on_cpu_only = {"clahe": self.augment.clahe, "jpeg": self.augment.jpeg}
        if self.data.augment_on == "device" and any(on_cpu_only.values()):
            name = next(name for name, chance in on_cpu_only.items() if chance)
            raise UsageError(
                f"augment.{name} must be 0 where data.augment_on is device: it is not implemented "
                "for whole batches. Set data.augment_on to cpu, or leave it out"
            )
        return self

    def sha256(self) -> str:
        """Return the sha256 (hex) of the resolved configuration."""
        return self.tree_sha256(self.model_dump(mode="json"))

    @staticmethod
    def tree_sha256(tree: object) -> str:
        """Return the sha256 (hex) of a configuration as its file has it.

        A field that a later version adds does not change it.
        """
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def presets() -> tuple[str, ...]:
    """Return the names of the presets inside the package.

    >>> "demo" in presets()
    True
    """
    folder = files("hilum.runs").joinpath("presets")
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".yaml")))


def load_config(name: str, changes: tuple[str, ...] = ()) -> TrainingConfig:
    """Load a preset by name or a YAML file by path, with changes such as `model.backbone=resnet50`.

    Raises:
        UsageError: for an unknown preset, a file that is not there, an unknown key or a value out
            of range; the message names the line, the key and the nearest one.

    Example:
        >>> load_config("demo", ("seed=7",)).seed
        7
        >>> load_config("demo", ("sed=7",))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: demo: sed: no such field. Did you mean 'seed'?
    """
    text = _text(name)
    tree = _parsed(text, name)
    if not isinstance(tree, dict):
        raise UsageError(f"a configuration must be a mapping of keys; got {name}")
    source = Source.of(name, text)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UsageError(
                f"a change must read key=value, such as optimizer.weight_decay=0.01; got '{change}'"
            )
        _put(tree, key, _parsed(value, f"the value of {key}"))
        source = source.without(_steps(key))
    try:
        return TrainingConfig.model_validate(tree)
    except ValidationError as error:
        raise UsageError(describe(error, TrainingConfig, source)) from None
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _text(name: str) -> str:
    if name in presets():
        return files("hilum.runs").joinpath("presets", f"{name}.yaml").read_text("utf-8")
    if Path(name).suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"no preset '{name}', and not a .yaml file; presets: {', '.join(presets())}."
            f"{suggestion(name, presets())}"
        )
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"a configuration must be readable; {name}: {reason}") from None


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise UsageError(f"a configuration must be YAML; {where}: {place}") from None


def _steps(name: str) -> Key:
    """Return the path `phases.1.epochs` as a key; a number is an index of a list."""
    return tuple(int(step) if step.isdecimal() else step for step in name.split("."))


def _put(tree: dict[str, Any], name: str, value: object) -> None:
    """Set a nested value; a number is an index of a list, as in phases.1.epochs."""
    *parents, last = name.split(".")
    here: Any = tree
    try:
        for key in parents:
            here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
        here[int(last) if isinstance(here, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise UsageError(
            f"a change must name an existing field, such as phases.0.epochs; got '{name}'"
        ) from None


Key = tuple[str | int, ...]
"""Path to a value, such as `("phases", 0, "epochs")`."""

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
"""Error types of pydantic for an undeclared key, in a model and in a dataclass."""


@dataclass(frozen=True)
class Source:
    """Place where the values of a configuration were written.

    Attributes:
        name: name of the preset or the file.
        lines: line of each key in it, counted from 1.
    """

    name: str
    lines: dict[Key, int]

    @staticmethod
    def of(name: str, text: str) -> Source:
        r"""Return the lines of the keys in a YAML text.

        Raises:
            UsageError: for a key that occurs twice; YAML would silently take the last one.

        >>> Source.of("own.yaml", "name: own\nloss:\n  name: focal\n").lines
        {('name',): 1, ('loss',): 2, ('loss', 'name'): 3}
        """
        lines: dict[Key, int] = {}
        for key, line in _keys(yaml.compose(text, Loader=yaml.SafeLoader), ()):
            if key in lines:
                raise UsageError(
                    f"{name}:{line}: {_dotted(key)}: this key is in line {lines[key]} already. "
                    "Remove one of them"
                )
            lines[key] = line
        return Source(name, lines)

    def without(self, key: Key) -> Source:
        """Return the source without a key that a change has replaced, and so has no line."""
        kept = {at: line for at, line in self.lines.items() if at[: len(key)] != key}
        return Source(self.name, kept)

    def place(self, key: Key) -> str:
        """Return `own.yaml:7`, or the name alone for a key without a line."""
        return f"{self.name}:{self.lines[key]}" if key in self.lines else self.name


def describe(error: ValidationError, kind: type[BaseModel], source: Source) -> str:
    """Return the first fault in one line.

    Args:
        error: what validating `kind` raised.
        kind: the model of the whole file.
        source: where the values were written.
    """
    first = error.errors()[0]
    key: Key = first["loc"]
    place = source.place(key)
    if first["type"] not in UNKNOWN:
        return f"{place}: {first_fault(error)} (got {first['input']!r})"
    return f"{place}: {_dotted(key)}: no such field.{_nearest(key, list(_known(kind, ())))}"


def _nearest(key: Key, known: list[Key]) -> str:
    """Return a similarly named field of the same part, or a field of that name elsewhere."""
    part, word = key[:-1], str(key[-1])
    siblings = [str(at[-1]) for at in known if at[:-1] == _first_items(part)]
    similar = suggestion(word, siblings).replace("'", f"'{_dotted((*part, ''))}", 1)
    elsewhere = [f" Did you mean '{_dotted(at)}'?" for at in known if at[-1] == word]
    # at the top a word more likely belongs to a part than is misspelled
    ways = [*elsewhere[:1], similar] if not part else [similar, *elsewhere[:1]]
    return next(filter(None, ways), f" There are {', '.join(siblings)}")


def _first_items(part: Key) -> Key:
    """Return the part as `_known` lists it, where every item of a list has index 0."""
    return tuple(0 if isinstance(step, int) else step for step in part)


def _keys(node: yaml.Node | None, above: Key) -> Iterator[tuple[Key, int]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield (*above, name.value), name.start_mark.line + 1
            yield from _keys(value, (*above, name.value))
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield (*above, place), value.start_mark.line + 1
            yield from _keys(value, (*above, place))


def _known(kind: object, above: Key) -> Iterator[Key]:
    """Yield every field of a model, including those of its parts."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield (*above, name)
            yield from _known(field.annotation, (*above, name))
    elif isinstance(kind, type) and is_dataclass(kind):
        yield from ((*above, field.name) for field in fields(kind))
    elif getattr(kind, "__origin__", None) is tuple:
        yield from _known(get_args(kind)[0], (*above, 0))
    elif hasattr(kind, "__metadata__"):
        yield from _known(get_args(kind)[0], above)
    elif isinstance(kind, UnionType) or get_origin(kind) is Union:
        for one in get_args(kind):
            yield from _known(one, above)


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))
