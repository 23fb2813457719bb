"""A loss by which heatmaps point at findings whose place is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hilum.model.classifier import Classifier, evidence
from hilum.training.data.batches import Batch
from hilum.training.data.places import DrawnPlaces

__all__ = ["PointingLoss"]

_LEAST = 1e-6
"""Smallest share of a map that counts, so that a finding far from every cell costs no infinity."""


@dataclass(eq=False)
class PointingLoss:
    """The mean over findings of `-log(share of the map that lies on the finding)`.

    The map is a softmax over the cells of h w times their evidence, which is Grad-CAM before its
    ReLU. A map without preference costs `-log(area)`; one whose hottest cells lie on the finding
    costs little, however hot they are beside those of other films. Films without the finding have
    no term: that their logit is low is the other loss's task.

    Args:
        places: where the findings of the train films are.
        network: the classifier; its backbone's maps are kept from one forward pass to the next.
    """

    places: DrawnPlaces
    network: Classifier
    _maps: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.network.backbone.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _given: object, maps: Tensor) -> None:
        self._maps = maps if self.network.training else None

    def value(self, batch: Batch) -> Tensor:
        """Return the loss of the batch that went through the network last; 0 without places."""
        if self._maps is None:
            raise RuntimeError("a batch must go through the network before its maps have a loss")
        maps, self._maps = self._maps.float(), None
        size = (maps.shape[2], maps.shape[3])
        placed = self.places.on(batch.rows, batch.changes, size)
        if not len(placed.films):
            return maps.sum() * 0.0
        with torch.autocast(maps.device.type, enabled=False):
            cells = evidence(self.network, maps) * (size[0] * size[1])
        films, findings, inside = (
            torch.from_numpy(part).to(maps.device)
            for part in (placed.films, placed.findings, placed.inside)
        )
        shares = torch.softmax(cells[films, findings], dim=1)
        return -((shares * inside).sum(dim=1).clamp_min(_LEAST).log()).mean()
