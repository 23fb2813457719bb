"""One step of the optimizer, from a few batches to new weights; the same on any number of ranks.

With t the terms of the loss and n what their sum is divided by, over all batches of the step on
all ranks, the gradient is that of ``sum(t) / sum(n)``: as if one process had seen them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from hilum.model.classifier import Classifier
from hilum.runs.recipe import TrainingConfig
from hilum.runs.recipe_parts import PhaseConfig
from hilum.training import losses, optimizer, phases
from hilum.training.average import Average
from hilum.training.checkpoint import State
from hilum.training.data import augment_device
from hilum.training.data.batches import Batch
from hilum.training.data.films import Films
from hilum.training.data.places import DrawnPlaces
from hilum.training.device import Device
from hilum.training.losses import Terms
from hilum.training.phases import Group
from hilum.training.pointing import PointingLoss
from hilum.training.ranks import Ranks

__all__ = ["Learner", "StepResult", "Targets"]


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets and mask of the loss.

    Attributes:
        y: (N, L) float32 in [0, 1].
        mask: (N, L) float32, 1 where the label is known.
    """

    y: NDArray[np.float32]
    mask: NDArray[np.float32]


@dataclass(frozen=True)
class StepResult:
    """The result of a step, over all ranks.

    Attributes:
        terms, count: the loss is terms / count.
        norm: of the gradient, before clipping; not finite where the step was skipped.
        stop: whether any rank received a request to stop.
    """

    terms: float
    count: float
    norm: float
    stop: bool

    @property
    def loss(self) -> float:
        """0 where nothing in the step was labeled."""
        return self.terms / self.count if self.count else self.terms

    @property
    def moved(self) -> bool:
        """Whether the weights moved."""
        return math.isfinite(self.norm)

    def astray(self, scaled: bool) -> bool:
        """Return whether training must stop; a gradient may overflow where the loss is scaled."""
        return not math.isfinite(self.loss) or not (self.moved or scaled)


class Learner:
    """The network in training, the average of its weights, and the optimizer that moves it.

    Args:
        config: of the run.
        network: trained in place.
        device: where.
        ranks: who else trains it.
        state_weights: (L, 2) weights of negative and positive terms of the loss.
    """

    def __init__(
        self,
        config: TrainingConfig,
        network: Classifier,
        device: Device,
        ranks: Ranks,
        state_weights: NDArray[np.float32],
    ) -> None:
        self.config = config
        self.device = device
        self.ranks = ranks
        self.network = ranks.synchronized(device.place(network))
        decay = config.weights_average
        self.average = Average(self.network, decay) if decay > 0.0 else None
        self.scaler = device.scaler()
        self.state_weights = state_weights
        self._loss = losses.loss(config.loss.name)
        self._weights = device.tensor(state_weights)
        self._buffers = [buffer.clone() for buffer in self.network.buffers()]
        self._pointing: PointingLoss | None = None

    def point_at(self, places: DrawnPlaces) -> None:
        """Add the loss by which heatmaps point at these places, weighted by `loss.masks`."""
        self._pointing = PointingLoss(places, self.network)

    @property
    def kept(self) -> Classifier:
        """The network that is scored and saved: the average of the weights where there is one."""
        return self.network if self.average is None else self.average.module

    def begin(self, phase: PhaseConfig) -> tuple[Group, ...]:
        """Freeze and unfreeze, and build the phase's optimizer."""
        groups = phases.begin(self.network, phase)
        self.optimizer = optimizer.build(groups, self.config.optimizer)
        self._parallel = self.ranks.wrap(self.network)
        self._forward: Callable[[Tensor], Tensor] = self.device.callable(self._parallel)
        return groups

    def learn(self, batches: Sequence[Batch], targets: Targets, stop: bool) -> StepResult:
        """Take one step.

        Args:
            batches: this rank's part of the step's batches.
            targets: of all films.
            stop: whether this rank received a request to stop.

        Returns:
            The step's result. Where the loss or the gradient is not finite, no weight has changed.
        """
        self._keep_buffers()
        sums = torch.zeros(3, dtype=torch.float64, device=self.device.name)
        scale = 1.0
        for number, batch in enumerate(batches, start=1):
            with self._unshared() if number < len(batches) else nullcontext():
                images = self._images(batch)
                with self.device.autocast():
                    logits = self._forward(images)
                terms = self._terms(logits.float(), batch, targets)
                scale = logits.numel()  # a sum of thousands of terms would overflow float16
                self._backward(terms.sum / scale)
            sums[0] += terms.sum.detach()
            sums[1] += terms.count
        sums[2] = float(stop)
        self.ranks.total(sums)
        # DistributedDataParallel has divided by the number of ranks
        self._scale_gradients(self.ranks.size * scale / torch.where(sums[1] > 0, sums[1], 1.0))
        norm = optimizer.step(self.optimizer, self.config.optimizer, self.scaler)
        total, count, stops = sums.tolist()
        outcome = StepResult(total, count, norm, stop=stops > 0)
        if self.average is not None and outcome.moved:
            self.average.update(self.network)
        return outcome

    def undo_statistics(self) -> None:
        """Restore the batch-norm statistics from before the last step."""
        for buffer, kept in zip(self.network.buffers(), self._buffers, strict=True):
            buffer.copy_(kept)

    def loss_of(self, logits: NDArray[np.float32], targets: Targets) -> float:
        """Return the loss of scored films, computed at once on the CPU."""
        given = (logits, targets.y, targets.mask, self.state_weights)
        scored, y, mask, weights = map(torch.from_numpy, given)
        return float(self._loss.value(scored, y, mask, weights, self.config.loss).mean)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors that training changes, by name."""
        found = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        if self.average is not None:
            found |= {f"average.{name}": t for name, t in self.average.state().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{key}": t for key, t in state.items() if t is not None}
        return found

    def load_network(self, state: State, scaler: dict[str, Any] | None) -> None:
        """Restore the network, the average and the loss scale of a state."""
        self.network.load_state_dict(state.part("network"))
        if self.average is not None:
            self.average.resume(state.part("average"))
        if self.scaler is not None and scaler is not None:
            self.scaler.load_state_dict(scaler)

    def load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the optimizer's tensors; call after `begin`.

        Each is laid out in memory as its parameter is, as it was: vectorized sums of another
        layout differ in the last bit.
        """
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            index, key = name.split(".")
            parameter = parameters[int(index)]
            if tensor.shape == parameter.shape:
                tensor = torch.empty_like(parameter).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    def _images(self, batch: Batch) -> Tensor:
        preprocessing = self.config.preprocessing
        if self.config.data.augment_on == "cpu":
            return self.device.pixels(batch.rasters, preprocessing)
        films = augment_device.apply(self.device.tensor(batch.rasters), batch.changes)
        return self.device.pixels(films, preprocessing)

    def _terms(self, logits: Tensor, batch: Batch, targets: Targets) -> Terms:
        y, mask = (self.device.tensor(part[batch.rows]) for part in (targets.y, targets.mask))
        terms = self._loss.value(logits, y, mask, self._weights, self.config.loss)
        if self._pointing is None:
            return terms
        # as many times as the loss has terms, since their sum will be divided by that number
        pointing = self.config.loss.masks * self._pointing.value(batch)
        return Terms(terms.sum + pointing * terms.count, terms.count)

    def _backward(self, loss: Tensor) -> None:
        if self.scaler is None:
            loss.backward()
        else:
            self.scaler.scale(loss).backward()

    def _unshared(self) -> AbstractContextManager[None]:
        """Accumulate gradients locally; they are averaged over ranks with the last batch."""
        if isinstance(self._parallel, DistributedDataParallel):
            return self._parallel.no_sync()
        return nullcontext()

    def _scale_gradients(self, factor: Tensor) -> None:
        tensors = [p.grad for group in self.optimizer.param_groups for p in group["params"]]
        found = [tensor for tensor in tensors if tensor is not None]
        torch._foreach_mul_(found, factor.float())  # pyright: ignore

    def _keep_buffers(self) -> None:
        """Copy the statistics: a forward pass that fails writes NaN into them."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, list(self.network.buffers()))  # pyright: ignore

    @torch.inference_mode()
    def score(self, films: Films) -> NDArray[np.float32]:
        """Return (N, L) logits of the kept weights; each rank scores its share, all get all.

        The weights are put into evaluation mode; statistics are rank 0's.
        """
        network = self.kept
        self.ranks.same_statistics(network)
        network.eval()
        found = torch.zeros(len(films), len(network.labels), device=self.device.name)
        rank, size = self.ranks.share
        own = np.arange(rank, len(films), size)
        for start in range(0, len(own), self.config.batch_size):
            rows = own[start : start + self.config.batch_size]
            images = self.device.pixels(films.rasters[rows], self.config.preprocessing)
            with self.device.autocast():
                scored = network(images)
            found[self.device.tensor(rows)] = scored.float()
        return self.ranks.total(found).cpu().numpy()
