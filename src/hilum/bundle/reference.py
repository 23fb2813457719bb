"""The watch's reference of a bundle: what its films and scores were, bound to it by hash."""

from __future__ import annotations

from pathlib import Path

from hilum.bundle.manifest import Manifest
from hilum.domain.documents.rule_out import RuleOut
from hilum.domain.documents.watch import WatchReference
from hilum.domain.errors import BundleError
from hilum.files.sealed import read_sealed

__all__ = ["read_reference"]


def read_reference(path: Path, manifest: Manifest, rule: RuleOut | None) -> WatchReference:
    """Read the reference of exactly this network, calibration, gate and rule.

    Args:
        path: watch_reference.json, of `hilum watch fit`.
        manifest: of the bundle.
        rule: its rule-out rule; None where it has none.

    Raises:
        BundleError: for a missing or edited file, or naming the part that differs.
    """
    reference = read_sealed(WatchReference, path)
    calibration = manifest.calibration
    bound = {
        "calibration": (reference.bond, calibration.bond),
        "gate": (reference.gate_sha256, manifest.gate.sha256()),
        "rule-out rule": (reference.rule_sha256, "" if rule is None else rule.rule_sha256),
    }
    for part, (held, own) in bound.items():
        if held != own:
            raise BundleError(
                f"a reference must be of the bundle's {part}; {path} is of {_named(held)}, the "
                f"bundle has {_named(own)}. Run `hilum watch fit` on results of this bundle"
            )
    return reference


def _named(sha256: str) -> str:
    return sha256[:12] or "none"
