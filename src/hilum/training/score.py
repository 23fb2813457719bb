"""What the network says of tune films after an epoch, and how good that is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.domain.findings import LabelSet, LabelState
from hilum.metrics.ranking import auroc
from hilum.training.data.films import Films
from hilum.training.step import Learner

__all__ = ["areas", "logits"]


@torch.inference_mode()
def logits(learner: Learner, films: Films) -> NDArray[np.float32]:
    """(N, L) logits of the kept weights; each rank scores its share, and all get the whole.

    The weights are put into evaluation mode; statistics are rank 0's.
    """
    network = learner.kept
    learner.ranks.same_statistics(network)
    network.eval()
    found = torch.zeros(len(films), len(network.labels), device=learner.device.name)
    rank, size = learner.ranks.share
    own = np.arange(rank, len(films), size)
    for start in range(0, len(own), learner.config.batch_size):
        rows = own[start : start + learner.config.batch_size]
        images = learner.device.pixels(films.rasters[rows], learner.config.preprocessing)
        with learner.device.autocast():
            scored = network(images)
        found[learner.device.tensor(rows)] = scored.float()
    return learner.ranks.total(found).cpu().numpy()


def areas(
    labels: LabelSet, states: NDArray[np.int8], scored: NDArray[np.float32]
) -> Mapping[str, float | None]:
    """AUROC of each finding; None for one without both states.

    Args:
        labels: of the columns.
        states: (N, L) LabelState values; what is neither positive nor negative is left out.
        scored: (N, L) logits.
    """
    found: dict[str, float | None] = {}
    for column, finding in enumerate(labels):
        positive = states[:, column] == LabelState.POSITIVE
        known = positive | (states[:, column] == LabelState.NEGATIVE)
        found[finding] = auroc(positive[known], scored[known, column].astype(np.float64))
    return found
