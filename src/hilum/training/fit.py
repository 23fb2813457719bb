"""The loop: films in memory, phases, the best weights by macro AUROC on tune."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelState
from hilum.metrics.ranking import auroc
from hilum.model import weights
from hilum.model.classifier import Classifier
from hilum.training import augment, losses, phases
from hilum.training.config import PhaseConfig, TrainingConfig
from hilum.training.device import Device
from hilum.training.run import RunFolder

__all__ = ["Advance", "Films", "Fitted", "fit"]

Advance = Callable[[str, int, int], None]
"""Called with (what, done, total) for a progress bar."""


@dataclass(frozen=True, eq=False)
class Films:
    """Films in memory: (N, S, S) uint8 rasters and (N, L) int8 label states."""

    rasters: NDArray[np.uint8]
    states: NDArray[np.int8]


@dataclass(frozen=True)
class Fitted:
    """What came of the loop."""

    best_epoch: int
    best_tune_auroc: float | None
    backbone_sha256: dict[str, str]


class _Loop:
    """One training run in progress; the only thing here that changes."""

    def __init__(self, config: TrainingConfig, network: Classifier, run: RunFolder) -> None:
        self.config = config
        self.run = run
        self.device = Device.of(config.precision, config.threads)
        self.network = self.device.place(network)
        self.average = _average(self.network, config.weights_average)
        self.epoch = 0
        self.best: tuple[int, float] | None = None
        self.hashes = {"start": weights.digest(network.backbone)}

    def kept(self) -> Classifier:
        """The network that is scored and saved: the average of the weights where there is one."""
        return self.network if self.average is None else cast(Classifier, self.average.module)

    def phase(self, phase: PhaseConfig, train: Films, tune: Films, advance: Advance) -> None:
        """Train one phase, score tune after each epoch, and prove what changed."""
        before = weights.digest(self.network.backbone)
        trainable = phases.begin(self.network, phase)
        optimizer = torch.optim.AdamW(
            trainable, lr=phase.rate, weight_decay=self.config.weight_decay
        )
        y, mask = losses.targets(train.states, self.config.labels, self.config.seed)
        weight = self.device.tensor(losses.positive_weights(y, mask, self.config.loss))
        for number in range(phase.epochs):
            started = time.monotonic()
            self.epoch += 1
            phases.set_mode(self.network, phase)
            batches = _batches(self.config, self.epoch, len(train.rasters))
            total = 0.0
            for step, rows in enumerate(batches):
                rate = _rate(phase, number * len(batches) + step, len(batches))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                films = _augmented(self.config, train.rasters[rows], (self.epoch, step))
                logits = self._forward(self.network, films)
                terms = (self.device.tensor(y[rows]), self.device.tensor(mask[rows]), weight)
                total += _step(losses.masked_bce(logits, *terms), optimizer, trainable)
                if self.average is not None:
                    self.average.update_parameters(self.network)
                advance(f"{phase.name} {number + 1}/{phase.epochs}", step + 1, len(batches))
            seconds = time.monotonic() - started
            self._finish_epoch(
                tune,
                {
                    "epoch": self.epoch,
                    "phase": phase.name,
                    "trainable_tensors": len(trainable),
                    "rate": phase.rate,
                    "train_loss": total / len(batches),
                    "films_per_s": round(len(batches) * self.config.batch_size / seconds, 1),
                },
                weight,
            )
        self.hashes[phase.name] = phases.verify(self.network, phase, before)

    def _forward(self, network: Classifier, films: NDArray[np.uint8]) -> Tensor:
        images = self.device.images(self.config.preprocessing.normalise(films))
        with self.device.autocast():
            return network(images)

    def _finish_epoch(self, tune: Films, line: dict[str, Any], weight: Tensor) -> None:
        """Score tune, keep the weights if they are the best so far, and write the log line."""
        scored = self.kept().eval()
        parts: list[Tensor] = []
        with torch.inference_mode():
            for start in range(0, len(tune.rasters), self.config.batch_size):
                films = tune.rasters[start : start + self.config.batch_size]
                parts.append(self._forward(scored, films).float().cpu())
            logits = torch.cat(parts)
            y, mask = losses.targets(tune.states, self.config.labels, self.config.seed)
            terms = (torch.from_numpy(y), torch.from_numpy(mask), weight.cpu())
            line["tune_loss"] = float(losses.masked_bce(logits, *terms))
        areas = _areas(tune.states, logits.numpy())
        macro = float(np.mean(areas)) if areas else None
        line.update(tune_auroc=macro, tune_findings=len(areas))
        if macro is not None and (self.best is None or macro > self.best[1]):
            self.best = (self.epoch, macro)
            self.save("best")
        with self.run.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def save(self, name: str) -> None:
        """Write the kept weights as a checkpoint."""
        weights.save(self.kept(), self.run.checkpoint(name), {"epoch": str(self.epoch)})


def fit(
    config: TrainingConfig,
    network: Classifier,
    films: tuple[Films, Films],
    run: RunFolder,
    advance: Advance,
) -> Fitted:
    """Train through all phases; write the log and the `best` and `last` checkpoints.

    Args:
        config: the run.
        network: freshly made; trained in place.
        films: train and tune. Weights are fitted on train. The epoch is chosen on tune, by macro
            AUROC over the findings that have both states there; the last epoch where none has.
        run: where log and checkpoints go.
        advance: told after every batch.

    Raises:
        UsageError: for fewer films than a batch, or a loss that is not finite.
    """
    train, tune = films
    if len(train.rasters) < config.batch_size:
        raise UsageError(
            f"training needs at least one batch of {config.batch_size} films; got "
            f"{len(train.rasters)}. Lower batch_size or give more films"
        )
    run.checkpoint("best").parent.mkdir(parents=True, exist_ok=True)
    run.log.write_text("", "utf-8")
    loop = _Loop(config, network, run)
    for phase in config.phases:
        loop.phase(phase, train, tune, advance)
    loop.save("last")
    if loop.best is None:
        loop.save("best")
        return Fitted(loop.epoch, None, loop.hashes)
    return Fitted(*loop.best, loop.hashes)


def _average(network: Classifier, decay: float) -> AveragedModel | None:
    if decay == 0.0:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _batches(config: TrainingConfig, epoch: int, films: int) -> list[NDArray[np.intp]]:
    """The epoch's shuffled rows in whole batches; the odd films at the end wait a turn."""
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(films)
    whole = films // config.batch_size * config.batch_size
    return list(order[:whole].reshape(-1, config.batch_size))


def _augmented(
    config: TrainingConfig, rasters: NDArray[np.uint8], place: tuple[int, int]
) -> NDArray[np.uint8]:
    rng = np.random.default_rng([config.seed, *place, 1])
    changed = [augment.apply(film, augment.draw(config.augment, rng)) for film in rasters]
    return np.stack(changed)


def _rate(phase: PhaseConfig, step: int, steps_an_epoch: int) -> float:
    """Linear warm-up over a tenth of the phase, then half a cosine down to zero."""
    total = phase.epochs * steps_an_epoch
    warm = max(1, total // 10)
    if step < warm:
        return phase.rate * (step + 1) / warm
    return phase.rate * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _step(loss: Tensor, optimizer: torch.optim.Optimizer, trainable: list[nn.Parameter]) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise UsageError(
            f"the loss must stay finite; it became {value}. Lower the phase's rate, or train with "
            "precision=float32"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(trainable, 5.0)
    optimizer.step()
    return value


def _areas(states: NDArray[np.int8], logits: NDArray[np.float32]) -> list[float]:
    """AUROC of each finding that has both states on tune."""
    areas: list[float] = []
    for column in range(states.shape[1]):
        positive = states[:, column] == LabelState.POSITIVE
        known = positive | (states[:, column] == LabelState.NEGATIVE)
        area = auroc(positive[known], logits[known, column].astype(np.float64))
        if area is not None:
            areas.append(area)
    return areas
