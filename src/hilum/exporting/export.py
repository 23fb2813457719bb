"""From a bundle to a folder in a different format, compared with the bundle before it is kept."""

from __future__ import annotations

from pathlib import Path

from hilum.bundle.bundle import Bundle
from hilum.domain.errors import UsageError, suggestion
from hilum.exporting.formats import FORMATS
from hilum.exporting.parity import Compared, compare
from hilum.files.atomic import atomic_folder
from hilum.inference.engine import Precision

__all__ = ["export_bundle"]

_GRAPHS = ("onnx", "openvino")
"""Formats that carry the bundle's graph itself, in 8 bits too."""


def export_bundle(path: Path | str, kind: str, out: Path, backbone: str = "") -> Compared:
    """Write a bundle's network in a different format, with `export.json` beside it.

    Args:
        path: folder of the bundle, or the name of one that ships with hilum.
        kind: onnx, openvino, safetensors, torchscript, hf or timm.
        out: folder to write, which must not exist yet.
        backbone: of the network, where an older bundle does not say it; empty otherwise.

    Returns:
        The comparison with the bundle, on the drawn films of its self-test.

    Raises:
        UsageError: for an unknown format, a folder that exists, or a network that the format
            cannot hold.
        BundleError: when the exported network gives other logits or heatmaps.
    """
    if kind not in FORMATS:
        near = suggestion(kind, tuple(FORMATS))
        raise UsageError(f"--to must be one of {', '.join(FORMATS)}; got '{kind}'.{near}")
    if out.exists():
        raise UsageError(f"an export is written to a new folder; {out} exists. Name another")
    bundle = Bundle.load(path)
    if bundle.precision.quantized and kind not in _GRAPHS:
        raise UsageError(
            f"a network in 8 bits can be exported to {' or '.join(_GRAPHS)}; got {kind}. "
            "Calibrate the run in f32 and bundle it again"
        )
    if bundle.precision is Precision.BF16:
        bundle = Bundle.load(path, precision=Precision.F32)
    with atomic_folder(out) as work:
        written = FORMATS[kind](bundle, backbone, work)
        found = compare(bundle, kind, written.forward, work, written.notes)
        (work / "export.json").write_text(found.model_dump_json(indent=2) + "\n", "utf-8")
    return found
