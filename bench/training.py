"""Training steps of DenseNet-121, ours beside the usual loop; on a GPU whole epochs too.

A step is forward, backward and optimizer on a batch that is in memory already. An epoch reads
films: the usual loop opens 1,024-px PNGs with PIL in a DataLoader, ours reads its cache. What
counts is the ratio of one run. The share of the hardware's arithmetic is printed where its peak
is known. Run it on a quiet machine.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import densenet121

from bench.loader import Pictures, cached
from hilum.datasets import open_dataset
from hilum.domain.findings import nih14
from hilum.model.classifier import classifier
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.runs.recipe import TrainingConfig, load_config
from hilum.runs.recipe_parts import ComputeConfig
from hilum.training.data.batches import Batch, batches
from hilum.training.data.films import Films
from hilum.training.device import Device
from hilum.training.ranks import ALONE
from hilum.training.step import Learner, Targets

SIDE, BATCH, REPEATS, PATIENTS = 224, 16, 5, 24
PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0}
"""Dense bfloat16, from NVIDIA's data sheets."""


def usual(device: str) -> Callable[[Tensor], None]:
    """The step of the usual script: torchvision's network in float32, Adam, BCE."""
    network = densenet121(num_classes=len(nih14())).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    loss = nn.BCEWithLogitsLoss()

    def step(images: Tensor) -> None:
        optimizer.zero_grad()
        value = loss(network(images), torch.zeros(len(images), len(nih14()), device=device))
        value.backward()
        optimizer.step()

    return step


def ours(config: TrainingConfig, films: int) -> tuple[Learner, Targets]:
    """Our learner at the start of its last phase, and targets of zero."""
    network = classifier("densenet121", nih14(), 3, {}, seed=0)
    device = Device.of(config.compute)
    weights = np.ones((len(nih14()), 2), np.float32)
    learner = Learner(config, network, device, ALONE, weights)
    learner.begin(config.phases[-1])
    learner.network.train()
    y = np.zeros((films, len(nih14())), np.float32)
    return learner, Targets(y, np.ones_like(y))


def settled(side: int, batch: int, **compute: object) -> TrainingConfig:
    """The recommended preset without its start from ImageNet, at this side and batch."""
    config = load_config("recommended", ("model.weights=null", f"preprocessing.size={side}"))
    parts = {"batch_size": batch, "compute": ComputeConfig.model_validate(compute)}
    return config.model_copy(update=parts)


def films_per_s(work: Callable[[], int], device: str) -> float:
    """Median of several timings, after one that does not count."""

    def finished() -> int:
        films = work()
        if device == "cuda":
            torch.cuda.synchronize()
        return films

    finished()
    rates: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        films = finished()
        rates.append(films / (time.perf_counter() - started))
    return statistics.median(rates)


def steps(device: str, threads: int) -> dict[str, float]:
    """Films a second of single steps."""
    torch.set_num_threads(threads)
    rasters = np.random.default_rng(0).integers(0, 255, (BATCH, SIDE, SIDE), np.uint8)
    images = torch.rand(BATCH, 3, SIDE, SIDE, device=device)
    loop = usual(device)
    rates: dict[str, float] = {}

    def plain() -> int:
        loop(images)
        return BATCH

    rates["torch float32, contiguous"] = films_per_s(plain, device)
    for precision in ("float32", "bfloat16"):
        config = settled(SIDE, BATCH, precision=precision, threads=threads, deterministic=False)
        learner, targets = ours(config, BATCH)
        batch = Batch(0, np.arange(BATCH), rasters, ())
        work = partial(_step, learner, batch, targets)
        with learner.device.session():
            rates[f"hilum {precision}, channels last"] = films_per_s(work, device)
    return rates


def _step(learner: Learner, batch: Batch, targets: Targets) -> int:
    learner.learn([batch], targets, stop=False)
    return len(batch.rows)


def flops_a_film() -> float:
    """Floating-point operations of a film's forward and backward pass."""
    network = densenet121(num_classes=len(nih14()))
    with FlopCounterMode(display=False) as counted:
        network(torch.rand(1, 3, SIDE, SIDE)).sum().backward()
    return float(counted.get_total_flops())


def epochs(root: Path, workers: int) -> dict[str, float]:
    """Films a second of whole epochs on a GPU, from disk to weights."""
    write_nih(PhantomCorpus(patients=PATIENTS, seed=0, size=1024), root / "films")
    cohort = open_dataset(root / "films")
    films, _ = cached(cohort, root / "cache")
    paths = [record.path for record in cohort.records if record.path is not None]
    shown = [paths[row % len(paths)] for row in range(len(films))]
    pictures = DataLoader(Pictures(shown), 32, shuffle=True, num_workers=workers, pin_memory=True)
    loop = usual("cuda")

    def plain() -> int:
        for images in pictures:
            loop(images.cuda(non_blocking=True))
        return len(films)

    rates = {"torchvision float32, PIL DataLoader": films_per_s(plain, "cuda")}
    for place in ("cpu", "device"):
        rates[f"hilum, changed on the {place}"] = films_per_s(epoch(films, place, workers), "cuda")
    return rates


def epoch(films: Films, place: str, workers: int) -> Callable[[], int]:
    """An epoch of ours, with the films changed on the CPU or on the GPU."""
    config = settled(SIDE, 128, precision="bfloat16", deterministic=False)
    augment = config.augment.model_copy(update={"jpeg": 0.0, "clahe": 0.0})
    data = config.data.model_copy(update={"augment_on": place, "workers": workers})
    config = config.model_copy(update={"augment": augment, "data": data})
    learner, targets = ours(config, len(films))

    def run() -> int:
        done = 0
        with learner.device.session(), closing(_epoch(films, config)) as shares:
            for batch in shares:
                learner.learn([batch], targets, stop=False)
                done += len(batch.rows)
        return done

    return run


def _epoch(films: Films, config: TrainingConfig) -> Iterator[Batch]:
    yield from batches(films, config, 1)


def table(title: str, rates: dict[str, float], peak: float | None) -> None:
    """Print contenders as ratios to the first."""
    first = next(iter(rates.values()))
    print(f"{title:<44} films/s  x usual")
    for name, rate in rates.items():
        share = f"{rate * flops_a_film() / (peak * 1e12):8.1%} of peak" if peak else ""
        print(f"{name:<44} {rate:7.1f} {rate / first:8.2f} {share}")


def main() -> None:
    """Time every contender and print the tables."""
    if not torch.cuda.is_available():
        for threads in sorted({1, os.cpu_count() or 1}):
            title = f"a step of {BATCH} films, {SIDE} px, {threads} threads"
            table(title, steps("cpu", threads), None)
        return
    name = torch.cuda.get_device_name()
    peak = next((value for key, value in PEAK_TFLOPS.items() if key in name), None)
    table(f"a step of {BATCH} films, {SIDE} px, {name}", steps("cuda", 1), peak)
    with tempfile.TemporaryDirectory() as folder:
        rates = epochs(Path(folder), max(2, (os.cpu_count() or 2) - 2))
    table(f"an epoch from disk, {SIDE} px, {name}", rates, peak)
