"""Films in memory to logits and all heatmaps, ours beside the usual ways.

Every contender gets the same DenseNet-121 (random weights), the same films and the same threads,
in the same run; what counts is the ratio. Run it on a quiet machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from hilum.domain.findings import nih14
from hilum.domain.radiograph import Radiograph
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Engine, Precision
from hilum.model.classifier import Classifier, classifier
from hilum.model.export import export_onnx
from hilum.phantom.corpus import PhantomCorpus

FILMS, SIDES, THREADS, REPEATS = 16, (224, 320), 2, 5


def films_per_s(work: Callable[[], object], films: int) -> float:
    """Median of several timings, after one that does not count."""
    work()
    seconds: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return films / statistics.median(seconds)


def torch_loop(network: Classifier, images: torch.Tensor) -> None:
    """The usual script: float32, a film at a time, scores only."""
    with torch.inference_mode():
        for image in images:
            network(image[None])


def grad_cam(network: Classifier, images: torch.Tensor) -> None:
    """The usual explanation: a backward pass for each film and finding."""
    layer = network.backbone.extractor.get_submodule("features.norm5")
    with GradCAM(model=network, target_layers=[layer]) as cam:
        for image in images:
            for finding in range(len(network.labels)):
                cam(image[None], targets=[ClassifierOutputTarget(finding)])


def main() -> None:
    """Time every contender at each side and print the tables."""
    torch.set_num_threads(THREADS)
    for side in SIDES:
        table(side)


def table(side: int) -> None:
    """Time every contender at one side of the input, in px."""
    preprocessing = Preprocessing(size=side)
    corpus = PhantomCorpus(patients=FILMS, seed=0)
    drawn = [corpus.draw(plan) for plan in corpus.films()[:FILMS]]
    rasters = np.stack([preprocessing.raster(Radiograph(d.pixels, source="drawn")) for d in drawn])
    network = classifier("densenet121", nih14(), 3, {}, seed=0).eval()
    images = torch.from_numpy(preprocessing.normalize(rasters))
    rates = {
        "torch float32, film by film, scores": films_per_s(
            lambda: torch_loop(network, images), FILMS
        ),
        "pytorch-grad-cam, 14 maps a film": films_per_s(lambda: grad_cam(network, images[:1]), 1),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(network, path, side, 3)
        for precision in Precision:
            engine = Engine(path, preprocessing, nih14(), precision, THREADS)
            rates[f"hilum {precision.value}, scores and 14 maps"] = films_per_s(
                lambda engine=engine: engine.run(rasters), FILMS
            )
    first, cam = list(rates.values())[:2]
    title = f"DenseNet-121, {side} px, {THREADS} threads"
    print(f"{title:<38} films/s  x torch  x grad-cam")
    for name, rate in rates.items():
        print(f"{name:<38} {rate:7.1f} {rate / first:8.2f} {rate / cam:11.1f}")
