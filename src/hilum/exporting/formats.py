"""Writers of each format; each returns the exported network, read back from its files."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilum.bundle.bundle import Bundle
from hilum.domain.notice import NOT_A_DEVICE
from hilum.exporting.hub import (
    classifier_of,
    hub_card,
    hub_config,
    preprocessor_config,
    timm_network,
)
from hilum.exporting.parity import Forward
from hilum.exporting.rebuild import design_of, rebuilt
from hilum.model.backbones import Features
from hilum.model.weights import COUNTER

__all__ = ["FORMATS", "Written"]

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Written:
    """An exported network as its own library reads it.

    Attributes:
        forward: the network, read back.
        notes: what the format does not carry.
    """

    forward: Forward
    notes: tuple[str, ...] = ()


Writer = Callable[[Bundle, str, Path], Written]
"""Bundle, backbone where the bundle does not name it, and folder to what was written."""


def _facts(bundle: Bundle) -> dict[str, str]:
    """Return what a file of tensors must carry beside them, as texts."""
    return {
        "notice": NOT_A_DEVICE,
        "bundle": bundle.id,
        "findings": json.dumps(list(bundle.labels)),
        "preprocessing": bundle.manifest.preprocessing.model_dump_json(),
        "license": str(getattr(bundle.manifest.facts.origin, "license", "") or "not stated"),
    }


def _write_onnx(bundle: Bundle, _: str, folder: Path) -> Written:
    import onnx

    model = onnx.load(bundle.root / "model.onnx")
    onnx.helper.set_model_props(model, _facts(bundle))
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    return Written(_openvino_forward(path))


def _write_openvino(bundle: Bundle, _: str, folder: Path) -> Written:
    import openvino

    model = openvino.Core().read_model(bundle.root / "model.onnx")
    for name, value in _facts(bundle).items():
        model.set_rt_info(value, ["hilum", name])
    path = folder / "model.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    return Written(_openvino_forward(path))


def _openvino_forward(path: Path) -> Forward:
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", hint)

    def forward(images: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        found = [compiled({"images": image[None]}) for image in images]
        logits, heatmaps = (
            np.concatenate([np.array(one[name]) for one in found])
            for name in ("logits", "heatmaps")
        )
        return logits, heatmaps

    return forward


def _write_torchscript(bundle: Bundle, backbone: str, folder: Path) -> Written:
    network = rebuilt(bundle, design_of(bundle, backbone))
    prep = bundle.manifest.preprocessing
    example = torch.zeros(2, prep.channels, prep.size, prep.size)
    path = folder / "model.pt"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what tracing fixes, which the comparison checks
        traced: Any = torch.jit.trace(network, example)
        facts = {f"{name}.txt": value for name, value in _facts(bundle).items()}
        torch.jit.save(traced, str(path), _extra_files=facts)
        read: Any = torch.jit.load(str(path))
    return Written(_torch_forward(read))


def _torch_forward(network: Callable[[Tensor], Any]) -> Forward:
    def forward(images: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # one by one: a trace must not hold for the number of films it was made with only
            found = [network(torch.from_numpy(image[None])) for image in images]
        if isinstance(found[0], Tensor):
            return torch.cat(found).numpy(), None
        logits, heatmaps = (torch.cat([one[part] for one in found]).numpy() for part in (0, 1))
        return logits, heatmaps

    return forward


def _published_names(network: nn.Module) -> dict[str, str]:
    """Return names in the rebuilt network to names in a file: timm's, and those of the head."""
    inner: Any = getattr(network, "network", network)
    features: Features = inner.backbone
    before = "network." if inner is not network else ""
    names: dict[str, str] = {}
    for name in network.state_dict():
        if name.endswith(COUNTER):
            continue
        short = name.removeprefix(before)
        for ours, theirs in (
            ("backbone.extractor.", ""),
            ("backbone.norm.", "head.norm."),
            ("head.", f"{_head(features)}."),
            ("steps.", "head."),
        ):
            if short.startswith(ours):
                names[name] = theirs + short.removeprefix(ours)
                break
    return names


def _head(features: Features) -> str:
    return classifier_of(features.timm_name) if features.timm_name else "classifier"


def _write_safetensors(bundle: Bundle, backbone: str, folder: Path) -> Written:
    from safetensors.torch import load_file, save_file

    design = design_of(bundle, backbone)
    network = rebuilt(bundle, design)
    names = _published_names(network)
    state = network.state_dict()
    tensors = {theirs: state[ours].contiguous().clone() for ours, theirs in names.items()}
    facts = {**_facts(bundle), "design": design.model_dump_json()}
    save_file(tensors, folder / WEIGHTS, metadata={"hilum": json.dumps(facts, sort_keys=True)})
    again = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in again.state_dict().values():
            tensor.zero_()
    read = load_file(folder / WEIGHTS)
    again.load_state_dict({ours: read[theirs] for ours, theirs in names.items()}, strict=False)
    return Written(_torch_forward(again))


def _write_timm(bundle: Bundle, backbone: str, folder: Path) -> Written:
    return _write_hub(bundle, backbone, folder, transformers=False)


def _write_hf(bundle: Bundle, backbone: str, folder: Path) -> Written:
    return _write_hub(bundle, backbone, folder, transformers=True)


def _write_hub(bundle: Bundle, backbone: str, folder: Path, transformers: bool) -> Written:
    import timm
    from safetensors.torch import load_file, save_file

    design = design_of(bundle, backbone)
    name, arguments = timm_network(bundle, design)
    own = rebuilt(bundle, design)
    names = _published_names(own)
    state = own.state_dict()
    if design.pooling == "token":
        word = classifier_of(name)
        names = {ours: theirs.replace("head.0.", f"{word}.") for ours, theirs in names.items()}
    tensors = {theirs: state[ours].contiguous().clone() for ours, theirs in names.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = hub_config(bundle, design, transformers)
    processor, lost = preprocessor_config(bundle)
    _write_json(folder / "config.json", config)
    _write_json(folder / "preprocessor_config.json", processor)
    (folder / "README.md").write_text(hub_card(bundle, lost, transformers), "utf-8")
    network = timm.create_model(name, num_classes=len(bundle.labels), **arguments)
    read = load_file(folder / WEIGHTS)
    counters = {k: v for k, v in network.state_dict().items() if k.endswith(COUNTER)}
    network.load_state_dict({**counters, **read})
    notes = (
        "no heatmaps, calibrator, operating points or input gate: logits alone",
        *(f"not in preprocessor_config.json: {one}" for one in lost),
    )
    return Written(_torch_forward(network.eval()), notes)


def _write_json(path: Path, tree: dict[str, Any]) -> None:
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")


FORMATS: dict[str, Writer] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "safetensors": _write_safetensors,
    "torchscript": _write_torchscript,
    "hf": _write_hf,
    "timm": _write_timm,
}
"""Writer of each format by name."""
