"""The policy that decides about an upgrade: a YAML file with a limit for each number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hilum.domain.errors import UsageError
from hilum.runs.recipe import Source, describe

__all__ = [
    "ATTRIBUTES",
    "AurocLimit",
    "OverlapLimit",
    "RatioLimit",
    "ShareLimit",
    "UpgradePolicy",
    "policy_sha256",
    "read_policy",
]

ATTRIBUTES = ("sex", "age", "view", "visit")
"""Attributes of subgroups."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShareLimit(_Part):
    """A share of films that must be shown to be small."""

    at_most: float | None = Field(default=None, ge=0.0, lt=1.0)
    """The limit; without it there is no such rule."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence with which the bound must be within the limit, one-sided."""
    findings: tuple[str, ...] = ()
    """Findings that it is about; none for all that both bundles have."""


class AurocLimit(ShareLimit):
    """A loss of AUROC that must be shown to be small, by finding."""

    subgroups: bool | tuple[str, ...] = False
    """Whether also in each subgroup, as the mean over its findings; or attributes: sex, age, view,
    visit."""


class RatioLimit(_Part):
    """A ratio that must not be exceeded."""

    at_most: float | None = Field(default=None, gt=0.0)


class OverlapLimit(_Part):
    """A share that heatmaps must have in common."""

    at_least: float | None = Field(default=None, ge=0.0, le=1.0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)


class UpgradePolicy(_Part):
    """Limits that a new bundle must keep beside the old one."""

    auroc_loss: AurocLimit = AurocLimit()
    sensitivity_loss: ShareLimit = ShareLimit()
    """Share of films with a finding that the old bundle calls and the new one does not, less those
    that it calls alone."""
    specificity_loss: ShareLimit = ShareLimit()
    flips: ShareLimit = ShareLimit()
    """Share of films with a call that differs, by finding."""
    rejects: ShareLimit = ShareLimit()
    """Share of inputs that the old bundle scores and the new one does not."""
    rule_out_loss: ShareLimit = ShareLimit()
    """Loss of the share of films that is ruled out."""
    heatmaps: OverlapLimit = OverlapLimit()
    speed: RatioLimit = RatioLimit()
    """Seconds a film, the new bundle's over the old one's."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(limit for _, limit in self.limits()):
            raise ValueError("a policy must have a limit, such as flips: {at_most: 0.03}")
        groups = self.auroc_loss.subgroups
        for word in () if isinstance(groups, bool) else groups:
            if word not in ATTRIBUTES:
                raise ValueError(f"subgroups must be of {', '.join(ATTRIBUTES)}; got '{word}'")
        return self

    def limits(self) -> Iterator[tuple[str, bool]]:
        """Give each key, and whether it has a limit."""
        for name in type(self).model_fields:
            part = getattr(self, name)
            limit = part.at_least if isinstance(part, OverlapLimit) else part.at_most
            yield name, limit is not None

    @property
    def needs_labels(self) -> bool:
        """Whether a limit is on numbers against labels."""
        own = (self.auroc_loss, self.sensitivity_loss, self.specificity_loss)
        return any(part.at_most is not None for part in own)


def read_policy(text: str, name: str) -> UpgradePolicy:
    """Read a policy.

    Args:
        text: YAML.
        name: of the file, for messages.

    Raises:
        UsageError: for an unknown key, with its line, or a value out of range.

    >>> read_policy("flips: {at_most: 0.03}", "policy.yaml").flips.at_most
    0.03
    >>> read_policy("flip: {at_most: 0.03}", "policy.yaml")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: policy.yaml:1: flip: no such field. Did you mean 'flips'?
    """
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise UsageError(f"a policy must be YAML; {name}: {place}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"a policy must be a mapping such as flips: {{at_most: 0.03}}; got {name}")
    source = Source.of(name, text)
    try:
        return UpgradePolicy.model_validate(tree)
    except ValidationError as error:
        raise UsageError(describe(error, UpgradePolicy, source)) from None


def policy_sha256(text: str) -> str:
    """Return the sha256 (hex) of a policy's text."""
    return hashlib.sha256(text.encode()).hexdigest()
