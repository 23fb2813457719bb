"""A phase says what trains; here that is set, and afterwards proved by hash."""

from __future__ import annotations

from torch import nn

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier
from hilum.model.weights import digest
from hilum.training.config import PhaseConfig

__all__ = ["begin", "set_mode", "verify"]


def begin(network: Classifier, phase: PhaseConfig) -> list[nn.Parameter]:
    """Freeze and thaw for the phase; the parameters that train."""
    network.requires_grad_(requires_grad=True)
    if phase.trains == "head":
        network.backbone.requires_grad_(requires_grad=False)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def set_mode(network: Classifier, phase: PhaseConfig) -> None:
    """Training mode; a frozen backbone keeps its batch-norm statistics too."""
    network.train()
    if phase.trains == "head":
        network.backbone.eval()


def verify(network: Classifier, phase: PhaseConfig, before: str) -> str:
    """The backbone's hash after a phase, once it is shown that what was promised happened.

    Two published systems announce a fine-tuning phase whose network never changed. Hashes of
    every weight and statistic decide here.

    Args:
        network: after the phase.
        phase: what was promised.
        before: the backbone's hash at the phase's start.

    Raises:
        BundleError: when a frozen backbone moved or a trained one did not.
    """
    after = digest(network.backbone)
    if phase.trains == "head" and after != before:
        raise BundleError(f"phase '{phase.name}' must leave the backbone as it was; it changed")
    if phase.trains == "all" and after == before:
        raise BundleError(f"phase '{phase.name}' must train the backbone; no weight changed")
    return after
