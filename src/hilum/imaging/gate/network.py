"""The gate's small network, computed in NumPy from the weights that ship beside it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.imaging.gate.picture import SIDE

__all__ = [
    "KINDS",
    "TURNS",
    "GateOutput",
    "SmallNetwork",
    "model_file",
    "shipped",
    "shipped_sha256",
]

KINDS = ("chest", "other", "collage")
"""Kinds of picture."""
TURNS = (
    "upright",
    "rot90",
    "rot180",
    "rot270",
    "mirrored",
    "mirrored_rot90",
    "flipped",
    "mirrored_rot270",
)
"""The eight ways a square can lie: k quarter turns against the clock, then a mirror image of it."""

_LAYERS = 4
Field = NDArray[np.float32]


@dataclass(frozen=True)
class GateOutput:
    """Output of the small network for one picture. Scores in [0, 1]; calibrated on no population.

    Attributes:
        kinds: kind to score; they sum to 1.
        turns: way of lying to score; they sum to 1.
        inverted: dense shown dark.
        photographed: a photograph of a film or a screen.
        incomplete: a quarter of the chest or more is outside the picture.
        distance: of its features from those of good films, in deviations (Mahalanobis, divided by
            the root of the number of features): about 1 for a good film.
    """

    kinds: dict[str, float]
    turns: dict[str, float]
    inverted: float
    photographed: float
    incomplete: float
    distance: float


class SmallNetwork:
    """Four strided 3 x 3 convolutions, one hidden layer, five heads; 0.2 ms on one core.

    Args:
        arrays: the weights by name, as the model file holds them.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._weights = {
            name: np.ascontiguousarray(values, np.float32)
            for name, values in arrays.items()
            if name != "about"
        }
        self.about: dict[str, Any] = json.loads(arrays["about"].tobytes())

    def features(self, square: Field) -> Field:
        """Return the hidden layer before its ReLU: (64, 64) to (F,)."""
        maps = square[:, :, None]
        for layer in range(_LAYERS):
            kernel, bias = self._weights[f"conv{layer}"], self._weights[f"conv{layer}_bias"]
            maps = np.maximum(_strided(maps) @ kernel + bias, np.float32(0.0))
        return maps.reshape(-1) @ self._weights["hidden"] + self._weights["hidden_bias"]

    def look(self, square: Field) -> GateOutput:
        """Return the output for a (64, 64) square from `hilum.imaging.gate.picture.seen`."""
        if square.shape != (SIDE, SIDE):
            raise ValueError(f"the small network sees ({SIDE}, {SIDE}); got {square.shape}")
        features = self.features(square)
        active = np.maximum(features, np.float32(0.0))
        outputs = active @ self._weights["heads"] + self._weights["heads_bias"]
        kinds, turns = len(KINDS), len(TURNS)
        inverted, photographed, incomplete = _sigmoid(outputs[kinds + turns :])
        white = (features - self._weights["centre"]) @ self._weights["whitening"]
        return GateOutput(
            kinds=dict(zip(KINDS, _softmax(outputs[:kinds]), strict=True)),
            turns=dict(zip(TURNS, _softmax(outputs[kinds : kinds + turns]), strict=True)),
            inverted=inverted,
            photographed=photographed,
            incomplete=incomplete,
            distance=float(np.sqrt(np.mean(white * white))),
        )


def model_file(name: str) -> Path:
    """Return the path of a shipped model."""
    return Path(__file__).with_name(f"{name}.npz")


@cache
def shipped(name: str) -> SmallNetwork:
    """Return a model that comes with hilum, read once. No pickle is read."""
    with np.load(model_file(name), allow_pickle=False) as file:
        return SmallNetwork({key: file[key] for key in file.files})


@cache
def shipped_sha256(name: str) -> str:
    """Return the sha256 (hex) of a shipped model's file."""
    return hashlib.sha256(model_file(name).read_bytes()).hexdigest()


def _strided(maps: Field) -> Field:
    """Return every second 3 x 3 window: (H, W, C) to (H/2, W/2, 9 C), zero outside; H, W even."""
    rows, columns, channels = maps.shape
    padded = np.zeros((rows + 1, columns + 1, channels), np.float32)
    padded[1:, 1:] = maps
    half = (rows // 2, columns // 2)
    windows = np.empty((*half, 9, channels), np.float32)
    for place in range(9):
        down, right = divmod(place, 3)
        windows[:, :, place] = padded[down : down + rows : 2, right : right + columns : 2][
            : half[0], : half[1]
        ]
    return windows.reshape(*half, -1)


def _softmax(logits: Field) -> list[float]:
    raised = np.exp(logits - logits.max())
    return [float(share) for share in raised / raised.sum()]


def _sigmoid(logits: Field) -> list[float]:
    return [float(share) for share in 1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0)))]
