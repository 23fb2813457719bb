"""Every tensor of a file to its place in the network, by name and shape; or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilum.domain.errors import BundleError
from hilum.importing.hf_names import timm_names_of_transformers
from hilum.importing.profile import FROM_FILE, Profile
from hilum.importing.records import WeightFile
from hilum.model.backbones import Features
from hilum.model.published import HEAD_NORM, with_timm_names
from hilum.model.tail import Affine, set_epsilon
from hilum.model.weights import COUNTER

__all__ = ["Matched", "filled"]

_LEFT: Mapping[str, str] = {
    rf"(^|\.){COUNTER}$": "a counter that nothing reads",
    r"(^|\.)op_threshs$": "operating points, which the profile has",
    r"(^|\.)relative_position_index$": "positions, which the network counts itself",
}
_NAMED = 4


@dataclass(frozen=True)
class Matched:
    """A network with the tensors of a file, and what became of each.

    Attributes:
        features: the backbone, filled.
        steps: the head, filled.
        epsilon: of the backbone's norms, where file or profile state it.
        used: names in the file to names in the network.
        left: names in the file to the reason why they are not used.
    """

    features: Features
    steps: tuple[nn.Module, ...]
    epsilon: float | None
    used: Mapping[str, str]
    left: Mapping[str, str]


def filled(features: Features, file: WeightFile, profile: Profile, where: str) -> Matched:
    """Fill a network with the tensors of a file; each has exactly one place or a reason.

    Raises:
        BundleError: naming the tensor that is missing, misshapen, not finite, or without a place.
    """
    _agree(file, profile, where)
    own = dict(features.extractor.state_dict())
    own |= {f"{HEAD_NORM}{name}": tensor for name, tensor in features.norm.state_dict().items()}
    wanted = [name for name in own if not name.endswith(COUNTER)]
    key, named, prefix = _holder(file, profile, wanted, where)
    placed: dict[str, str] = {}
    for name in wanted:
        found = _one(named, f"{prefix}{name}", where)
        _check(found, tuple(own[name].shape), f"{where}: tensor {prefix}{name}")
        with torch.no_grad():
            own[name].copy_(torch.from_numpy(np.array(found, np.float32)))
        placed[f"{prefix}{name}"] = name
    epsilon = file.settings.get("epsilon", profile.epsilon)
    if epsilon is not None:
        set_epsilon(features, epsilon)
    head = _Head(named, file, profile, where)
    steps = tuple(head.steps())
    placed |= head.placed
    left = _left_over(named, placed, profile, where)
    left |= {f"{other}:*": "of another key" for other in file.holders if other != key}
    left |= dict.fromkeys(file.carried, "carried unread, no tensor")
    return Matched(features, steps, epsilon, placed, left)


def _agree(file: WeightFile, profile: Profile, where: str) -> None:
    """Refuse a file that states another pooling or output than the profile."""
    for part, stated in (("pooling", profile.pooling), ("output", profile.output)):
        found = file.texts.get(part)
        if profile.head == (FROM_FILE,) and found not in (None, (stated,)):
            raise BundleError(
                f"profile and file must agree on the {part}; {where} has {', '.join(found or ())}, "
                f"profile {profile.name} {stated}. Add --set {part}={(found or ('',))[0]}"
            )
    if profile.head == (FROM_FILE,) and not file.texts.get("head"):
        raise BundleError(f"{where} does not say what its head is; name its steps in the profile")


def _holder(
    file: WeightFile, profile: Profile, wanted: list[str], where: str
) -> tuple[str, dict[str, NDArray[Any]], str]:
    """Return the key, the tensors under timm's names, and the prefix of the backbone's."""
    keys = list(file.holders) if profile.key is None else [profile.key]
    if profile.key is not None and profile.key not in file.holders:
        raise BundleError(
            f"{where} must have tensors under {profile.key}; it has them under "
            f"{', '.join(repr(key) for key in file.holders)}"
        )
    best: list[tuple[int, str, dict[str, NDArray[Any]], str]] = []
    for key in keys:
        holder: Any = file.holders[key]
        if profile.naming != "timm":
            holder = timm_names_of_transformers(holder, profile.naming.partition("-")[2])
        named: Any = with_timm_names(holder)
        ends = [name.removesuffix(wanted[0]) for name in named if name.endswith(wanted[0])]
        for prefix in dict.fromkeys([*ends, ""]):
            if prefix == "" or prefix.endswith("."):
                count = sum(f"{prefix}{name}" in named for name in wanted)
                best.append((count, key, named, prefix))
    best.sort(key=lambda one: -one[0])
    count, key, named, prefix = best[0]
    whole = [one for one in best if one[0] == len(wanted)]
    if len(whole) > 1:
        found = ", ".join(f"{one[1]}:{one[3]}" for one in whole[:_NAMED])
        raise BundleError(
            f"{where} must hold one network that fits; it has {found}. Name one with --set key=KEY"
        )
    if count < len(wanted) / 2:
        tops = list(dict.fromkeys(name.partition(".")[0] for name in named))
        raise BundleError(
            f"{where} must have the tensors of {profile.backbone}, such as {wanted[0]}; it has "
            f"{len(named)} tensors of {', '.join(tops[:6])}. Is the profile the right one?"
        )
    return key, named, prefix


def _one(named: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    if name not in named:
        raise BundleError(f"{where}: tensor {name} is missing. Fetch the file again")
    return named[name]


def _check(found: NDArray[Any], shape: tuple[int, ...], where: str) -> None:
    if found.shape != shape:
        raise BundleError(f"{where} must be {shape}, got {found.shape}")
    if not np.issubdtype(found.dtype, np.floating):
        raise BundleError(f"{where} must be of floating-point numbers, got {found.dtype}")
    if not np.isfinite(found).all():
        raise BundleError(f"{where} holds NaN or infinity")


class _Head:
    """The steps of a profile's head, filled with the tensors that they name."""

    def __init__(
        self,
        named: Mapping[str, NDArray[Any]],
        file: WeightFile,
        profile: Profile,
        where: str,
    ) -> None:
        self._named = named
        self._profile = profile
        self._where = where
        self.placed: dict[str, str] = {}
        self._steps = file.texts.get("head", ()) if profile.head == (FROM_FILE,) else profile.head

    def steps(self) -> Iterator[nn.Module]:
        steps = self._steps
        last = max((at for at, step in enumerate(steps) if step.startswith("linear ")), default=0)
        for at, step in enumerate(steps):
            word, _, names = step.partition(" ")
            if word == "relu" and not names and at < last:
                yield nn.ReLU()
            elif word == "norm" and names:
                yield self._affine(names.split())
            elif word == "linear" and names:
                yield self._linear(names.split(), at == last)
            else:
                raise BundleError(
                    f"a head's steps are `linear NAME`, `norm NAME` and `relu`, a linear one last; "
                    f"profile {self._profile.name} has `{step}`"
                )

    def _tensor(self, name: str) -> NDArray[Any]:
        found = _one(self._named, name, self._where)
        self.placed[name] = f"head.{name}"
        return found

    def _affine(self, names: list[str]) -> Affine:
        """Return the norm of a name, or those of several names: one for each finding."""
        pairs = [self._norm(name) for name in names]
        if len(pairs) == 1:
            scale, shift = pairs[0]
            return Affine(torch.from_numpy(scale), torch.from_numpy(shift))
        for name, pair in zip(names, pairs, strict=True):
            _check(pair[0], pairs[0][0].shape, f"{self._where}: norm {name}")
        if len(pairs) != len(self._profile.findings):
            raise BundleError(
                f"a head has one norm, or one for each of the {len(self._profile.findings)} "
                f"findings; profile {self._profile.name} names {len(pairs)}"
            )
        kept = [pairs[row] for row in self._profile.trained]
        scales, shifts = (np.stack(part) for part in zip(*kept, strict=True))
        return Affine(torch.from_numpy(scales), torch.from_numpy(shifts))

    def _norm(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        parts = [
            np.asarray(self._tensor(f"{name}.{part}"), np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        for part in parts:
            _check(part, parts[0].shape, f"{self._where}: norm {name}")
        weight, bias, mean, variance = parts
        scale = weight / np.sqrt(variance + 1e-5)
        return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)

    def _linear(self, names: list[str], last: bool) -> nn.Linear:
        kernels: list[NDArray[Any]] = []
        biases: list[NDArray[Any]] = []
        for name in names:
            kernel, bias = self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")
            where = f"{self._where}: tensor {name}"
            if kernel.ndim == 4 and kernel.shape[2:] == (1, 1):
                kernel = kernel[:, :, 0, 0]
            if kernel.ndim != 2:
                raise BundleError(f"{where}.weight must be a matrix, got {kernel.shape}")
            _check(kernel, (kernel.shape[0], kernel.shape[1]), f"{where}.weight")
            _check(bias, (kernel.shape[0],), f"{where}.bias")
            kernels.append(kernel)
            biases.append(bias)
        weight = np.concatenate(kernels).astype(np.float32)
        shift = np.concatenate(biases).astype(np.float32)
        if last:
            weight, shift = self._trained(weight, shift)
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(shift))
        return linear

    def _trained(
        self, weight: NDArray[np.float32], shift: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the rows of trained outputs; for a softmax of two, one logit less the other."""
        profile = self._profile
        if len(weight) != len(profile.findings):
            raise BundleError(
                f"{self._where}: the head must have one output for each of the "
                f"{len(profile.findings)} findings of profile {profile.name}; it has {len(weight)}"
            )
        rows = list(profile.trained)
        if profile.output == "softmax":
            other = [1 - rows[0]]
            return weight[rows] - weight[other], shift[rows] - shift[other]
        return weight[rows], shift[rows]


def _left_over(
    named: Mapping[str, Tensor | NDArray[Any]],
    placed: Mapping[str, str],
    profile: Profile,
    where: str,
) -> dict[str, str]:
    reasons = {
        **_LEFT,
        **{rf"^{re.escape(name)}(\.|$)": why for name, why in profile.unused.items()},
    }
    left: dict[str, str] = {}
    for name in named:
        if name in placed:
            continue
        why = next((why for sign, why in reasons.items() if re.search(sign, name)), None)
        if why is None:
            raise BundleError(
                f"{where}: tensor {name} has no place in {profile.backbone} with the head "
                f"{', '.join(profile.head)}. If it is of no use, say why: --set "
                f'\'unused={{"{name}": "REASON"}}\''
            )
        left[name] = why
    return left
