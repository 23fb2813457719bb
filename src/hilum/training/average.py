"""The exponential moving average of the weights: smoother than any of them, and often better."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier

__all__ = ["Average"]

_UPDATES = "updates"


class Average:
    """The moving average of parameters and statistics over the steps.

    The first update copies; each later one is `average += (1 - decay) (weights - average)`.
    Batch-norm statistics are averaged too, since those of the last weights do not fit an average;
    counts are copied. What a phase freezes stays in the average what it is, to the bit.

    Args:
        network: the classifier itself, on its device; it is copied.
        decay: in (0, 1); the average looks back over about 1 / (1 - decay) steps.

    Source: Polyak & Juditsky 1992; equal to torch's AveragedModel with `get_ema_multi_avg_fn`.

    Attributes:
        module: the averaged classifier, in evaluation mode and without gradients.
    """

    def __init__(self, network: Classifier, decay: float) -> None:
        self.module = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: Classifier) -> None:
        """Update the average with the weights after a step."""
        pairs = list(zip(_tensors(self.module), _tensors(network), strict=True))
        real = [pair for pair in pairs if pair[0].is_floating_point()]
        whole = [pair for pair in pairs if not pair[0].is_floating_point()]
        for average, new in pairs if self.updates == 0 else whole:
            average.copy_(new)
        if self.updates > 0:
            approach = get_ema_multi_avg_fn(self.decay)
            approach([average for average, _ in real], [new for _, new in real], self.updates)
        self.updates += 1

    def state(self) -> dict[str, Tensor]:
        """Return what `resume` needs: every tensor of the average and the number of updates."""
        return {**self.module.state_dict(), _UPDATES: torch.tensor(self.updates)}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned.

        Raises:
            BundleError: when it is of another network.
        """
        tensors = {name: tensor for name, tensor in state.items() if name != _UPDATES}
        if _UPDATES not in state or set(tensors) != set(self.module.state_dict()):
            raise BundleError(
                "a moving average must be of the network that trains; the checkpoint's is of "
                "another. Start the run anew"
            )
        self.module.load_state_dict(tensors)
        self.updates = int(state[_UPDATES])


def _tensors(network: Classifier) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
