"""Training phases: which parts train, at which rate, and the checks on both.

Every tensor and module of the classifier has a path: `backbone.…`, or `head.…` for the rest. A
part rules every path that begins with its own, and of several parts the longest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from hilum.domain.errors import UsageError, suggestion
from hilum.model.classifier import Classifier
from hilum.runs.recipe_parts import PhaseConfig

__all__ = ["Group", "begin", "check", "frozen", "groups", "set_mode"]

_BACKBONE = "backbone"
_EXTRACTOR = "extractor"
_PLACES = {"all": "", "head": "head", _BACKBONE: _BACKBONE}
"""Paths at which the parts of every classifier begin."""


@dataclass(frozen=True)
class Group:
    """The tensors that one part of a phase trains.

    Attributes:
        part: as the phase names it.
        rate: peak learning rate.
        parameters: each with its name in the network.
    """

    part: str
    rate: float
    parameters: tuple[tuple[str, nn.Parameter], ...]


def check(network: Classifier, phases: Iterable[PhaseConfig]) -> None:
    """Refuse a run with a phase that cannot be, before hours are spent on those ahead of it.

    Raises:
        UsageError: as `groups` does, for any of the phases.
    """
    for phase in phases:
        groups(network, phase)


def groups(network: Classifier, phase: PhaseConfig) -> tuple[Group, ...]:
    """Return what the phase trains, by part; the network is not changed.

    Args:
        network: the classifier itself, not what DDP or torch.compile wrap around it.
        phase: `trains` maps `all`, `head`, `backbone` or a module of the backbone, with or without
            `backbone.` in front, to its peak rate.

    Returns:
        One group a part, in the phase's order.

    Raises:
        UsageError: for a part that is not there, that is named twice, that has no parameters, or
            whose parameters all belong to longer parts: it would train nothing.
    """
    places = _places(network, phase)
    owned: dict[str, list[tuple[str, nn.Parameter]]] = {part: [] for part in places}
    for name, parameter in network.named_parameters():
        part = _ruling(places, name)
        if part is not None:
            owned[part].append((name, parameter))
    for part, parameters in owned.items():
        if not parameters:
            raise UsageError(
                f"every part of phase '{phase.name}' must train something; '{part}' trains "
                "nothing: it has no weights, or other parts rule all it has. Remove it"
            )
    return tuple(Group(part, rate, tuple(owned[part])) for part, rate in phase.trains.items())


def begin(network: Classifier, phase: PhaseConfig) -> tuple[Group, ...]:
    """Unfreeze what the phase trains, freeze all else, and clear the gradients.

    DDP looks at what is frozen when it is made: wrap the network after this, anew in each phase.

    Raises:
        UsageError: as `groups` does.
    """
    trained = groups(network, phase)
    network.zero_grad(set_to_none=True)
    network.requires_grad_(requires_grad=False)
    for group in trained:
        for _, parameter in group.parameters:
            parameter.requires_grad = True
    return trained


def set_mode(network: Classifier, phase: PhaseConfig) -> None:
    """Set training mode for what the phase trains, evaluation mode for all else.

    A frozen part neither updates batch-norm statistics nor drops anything out: it is the same
    function in every step. With `freeze_statistics`, whatever keeps statistics keeps them.
    """
    places = _places(network, phase)
    for name, module in network.named_modules():
        keeps = any(True for _ in module.buffers(recurse=False))
        trains = _ruling(places, name) is not None
        module.training = trains and not (keeps and phase.freeze_statistics)


def frozen(network: Classifier, phase: PhaseConfig) -> frozenset[str]:
    """Return the names of parameters and buffers that the phase must not change by a bit.

    Buffers of a part that trains are its statistics, free to move unless `freeze_statistics`.
    """
    places = _places(network, phase)
    parameters = {name for name, _ in network.named_parameters()}
    return frozenset(
        name
        for name in network.state_dict()
        if _ruling(places, name) is None or (phase.freeze_statistics and name not in parameters)
    )


def _places(network: Classifier, phase: PhaseConfig) -> dict[str, str]:
    """Return each part of the phase with the path at which it begins."""
    modules: dict[str, str] = {}
    for name, _ in network.backbone.named_modules():
        if name not in ("", _EXTRACTOR):
            # of a norm in the extractor and one behind it, the name is the first's
            modules.setdefault(name.removeprefix(f"{_EXTRACTOR}."), f"{_BACKBONE}.{name}")
    places: dict[str, str] = {}
    for part in phase.trains:
        bare = part.removeprefix(f"{_BACKBONE}.")
        place = _PLACES[part] if part in _PLACES else modules.get(bare)
        if place is None:
            known = [*_PLACES, *modules]
            nearest = suggestion(bare, known) or f" Its first are: {', '.join(known[:8])}"
            raise UsageError(
                f"phase '{phase.name}' must train parts that are there; the network has no "
                f"'{part}'.{nearest}"
            )
        if place in places.values():
            raise UsageError(
                f"phase '{phase.name}' must name a part once; '{part}' is there under two names"
            )
        places[part] = place
    return places


def _ruling(places: dict[str, str], name: str) -> str | None:
    """Return the part that applies to a tensor or module: the longest prefix of its path."""
    path = name if name.split(".")[0] == _BACKBONE else f"head.{name}"
    fitting = [
        part for part, place in places.items() if not place or f"{path}.".startswith(f"{place}.")
    ]
    return max(fitting, key=lambda part: len(places[part]), default=None)
