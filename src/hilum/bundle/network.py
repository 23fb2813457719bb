"""The network of a run for a precision, checked by its hash."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.errors import BundleError
from hilum.files.sealed import file_sha256
from hilum.inference.engine import Precision
from hilum.runs.folder import RunFolder

__all__ = ["network_of", "network_sha256"]


def network_sha256(run: RunFolder, precision: Precision) -> str:
    """Return the sha256 (hex) that the run's network of a precision must have.

    Raises:
        BundleError: when the run was not quantized, or a different network was.
    """
    exported = run.facts().network.model_sha256
    if not precision.quantized:
        return exported
    if not run.quantized.is_file():
        raise BundleError(
            f"precision {precision} needs a quantized network; {run.root} has none. Run "
            f"`hilum calibrate RUN --precision {precision}`"
        )
    facts = run.quantization()
    if facts.model_sha256 != exported:
        raise BundleError(
            f"a quantized network must come from the run's own; {run.quantized} was made from a "
            f"different one. Run `hilum calibrate RUN --precision {precision}` again"
        )
    return facts.quantized_sha256


def network_of(run: RunFolder, precision: Precision) -> Path:
    """Return the run's network for a precision: the exported one, or that in 8 bits.

    Raises:
        BundleError: when there is none, or it was modified.
    """
    path = run.quantized if precision.quantized else run.model
    expected = network_sha256(run, precision)
    if not path.is_file() or file_sha256(path) != expected:
        made, again = (
            ("calibrating quantized", "calibrate")
            if precision.quantized
            else ("training exported", "train")
        )
        raise BundleError(
            f"{path.name} must be the one {made}; {path} was changed or removed since. Restore it "
            f"or {again} again"
        )
    return path
