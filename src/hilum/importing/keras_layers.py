"""A Keras model's layers in order, nested models unfolded, each with its arrays by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from hilum.domain.errors import BundleError

__all__ = ["Layer", "Stored", "layers_of"]

_MODELS = frozenset({"Functional", "Model", "Sequential"})
_DEPTH = 8
_KNOWN = frozenset(
    [
        "InputLayer",
        "ZeroPadding2D",
        "Conv2D",
        "BatchNormalization",
        "Activation",
        "ReLU",
        "MaxPooling2D",
        "AveragePooling2D",
        "Concatenate",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "Dense",
        "Dropout",
        "SpatialDropout2D",
    ]
)
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Layer:
    """One layer: its class, name and configuration, and its arrays by Keras's names."""

    kind: str
    name: str
    config: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


class Stored:
    """The arrays of a file, found by layer.

    Args:
        arrays: path in the file to array.
        counted: whether layers are counted by class (`.keras`), or called by their names (`.h5`).
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], counted: bool) -> None:
        self.arrays = arrays
        self.counted = counted
        self._named: dict[str, dict[str, NDArray[Any]]] = {}
        for path, array in arrays.items():
            parent, _, name = path.rpartition("/")
            self._named.setdefault(parent, {})[name.removesuffix(":0")] = array

    def numbered(self, place: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the arrays `place/vars/0`, `1`, …, under names."""
        held = self._named.get(f"{place}/vars", {})
        if len(held) != len(names):
            raise BundleError(f"{place} must have {len(names)} arrays; it has {len(held)}")
        return {name: held[str(number)] for number, name in enumerate(names)}

    def named(self, places: Sequence[str], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the arrays of the first of some places that the file has."""
        for place in places:
            held = self._named.get(f"model_weights/{place}")
            if held:
                absent = [name for name in names if name not in held]
                if absent:
                    raise BundleError(f"{place} must have {', '.join(names)}; it lacks {absent[0]}")
                return {name: held[name] for name in names}
        raise BundleError(f"layer {places[-1][:80]} has no arrays in the file")


def layers_of(config: Mapping[str, Any], stored: Stored, where: str) -> list[Layer]:
    """Return all layers that do something, in order.

    Raises:
        BundleError: for Lambda layers, custom objects and classes that are not known, by name.
    """
    return list(_layers(config, stored, ("", ()), where))


def _layers(
    model: Mapping[str, Any], stored: Stored, place: tuple[str, tuple[str, ...]], where: str
) -> Iterator[Layer]:
    group, above = place
    if len(above) > _DEPTH:
        raise BundleError(f"models may be nested {_DEPTH} deep; {where} goes deeper")
    inner = model["config"]
    listed = inner["layers"] if isinstance(inner, dict) else inner
    met: Counter[str] = Counter()
    for entry in listed:
        kind, settings = str(entry["class_name"]), entry["config"]
        name = str(settings.get("name") or entry.get("name")) if isinstance(settings, dict) else ""
        counted = _snake(kind)
        number = met[counted]
        met[counted] += 1
        path = f"{group}layers/{counted}" + (f"_{number}" if number else "")
        if entry.get("registered_name") not in (None, kind) or not str(
            entry.get("module") or "keras"
        ).startswith("keras"):
            _refuse(name, kind, where)
        if kind in _MODELS:
            yield from _layers(entry, stored, (f"{path}/", (*above, name)), where)
        elif kind in _KNOWN:
            names = _names(kind, settings)
            arrays = (
                ({})
                if not names
                else stored.numbered(path, names)
                if stored.counted
                else stored.named(_places(above, name), names)
            )
            yield Layer(kind, name, settings, arrays)
        else:
            _refuse(name, kind, where)


def _names(kind: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    if kind in ("Conv2D", "Dense"):
        return ("kernel", "bias") if settings.get("use_bias", True) else ("kernel",)
    if kind != "BatchNormalization":
        return ()
    if not (settings.get("scale", True) and settings.get("center", True)):
        raise BundleError("a batch norm must have scale and shift")
    return _NORM


def _places(above: tuple[str, ...], name: str) -> list[str]:
    """Return where an `.h5` file may keep a layer: once more below its own name, or its model's."""
    if not above:
        return [f"{name}/{name}", f"{name}/sequential/{name}", name]
    outer = above[0]
    return [
        f"{outer}/{'/'.join((*above[1:], name))}",
        f"{outer}/{name}",
        f"{outer}/{outer}/{name}",
        f"{outer}/{name}/{name}",
    ]


def _refuse(name: str, kind: str, where: str) -> None:
    if kind == "Add":
        raise BundleError(
            f"Keras files must be of DenseNet-121; {where} has Add layers, as ResNet has "
            f"({name[:60]}). That of Keras is not torchvision's, since strides and biases lie "
            "elsewhere: export it to ONNX"
        )
    what = "a Lambda layer is a program" if kind == "Lambda" else "its meaning is not known"
    raise BundleError(
        f"layers must be of Keras's own known kinds; {where} has {name[:60]} of kind {kind[:60]}: "
        f"{what}. Nothing of it was run"
    )


def _snake(kind: str) -> str:
    """Return Keras's name of a class in a file.

    >>> _snake("GlobalAveragePooling2D")
    'global_average_pooling2d'
    """
    name = re.sub(r"\W+", "", kind)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
