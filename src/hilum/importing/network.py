"""The network of a profile, filled with the tensors of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from hilum.domain.errors import BundleError
from hilum.importing.match import filled
from hilum.importing.profile import Profile
from hilum.importing.records import WeightFile
from hilum.importing.tail import ImportedNetwork
from hilum.importing.untrained import signs_of_no_training
from hilum.model.backbones import Features, backbone
from hilum.model.classifier import Classifier, ExplainedClassifier

__all__ = ["Built", "build_network"]


@dataclass(frozen=True)
class Built:
    """A network that gives logits and heatmaps, and what became of the file's tensors.

    Attributes:
        network: in eval mode.
        used: names in the file to names in the network.
        left: names in the file to the reason why they are not used.
        signs: signs that it was never trained.
    """

    network: nn.Module
    used: Mapping[str, str]
    left: Mapping[str, str]
    signs: tuple[str, ...]


def build_network(file: WeightFile, profile: Profile, where: str) -> Built:
    """Build the profile's network and give every tensor its place.

    Args:
        file: tensors by name.
        profile: backbone, head and findings.
        where: the file, for messages.

    Raises:
        BundleError: when tensors are missing, misshapen, not finite, or have no place.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(0)
        features = backbone(profile.backbone).build(profile.input.channels, profile.options)
    matched = filled(features, file, profile, where)
    network = _network(features, matched.steps, profile, where)
    signs = signs_of_no_training(matched)
    return Built(network.eval(), matched.used, matched.left, signs)


def _network(
    features: Features, steps: tuple[nn.Module, ...], profile: Profile, where: str
) -> nn.Module:
    width = features.channels * (2 if profile.pooling == "average+max" else 1)
    for step in steps:
        if isinstance(step, nn.Linear):
            if step.in_features != width:
                raise BundleError(
                    f"{where}: a linear layer of the head must take {width} values; it takes "
                    f"{step.in_features}"
                )
            width = step.out_features
    only = steps[0] if len(steps) == 1 else None
    if isinstance(only, nn.Linear) and profile.pooling == "average":
        network = Classifier(features, profile.outputs)
        network.head = only
        return ExplainedClassifier(network)
    if not isinstance(features.norm, nn.Identity):
        raise BundleError(
            f"{where}: behind a norm of the pooled map the head must be one linear layer; profile "
            f"{profile.name} has {', '.join(profile.head)}"
        )
    return ImportedNetwork(features, profile.pooling, steps)
