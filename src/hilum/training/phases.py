"""Training phases: which parts train, at which rate, and the proof that exactly these did.

Every tensor and module of the classifier has a path: `backbone.…`, or `head.…` for the rest. A
part rules every path that begins with its own, and of several parts the longest.

Two published systems announce a fine-tuning phase whose network never changed. Hashes of every
weight and statistic decide here: after the first step, when little is lost, and at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from torch import nn, optim

from hilum.domain.errors import BundleError, UsageError, suggestion
from hilum.model.classifier import Classifier
from hilum.model.weights import digest, digests
from hilum.runs.facts import PhaseRecord
from hilum.runs.recipe_parts import PhaseConfig

__all__ = ["Group", "Proof", "begin", "check", "check_optimizer", "frozen", "groups", "set_mode"]

_BACKBONE, _HEAD = "backbone", "head"
_EXTRACTOR = "extractor"
_PLACES = {"all": "", _HEAD: _HEAD, _BACKBONE: _BACKBONE}
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


def check_optimizer(optimizer: optim.Optimizer, groups: Iterable[Group]) -> None:
    """Refuse an optimizer that does not hold exactly the promised tensors at the promised rates.

    Args:
        optimizer: its groups carry the peak rate as `peak`.
        groups: of the phase.

    Raises:
        BundleError: naming the first tensor that is missing, foreign, or has another rate.
    """
    held = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
    for group in groups:
        for name, parameter in group.parameters:
            rate = held.pop(id(parameter), None)
            if rate != group.rate:
                was = "does not have it" if rate is None else f"has it at {rate:g}"
                raise BundleError(
                    f"the optimizer must train {name} ('{group.part}') at a peak rate of "
                    f"{group.rate:g}; it {was}"
                )
    if held:
        raise BundleError(
            f"the optimizer must hold what the phase trains and nothing else; it has {len(held)} "
            "tensors more"
        )


@dataclass(frozen=True)
class Proof:
    """The hashes at a phase's start, and what may differ from them later.

    Attributes:
        phase: what was promised.
        trained: part to the names of its tensors.
        frozen: names of the tensors that must stay as they are.
        before: sha256 of every parameter and buffer at the phase's start, by name, and of all that
            backbone and head have.
    """

    phase: PhaseConfig
    trained: Mapping[str, tuple[str, ...]]
    frozen: frozenset[str]
    before: Mapping[str, str]

    @classmethod
    def start(cls, network: Classifier, phase: PhaseConfig, groups: Iterable[Group]) -> Self:
        """Compute the hashes before the first step."""
        return cls.resume(network, phase, groups, _hashes(network))

    @classmethod
    def resume(
        cls,
        network: Classifier,
        phase: PhaseConfig,
        groups: Iterable[Group],
        state: Mapping[str, str],
    ) -> Self:
        """Resume with the hashes that `state` returned in an earlier process.

        Raises:
            BundleError: when they are of another network.
        """
        if set(state) != {_BACKBONE, _HEAD, *network.state_dict()}:
            raise BundleError(
                f"the hashes of phase '{phase.name}' must be of this network; its checkpoint is "
                "another's. Start the run anew"
            )
        trained = {group.part: tuple(name for name, _ in group.parameters) for group in groups}
        return cls(phase, trained, frozen(network, phase), dict(state))

    def state(self) -> dict[str, str]:
        """Return what `resume` needs: the hashes at the phase's start."""
        return dict(self.before)

    def after_first_step(self, network: Classifier) -> None:
        """Prove that no frozen tensor moved and that in every part at least one tensor did.

        Call it after the first step that moved the weights; after later steps it holds as well.

        Raises:
            BundleError: naming phase, part and tensors.
        """
        now = _hashes(network)
        self._refuse_moved(now)
        for part, names in self.trained.items():
            if not self._changed(now, names):
                raise BundleError(
                    f"phase '{self.phase.name}' must train '{part}'; none of its {len(names)} "
                    f"tensors changed in the first step ({_some(names)})"
                )

    def at_end(self, network: Classifier) -> PhaseRecord:
        """Prove that no frozen tensor moved and that every trained one did.

        Raises:
            BundleError: naming phase, part and tensors.
        """
        now = _hashes(network)
        self._refuse_moved(now)
        for part, names in self.trained.items():
            changed = self._changed(now, names)
            still = [name for name in names if name not in changed]
            if still:
                raise BundleError(
                    f"phase '{self.phase.name}' must train all of '{part}'; {len(still)} of its "
                    f"{len(names)} tensors never changed: {_some(still)}. Raise its rate, or leave "
                    "them out of what it trains"
                )
        return PhaseRecord(
            phase=self.phase.name,
            rates=self.phase.trains,
            trained={part: len(names) for part, names in self.trained.items()},
            frozen=len(self.frozen),
            backbone_before=self.before[_BACKBONE],
            backbone_after=now[_BACKBONE],
            head_before=self.before[_HEAD],
            head_after=now[_HEAD],
        )

    def _changed(self, now: Mapping[str, str], names: Iterable[str]) -> set[str]:
        return {name for name in names if now[name] != self.before[name]}

    def _refuse_moved(self, now: Mapping[str, str]) -> None:
        moved = sorted(self._changed(now, self.frozen))
        if moved:
            raise BundleError(
                f"phase '{self.phase.name}' must leave what it does not train as it was; "
                f"{len(moved)} of {len(self.frozen)} frozen tensors changed: {_some(moved)}"
            )


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _hashes(network: Classifier) -> dict[str, str]:
    """Return hashes of every tensor (names with a dot), of the backbone and of the head."""
    both = {_BACKBONE: digest(network.backbone), _HEAD: digest(network.head)}
    return {**digests(network), **both}
