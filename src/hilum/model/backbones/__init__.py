"""Backbones by name: a file of this folder, or any network of timm's that ends in a feature map.

The contract says where a backbone's Grad-CAM lives, and what lies behind that map.

A network of timm's is cut behind its feature map. The map is what timm's `forward_features` gives,
on which its own classifier pools. What timm has behind it (a hidden layer, a classifier) is left
out, but for a LayerNorm of the pooled map, which pretrained features were trained to pass through.
State-dict keys are timm's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, cast

import timm
import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError, suggestion
from hilum.domain.members import member, members

__all__ = [
    "PREFIX",
    "Activation",
    "Backbone",
    "Builder",
    "Features",
    "TimmFeatures",
    "backbone",
    "chosen",
    "cut",
    "is_timm",
    "refuse_drop_path",
]

PREFIX = "timm/"
"""Start of the name of a backbone that is a network of timm's."""


class Activation(StrEnum):
    """What lies between the feature map of Grad-CAM and the pooling."""

    RELU = "relu"
    """A ReLU: the map is the one before it, and its negative cells have no gradient."""
    NONE = "none"
    """Nothing: the gradient is the same in every cell."""


class Features(nn.Module):
    """A feature extractor and what the classifier must know of it.

    Behind the map A come the activation, global average pooling and, where a network was made so,
    a norm of the K means: `norm(mean_hw(activation(A)))`. That order is what makes Grad-CAM known
    in closed form. All weights but those of the findings' linear head are in here, the norm's too,
    so that pretrained weights keep their meaning.

    Args:
        extractor: (B, C, H, W) images to (B, K, h, w) feature maps, on which Grad-CAM is defined.
            Nothing may overwrite them in place.
        channels: K.
        activation: applied to the map before it is pooled.
        norm: of the pooled map, over its K values; none for most networks.
        timm_name: timm's network with the same tensors, whose pretrained weights fit; none where
            there is no such.

    Example:
        >>> features = Features(nn.Conv2d(1, 8, 3), 8, Activation.RELU)
        >>> features.pooled(features(torch.zeros(2, 1, 16, 16))).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        extractor: nn.Module,
        channels: int,
        activation: Activation = Activation.RELU,
        norm: nn.LayerNorm | None = None,
        timm_name: str | None = None,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.channels = channels
        self.activation = activation
        self.norm: nn.Module = nn.Identity() if norm is None else norm
        self.timm_name = timm_name

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float to the map A, (B, K, h, w)."""
        return self.extractor(images)

    def means(self, maps: Tensor) -> Tensor:
        """The map A to `mean_hw(activation(A))`, (B, K), in float32 whatever the map is in."""
        active = torch.relu(maps) if self.activation is Activation.RELU else maps
        return active.float().mean(dim=(2, 3))

    def pooled(self, maps: Tensor) -> Tensor:
        """The map A to what the linear head reads, (B, K)."""
        return self.norm(self.means(maps))


class Builder(Protocol):
    """The function that makes a backbone."""

    def __call__(
        self, channels: int, options: Mapping[str, int], drop_path: float = 0.0
    ) -> Features:
        """Make a freshly initialized extractor.

        Args:
            channels: of the images, 1 or 3.
            options: the backbone's own.
            drop_path: stochastic depth (Huang et al. 2016): the probability with which the last
                block is left out for a film in training; it rises linearly from 0 at the first.

        Raises:
            UsageError: for an option the backbone does not have, or stochastic depth where it has
                no blocks to leave out.
        """
        ...


@dataclass(frozen=True)
class Backbone:
    """The contract of a backbone; each file of this folder defines `BACKBONE: Backbone`.

    Attributes:
        build: makes a freshly initialized extractor.
    """

    build: Builder


def chosen(backbone: str, known: Mapping[str, int], options: Mapping[str, int]) -> dict[str, int]:
    """The known options with their defaults, and the chosen ones in their stead.

    Raises:
        UsageError: for an unknown option, or a value below 1.

    Example:
        >>> chosen("resnet50", {"width": 64}, {"width": 8})
        {'width': 8}
    """
    for name, value in options.items():
        if name not in known:
            raise UsageError(
                f"{backbone} has no option '{name}'; it has: {', '.join(known)}."
                f"{suggestion(name, known)}"
            )
        if value < 1:
            raise UsageError(f"option {name} of {backbone} must be 1 or more, got {value}")
    return {**known, **options}


def refuse_drop_path(backbone: str, drop_path: float) -> None:
    """Refuse stochastic depth for a backbone whose blocks cannot be left out.

    Raises:
        UsageError: for any but 0.
    """
    if drop_path:
        raise UsageError(
            f"{backbone} has no stochastic depth; drop_path must be 0, got {drop_path}"
        )


class TimmFeatures(Features):
    """A timm network up to its last feature map.

    Args:
        network: timm's, its head taken off.
        channels: K.
        norm: of the pooled map.
        timm_name: its name there.
        channels_last: whether its map is (B, h, w, K), as a transformer's may be.
        side: of the only images it takes, pixels; none where it takes any.
    """

    def __init__(
        self,
        network: nn.Module,
        channels: int,
        norm: nn.LayerNorm | None,
        timm_name: str,
        channels_last: bool,
        side: int | None,
    ) -> None:
        super().__init__(network, channels, Activation.NONE, norm, timm_name)
        self.channels_last = channels_last
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float to the map A, (B, K, h, w).

        Raises:
            UsageError: for images of another size than a network of fixed size takes.
        """
        if self.side is not None and images.shape[2:] != (self.side, self.side):
            raise UsageError(
                f"{self.timm_name} takes films of {self.side} x {self.side} pixels, got "
                f"{images.shape[2]} x {images.shape[3]}; set its option img_size"
            )
        maps = cast(Any, self.extractor).forward_features(images)
        return maps.permute(0, 3, 1, 2) if self.channels_last else maps


def backbone(name: str) -> Backbone:
    """Return the backbone of that name: a file of `backbones/`, or `timm/NAME`.

    The options of `timm/NAME` are timm's own arguments, such as `img_size` of a transformer; NAME
    may have the tag of its weights, as in `timm/resnet50.tv_in1k`.

    Raises:
        UsageError: when there is none.

    Example:
        >>> backbone("timm/test_resnet").build(1, {}).channels
        96
    """
    if name.startswith(PREFIX):
        network = name.removeprefix(PREFIX)
        if not is_timm(network):
            near = suggestion(network, timm.list_models())
            raise UsageError(f"timm has no network '{network}'.{near}")
        return Backbone(partial(_of_timm, network))
    known = members(__name__)
    if name not in known:
        near = suggestion(name, (*known, *([f"{PREFIX}{name}"] if is_timm(name) else [])))
        raise UsageError(
            f"no backbone '{name}'; there are: {', '.join(known)}, and {PREFIX}NAME for any of "
            f"timm's.{near}"
        )
    return member(__name__, name, Backbone, "backbone")


def _of_timm(
    name: str, channels: int, options: Mapping[str, int], drop_path: float = 0.0
) -> Features:
    return cut(name, channels, drop_path, options)


def is_timm(name: str) -> bool:
    """Whether timm has a network of that name."""
    return timm.is_model(name)


def cut(name: str, channels: int, drop_path: float, arguments: Mapping[str, Any]) -> Features:
    """A freshly initialized network of timm's up to its last feature map.

    Args:
        name: timm's.
        channels: of the images.
        drop_path: stochastic depth.
        arguments: others of timm's.

    Raises:
        UsageError: where timm refuses the arguments, or the network has no feature map, or none
            of its blocks can be left out.
    """
    given: dict[str, Any] = {**arguments, "num_classes": 0, "in_chans": channels}
    if drop_path:
        given["drop_path_rate"] = drop_path
    try:
        network = timm.create_model(name, pretrained=False, **given)
    except Exception as error:  # each network has its own way to refuse
        if "drop_path_rate" in str(error):
            refuse_drop_path(name, drop_path)
        options = f" with {dict(arguments)}" if arguments else ""
        raise UsageError(f"timm cannot build {name}{options}: {_line(error)}") from None
    if not any(getattr(module, "drop_prob", 0.0) for module in network.modules()):
        refuse_drop_path(name, drop_path)
    published = cast("dict[str, Any]", network.pretrained_cfg)
    side = arguments.get("img_size", published["input_size"][-1])
    maps = _map_of_zeros(network, name, (1, channels, side, side))
    count = cast(int, network.num_features)
    if maps.ndim != 4 or count not in (maps.shape[1], maps.shape[3]):
        raise UsageError(
            f"a backbone must end in a feature map (B, K, h, w), where Grad-CAM can look; {name} "
            f"ends in {tuple(maps.shape) or 'several'}. Take a convolutional network"
        )
    norm = _take_head(network, maps, count)
    fixed = published.get("fixed_input_size", False)
    return TimmFeatures(network, count, norm, name, maps.shape[1] != count, side if fixed else None)


def _map_of_zeros(network: nn.Module, name: str, shape: tuple[int, ...]) -> Tensor:
    """What `forward_features` gives for black images, with its graph."""
    training = network.training
    try:
        maps = cast(Any, network.eval()).forward_features(torch.zeros(shape))
    except Exception as error:  # as above
        raise UsageError(f"{name} cannot see images of {shape}: {_line(error)}") from None
    network.train(training)
    return maps if isinstance(maps, Tensor) else torch.empty(())


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _take_head(network: nn.Module, maps: Tensor, channels: int) -> nn.LayerNorm | None:
    """Remove the parts that the map does not come from; the norm of the pooled map among them."""
    weights = dict(network.named_parameters())
    slopes = torch.autograd.grad(maps.sum(), list(weights.values()), allow_unused=True)
    # None where a weight is not in the graph, whatever its type says
    reached = cast("tuple[Tensor | None, ...]", slopes)
    used = {name for name, slope in zip(weights, reached, strict=True) if slope is not None}
    unused = weights.keys() - used
    norm = getattr(getattr(network, "head", None), "norm", None)
    for part in {name.split(".")[0] for name in unused} - {name.split(".")[0] for name in used}:
        setattr(network, part, nn.Identity())
    if not isinstance(norm, nn.LayerNorm) or norm.normalized_shape != (channels,):
        return None
    return nn.LayerNorm(channels, eps=norm.eps) if "head.norm.weight" in unused else None
