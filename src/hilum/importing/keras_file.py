"""Keras files, `.keras` and whole `.h5`, of DenseNet-121, under torchvision's names; by h5py alone.

The epsilon of its batch norms and the steps of its head travel with the tensors. No layer is made,
and what HDF5 can do besides holding arrays (links, other files, filters) is refused.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError
from hilum.importing.hdf5 import arrays_of
from hilum.importing.keras_layers import Layer, Stored, layers_of
from hilum.importing.keras_names import torch_name
from hilum.importing.records import WeightFile

__all__ = ["read_keras"]

_MOST_CONFIG = 64 * 1024**2
_MOST_WEIGHTS = 4 * 1024**3
_RATIO = 50
_POOLINGS = {"GlobalAveragePooling2D": "average", "GlobalMaxPooling2D": "max"}
_IDLE = frozenset({"InputLayer", "Dropout", "ZeroPadding2D", "SpatialDropout2D"})
_IN_BACKBONE = frozenset({"MaxPooling2D", "AveragePooling2D", "Concatenate", "ReLU", "Activation"})
_TORCH_EPSILON = 1e-5


def read_keras(path: Path) -> WeightFile:
    """Read a whole Keras model's tensors, with its head.

    Raises:
        BundleError: naming the layer, for one whose meaning is not known; or for an HDF5 file that
            does more than hold arrays.
    """
    try:
        if zipfile.is_zipfile(path):
            config, file, form = *_unzipped(path), "keras"
        else:
            file, form = h5py.File(path, "r", rdcc_nbytes=0), "keras-hdf5"
            config = _attribute(file, path)
        with file:
            arrays = arrays_of(file, path)
        stored = Stored(arrays, form == "keras")
        return _collected(layers_of(config, stored, str(path)), form, str(path))
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, RecursionError) as error:
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise BundleError(f"a Keras file must be whole; {path}: {why}. Fetch it again") from None
    except (AttributeError, IndexError, OverflowError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"a Keras file must describe its layers; {path}: {type(error).__name__}"
        ) from None


def _unzipped(path: Path) -> tuple[dict[str, Any], h5py.File]:
    with zipfile.ZipFile(path) as archive:
        for name, most in (("config.json", _MOST_CONFIG), ("model.weights.h5", _MOST_WEIGHTS)):
            info = archive.getinfo(name)
            if info.file_size > min(most, _RATIO * max(1, info.compress_size)):
                raise BundleError(
                    f"{path} ({name}) must unpack to a plausible size; it states {info.file_size} "
                    "bytes"
                )
        config = json.loads(archive.read("config.json"))
        data = archive.read("model.weights.h5")
    return config, h5py.File(io.BytesIO(data), "r", rdcc_nbytes=0)


def _attribute(file: h5py.File, path: Path) -> dict[str, Any]:
    raw = file.attrs.get("model_config")
    text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    if not isinstance(text, str) or len(text) > _MOST_CONFIG:
        raise BundleError(
            f"an .h5 file must hold the whole model, with its configuration; {path} has weights "
            "only. Save it with model.save"
        )
    return json.loads(text)


def _collected(layers: list[Layer], form: str, where: str) -> WeightFile:
    """Return the tensors of backbone and head; the pooling parts the two."""
    at = next((i for i, layer in enumerate(layers) if layer.kind in _POOLINGS), None)
    if at is None:
        raise BundleError(f"a network must have a global pooling; {where} has none")
    tensors: dict[str, NDArray[Any]] = {}
    epsilons: set[float] = set()
    for layer in layers[:at]:
        if layer.kind == "BatchNormalization":
            epsilons.add(float(layer.config.get("epsilon", 1e-3)))
        tensors |= _of_backbone(layer, where)
    if len(epsilons) != 1:
        raise BundleError(f"batch norms of {where} must have one epsilon; they have {epsilons}")
    head, steps, output = _head(layers[at + 1 :], where)
    texts = {
        "head": steps,
        "pooling": (_POOLINGS[layers[at].kind],),
        "output": (output,),
    }
    return WeightFile(form, {"": {**tensors, **head}}, (), texts, {"epsilon": epsilons.pop()})


def _of_backbone(layer: Layer, where: str) -> dict[str, NDArray[Any]]:
    if layer.kind in _IDLE:
        return {}
    if layer.kind in _IN_BACKBONE:
        if layer.kind == "Activation" and layer.config.get("activation") != "relu":
            _refuse(layer, where)
        return {}
    name = torch_name(layer.name)
    if name is None or layer.kind not in ("Conv2D", "BatchNormalization"):
        _refuse(layer, where)
    if layer.kind == "Conv2D":
        if layer.config.get("use_bias") or layer.config.get("activation") not in (None, "linear"):
            _refuse(layer, where)
        kernel = layer.arrays["kernel"]
        if kernel.ndim != 4:
            raise BundleError(f"{where}: kernel of {layer.name} must have 4 axes")
        return {f"{name}.weight": np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))}
    return _norm(layer, name)


def _norm(layer: Layer, name: str | None) -> dict[str, NDArray[Any]]:
    parts = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    return {f"{name}.{ours}": layer.arrays[theirs] for theirs, ours in parts.items()}


def _head(layers: list[Layer], where: str) -> tuple[dict[str, NDArray[Any]], tuple[str, ...], str]:
    tensors: dict[str, NDArray[Any]] = {}
    steps: list[str] = []
    end = "linear"
    for number, layer in enumerate(layers):
        name = f"classifier.{number}"
        if layer.kind in _IDLE:
            continue
        if end in ("sigmoid", "softmax"):
            _refuse(layer, where)
        if layer.kind == "Dense":
            tensors[f"{name}.weight"] = np.ascontiguousarray(layer.arrays["kernel"].T)
            tensors[f"{name}.bias"] = layer.arrays["bias"]
            steps.append(f"linear {name}")
            end = _activation(layer, steps, where)
        elif layer.kind in ("Activation", "ReLU"):
            end = _activation(layer, steps, where)
        elif layer.kind == "BatchNormalization":
            held = _norm(layer, name)
            shift = float(layer.config.get("epsilon", 1e-3)) - _TORCH_EPSILON
            held[f"{name}.running_var"] = held[f"{name}.running_var"].astype(np.float64) + shift
            tensors |= held
            steps.append(f"norm {name}")
        else:
            _refuse(layer, where)
    return tensors, tuple(steps), "softmax" if end == "softmax" else "sigmoid"


def _activation(layer: Layer, steps: list[str], where: str) -> str:
    word = "relu" if layer.kind == "ReLU" else layer.config.get("activation") or "linear"
    if word == "relu":
        steps.append("relu")
    elif word not in ("linear", "sigmoid", "softmax"):
        _refuse(layer, where)
    return str(word)


def _refuse(layer: Layer, where: str) -> None:
    raise BundleError(
        f"layers must be those of DenseNet-121, a pooling and dense layers; {where} has "
        f"{layer.name[:60]} of kind {layer.kind[:60]}, whose meaning here is not known"
    )
