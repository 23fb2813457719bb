"""The proof, by hash, that a phase trained exactly what it promised.

Two published systems announce a fine-tuning phase whose network never changed. Hashes of every
weight and statistic decide here: after the first step, when little is lost, and at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from torch import optim

from hilum.domain.errors import BundleError
from hilum.model.classifier import Classifier
from hilum.model.weights import digest, digests
from hilum.runs.facts import PhaseRecord
from hilum.runs.recipe_parts import PhaseConfig
from hilum.training import phases
from hilum.training.phases import Group

__all__ = ["Proof", "check_optimizer"]

_BACKBONE, _HEAD = "backbone", "head"


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
        return cls(phase, trained, phases.frozen(network, phase), dict(state))

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
