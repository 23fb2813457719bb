"""A backbone by name: a file of `backbones/`, or any network of timm's that ends in a feature map.

A network of timm's is cut behind its feature map.

The map is what timm's `forward_features` gives, on which its own classifier pools. What timm has
behind it (a hidden layer, a classifier) is left out, but for a LayerNorm of the pooled map, which
pretrained features were trained to pass through. State-dict keys are timm's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError, suggestion
from hilum.domain.members import member, members
from hilum.model.backbones.base import Activation, Backbone, Features, refuse_drop_path

__all__ = ["PREFIX", "TimmFeatures", "backbone", "cut", "is_timm"]

_FOLDER = "hilum.model.backbones"

PREFIX = "timm/"
"""Start of the name of a backbone that is a network of timm's."""


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
    known = members(_FOLDER)
    if name not in known:
        near = suggestion(name, (*known, *([f"{PREFIX}{name}"] if is_timm(name) else [])))
        raise UsageError(
            f"no backbone '{name}'; there are: {', '.join(known)}, and {PREFIX}NAME for any of "
            f"timm's.{near}"
        )
    return member(_FOLDER, name, Backbone, "backbone")


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
