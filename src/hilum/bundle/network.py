"""Which of a run's networks computes in a precision, and that it is the one it should be."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.errors import BundleError
from hilum.files.sealed import file_sha256
from hilum.inference.engine import Precision
from hilum.runs.folder import RunFolder

__all__ = ["network_of", "network_sha256"]


def network_sha256(run: RunFolder, precision: Precision) -> str:
    """sha256 (hex) that the run's network of a precision must have.

    Raises:
        BundleError: when the run was not quantised, or what was quantised is another network.
    """
    exported = run.facts().network.model_sha256
    if not precision.quantised:
        return exported
    if not run.quantised.is_file():
        raise BundleError(
            f"precision {precision} is that of a quantised network; {run.root} has none. Run "
            f"`hilum calibrate RUN --precision {precision}`"
        )
    facts = run.quantisation()
    if facts.model_sha256 != exported:
        raise BundleError(
            f"a quantised network must come from the run's own; {run.quantised} was made of "
            f"another. Run `hilum calibrate RUN --precision {precision}` again"
        )
    return facts.quantised_sha256


def network_of(run: RunFolder, precision: Precision) -> Path:
    """The run's network for a precision: what training exported, or that in 8 bits.

    Raises:
        BundleError: when there is none, or it was changed.
    """
    path = run.quantised if precision.quantised else run.model
    expected = network_sha256(run, precision)
    if not path.is_file() or file_sha256(path) != expected:
        made, again = (
            ("calibrating quantised", "calibrate")
            if precision.quantised
            else ("training exported", "train")
        )
        raise BundleError(
            f"{path.name} must be the one {made}; {path} was changed or removed since. Restore it "
            f"or {again} again"
        )
    return path
