"""The network of a profile, filled with the tensors of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from hilum.domain.errors import BundleError
from hilum.importing.match import filled
from hilum.importing.profile import Profile
from hilum.importing.records import WeightFile
from hilum.importing.untrained import signs_of_no_training
from hilum.model.backbones import Features
from hilum.model.tail import Affine, assembled, features_for, head_width
from hilum.runs.facts import Design

__all__ = ["Built", "build_network"]


@dataclass(frozen=True)
class Built:
    """A network that gives logits and heatmaps, and what became of the file's tensors.

    Attributes:
        network: in eval mode.
        used: names in the file to names in the network.
        left: names in the file to the reason why they are not used.
        signs: signs that it was never trained.
        design: its parts by name.
    """

    network: nn.Module
    used: Mapping[str, str]
    left: Mapping[str, str]
    signs: tuple[str, ...]
    design: Design


def build_network(file: WeightFile, profile: Profile, where: str) -> Built:
    """Build the profile's network and give every tensor its place.

    Args:
        file: tensors by name.
        profile: backbone, head and findings.
        where: the file, for messages.

    Raises:
        BundleError: when tensors are missing, misshapen, not finite, or have no place.
    """
    channels = profile.input.channels
    features = features_for(profile.backbone, profile.pooling, channels, profile.options)
    matched = filled(features, file, profile, where)
    network = _network(features, matched.steps, profile, where)
    signs = signs_of_no_training(matched)
    kinds: dict[type[nn.Module], str] = {nn.Linear: "linear", nn.ReLU: "relu", Affine: "norm"}
    design = Design(
        backbone=profile.backbone,
        options=profile.options,
        pooling=profile.pooling,
        steps=tuple(kinds[type(step)] for step in matched.steps),
        epsilon=matched.epsilon,
    )
    return Built(network.eval(), matched.used, matched.left, signs, design)


def _network(
    features: Features, steps: tuple[nn.Module, ...], profile: Profile, where: str
) -> nn.Module:
    width = head_width(features, profile.pooling)
    for step in steps:
        if isinstance(step, Affine) and step.scale.shape[-1] != width:
            raise BundleError(
                f"{where}: a norm of the head must take {width} values; it takes "
                f"{step.scale.shape[-1]}"
            )
        if isinstance(step, nn.Linear):
            if step.in_features != width:
                raise BundleError(
                    f"{where}: a linear layer of the head must take {width} values; it takes "
                    f"{step.in_features}"
                )
            width = step.out_features
    try:
        return assembled(features, profile.pooling, steps, profile.outputs)
    except ValueError as error:
        raise BundleError(
            f"{where}: {error}; profile {profile.name} has {', '.join(profile.head)}"
        ) from None
