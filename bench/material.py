"""What is measured on: drawn films, and a real bundle of a DenseNet-121 with drawn weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from hilum.cli.bundle import write
from hilum.datasets import open_dataset
from hilum.domain.findings import nih14
from hilum.domain.record import Cohort, Split
from hilum.domain.scores import Target
from hilum.files.sealed import file_sha256
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Precision
from hilum.model.classifier import Classifier, classifier
from hilum.model.export import export_onnx
from hilum.phantom.corpus import PhantomCorpus, write_film
from hilum.phantom.nih import write_nih
from hilum.reading.stack import read_stack
from hilum.runs.facts import BoundFilms, NetworkFacts, RunFacts, Trained
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig, load_config
from hilum.splits import SplitTable, assign
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.training.quantize import quantize_run

__all__ = ["DRAWN", "bundle_in", "draw_films", "films_in", "linked"]

CONFIG = """
name: drawn
preprocessing: {size: 224, channels: 3}
model: {backbone: densenet121, options: {growth_rate: 32}}
phases:
  - {name: all, trains: {all: 1.0e-3}, epochs: 1}
compute: {device: cpu, precision: float32}
"""
SHARES = {"train": 0.1, "tune": 0.1, "calibrate": 0.6, "test": 0.2}
DRAWN, PX = 32, 1024
PATIENTS, ENRICHMENT, NORM_FILMS, BATCH = 24, 6, 64, 16


def computes_bf16() -> bool:
    """Whether this processor does."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def bundle_in(root: Path, quantized: bool = False) -> Path:
    """The bundle, made in `root` where it is not there yet.

    It computes in bf16 where the processor does, `quantized` but for convolutions in 8 bits.
    """
    form = (quantized, Precision.BF16 if computes_bf16() else Precision.F32)
    precision = next(one for one in Precision if (one.quantized, one.floats) == form)
    make = partial(make_bundle, precision=precision)
    return _made(root, f"drawn-{precision.value}", make) / "bundle"


def films_in(root: Path) -> list[Path]:
    """Drawn films of NIH's size, made in `root` where they are not there yet."""
    return sorted(_made(root, "films", partial(draw_films, count=DRAWN, size=PX)).glob("*.png"))


def _made(root: Path, name: str, make: Callable[[Path], object]) -> Path:
    if not (root / name).exists():
        unfinished = root / f".{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        make(unfinished)
        unfinished.rename(root / name)
    return root / name


def draw_films(folder: Path, count: int, size: int) -> list[Path]:
    """As many drawn films, as PNG of NIH's kind: square, gray, 8 bits."""
    corpus = PhantomCorpus(patients=count, seed=7, size=size)
    folder.mkdir(parents=True)
    paths: list[Path] = []
    for plan in corpus.films()[:count]:
        path = folder / plan.image_id
        write_film(path, corpus.draw(plan).pixels)
        paths.append(path)
    return paths


def linked(paths: list[Path], folder: Path, count: int) -> list[Path]:
    """`count` films that are names of the same few files, which the system then has in memory."""
    folder.mkdir(parents=True)
    films: list[Path] = []
    for number in range(count):
        source = paths[number % len(paths)]
        film = folder / f"{number:06d}{source.suffix}"
        try:
            film.hardlink_to(source)
        except OSError:  # on another disk
            shutil.copyfile(source, film)
        films.append(film)
    return films


def make_bundle(root: Path, precision: Precision) -> Path:
    """A bundle as `hilum bundle` writes it, without the hours of training.

    The network is a whole DenseNet-121 of 224 px. Its weights are drawn; the statistics of its
    batch norms are those of drawn films, so that no activation vanishes or explodes. It is
    calibrated (Platt) on drawn films, with thresholds for a specificity of 0.90: about one finding
    in ten is positive. Everything but the worth of its scores is that of a trained one.
    """
    root.mkdir(parents=True, exist_ok=True)
    run = RunFolder(root / "run")
    write_nih(PhantomCorpus(PATIENTS, seed=1, enrichment=ENRICHMENT), root / "corpus")
    (root / "drawn.yaml").write_text(CONFIG)
    changes = tuple(f"split.{split}={share}" for split, share in SHARES.items())
    config = load_config(str(root / "drawn.yaml"), changes)
    cohort = open_dataset(root / "corpus")
    splits = assign(cohort, config.split)
    run.write_config(config)
    splits.write(run.split)
    network = classifier("densenet121", nih14(), 3, {}, seed=0)
    paths = [record.path for record in cohort.records if record.path is not None]
    settle_norms(network, paths[:NORM_FILMS], config.preprocessing)
    export_onnx(network, run.model, config.preprocessing.size, config.preprocessing.channels)
    run.write_facts(facts(run, cohort, splits, config))
    request = CalibrationRequest(target=Target.SPECIFICITY, goal=0.90, precision=precision)
    calibrate = splits.of(cohort, Split.CALIBRATE)
    if precision.quantized:
        quantize_run(run, Split.CALIBRATE.value, calibrate)
    calibrate_run(run, calibrate, request)
    write(run.root, root / "bundle")
    return root / "bundle"


def settle_norms(network: Classifier, paths: list[Path], preprocessing: Preprocessing) -> None:
    """Give every batch norm the mean and variance that films have there."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean of all batches
    rasters = read_stack(paths, preprocessing).rasters
    network.train()
    with torch.no_grad():
        for start in range(0, len(rasters), BATCH):
            network(torch.from_numpy(preprocessing.normalize(rasters[start : start + BATCH])))
    network.eval()


def facts(run: RunFolder, cohort: Cohort, splits: SplitTable, config: TrainingConfig) -> RunFacts:
    """Return what training would write, for a run that trained nothing."""
    return RunFacts(
        network=NetworkFacts(
            name=config.name,
            label_set=cohort.labels.name,
            labels=cohort.labels.findings,
            preprocessing=config.preprocessing,
            architecture=config.model.in_words(),
            model_sha256=file_sha256(run.model),
        ),
        origin=Trained(
            config_sha256=config.sha256(), seed=config.seed, best_epoch=1, best_tune_auroc=None
        ),
        films=BoundFilms.from_splits(cohort, splits, run.root.parent / "corpus", config.labels),
    )
