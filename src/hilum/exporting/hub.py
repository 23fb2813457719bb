"""Files of a Hugging Face or timm folder: configuration, preprocessing and card."""

from __future__ import annotations

from typing import Any

import timm

from hilum.bundle.bundle import Bundle
from hilum.domain.errors import UsageError
from hilum.domain.notice import NOT_A_DEVICE
from hilum.imaging.preprocess import Depth, Fit
from hilum.imaging.resize import Resize
from hilum.runs.facts import Design, Imported

__all__ = ["classifier_of", "hub_card", "hub_config", "preprocessor_config", "timm_network"]

_WIDTHS = {"resnet50": "channels", "convnext_tiny": "dims"}
"""Timm's argument for the width of hilum's backbones that have one."""
_RULES = {Resize.NEAREST: 0, Resize.PIL_BILINEAR: 2, Resize.PIL_BICUBIC: 3}


def _arguments(design: Design) -> dict[str, Any]:
    """Return the arguments with which timm builds the backbone."""
    name = _WIDTHS.get(design.backbone)
    if name is None:
        return dict(design.options)
    width = design.options.get("width")
    return {} if width is None else {name: [width, 2 * width, 4 * width, 8 * width]}


def timm_network(bundle: Bundle, design: Design) -> tuple[str, dict[str, Any]]:
    """Return timm's name of the network, and the arguments that make it.

    Raises:
        UsageError: for a head or pooling that timm's networks do not have.
    """
    if design.steps != ("linear",) or design.pooling not in ("average", "token"):
        raise UsageError(
            "a network of timm's has one linear layer behind its pooling; this bundle has "
            f"{design.pooling} pooling and a head of {', '.join(design.steps)}. Export it to "
            "torchscript, onnx, openvino or safetensors"
        )
    if design.epsilon is not None:
        raise UsageError(
            f"timm's networks have an epsilon of their own; the norms of this bundle have "
            f"{design.epsilon:g}. Export it to torchscript, onnx, openvino or safetensors"
        )
    name = design.backbone.removeprefix("timm/")
    return name, {**_arguments(design), "in_chans": bundle.manifest.preprocessing.channels}


def classifier_of(name: str) -> str:
    """Return timm's name of a network's classifier."""
    found = timm.get_pretrained_cfg(name)
    word = found.classifier if found is not None else None
    if not isinstance(word, str):
        raise UsageError(f"timm does not name the classifier of {name}; export it to torchscript")
    return word


def hub_config(bundle: Bundle, design: Design, transformers: bool) -> dict[str, Any]:
    """Return config.json, for timm, and with what transformers asks for beside it."""
    name, arguments = timm_network(bundle, design)
    prep, labels = bundle.manifest.preprocessing, list(bundle.labels)
    side = [prep.channels, prep.size, prep.size]
    share = prep.size / prep.shorter_side if prep.shorter_side else 1.0
    rule = prep.resize.value.removeprefix("pil-")
    tree: dict[str, Any] = {
        "architecture": name,
        "num_classes": len(labels),
        "label_names": labels,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": side,
            "interpolation": rule if rule in ("bilinear", "bicubic", "nearest") else "bilinear",
            "crop_pct": share,
            "crop_mode": "squash" if prep.fit is Fit.STRETCH else "center",
            "mean": list(prep.mean),
            "std": list(prep.std),
            "num_classes": len(labels),
            "classifier": classifier_of(name),
            "license": _origin(bundle)["license"],
        },
    }
    if not transformers:
        return tree
    return {
        "architectures": ["TimmWrapperForImageClassification"],
        "model_type": "timm_wrapper",
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "problem_type": "multi_label_classification",
        **tree,
        "hilum": {
            "notice": NOT_A_DEVICE,
            "backbone": design.backbone,
            "options": design.options,
            "pooling": design.pooling,
            "head": [f"linear {classifier_of(name)}"],
            "thresholds": _thresholds(bundle),
            **_origin(bundle),
        },
    }


def _thresholds(bundle: Bundle) -> dict[str, float]:
    """Return the operating points where they are on the plain sigmoid, as a profile has them."""
    calibration = bundle.manifest.calibration
    if calibration.fitted_on.images:
        return {}
    return {name: one for name, one in calibration.thresholds().items() if one is not None}


def _origin(bundle: Bundle) -> dict[str, Any]:
    """Return films seen, license, citation and address, as the bundle's origin has them."""
    facts = bundle.manifest.facts
    if isinstance(facts.origin, Imported):
        own = facts.origin
        return {
            "seen": [one.model_dump() for one in own.seen],
            "license": own.license or "not stated",
            "citation": own.citation or "not stated",
            "url": own.url or "not stated",
        }
    films = facts.films
    seen = (
        [{"dataset": films.dataset, "films": f"train films of split {films.split_name}"}]
        if films
        else []
    )
    return {"seen": seen, "license": "not stated", "citation": "not stated", "url": "not stated"}


def preprocessor_config(bundle: Bundle) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return preprocessor_config.json, and what of the preprocessing it cannot say.

    Under `hilum` stands the whole preprocessing, which `hilum import` reads; the other fields say
    as much as an image processor of transformers understands.
    """
    prep = bundle.manifest.preprocessing
    size: dict[str, int] = {"height": prep.size, "width": prep.size}
    if prep.fit is Fit.CROP:
        size = {"shortest_edge": prep.shorter_side or prep.size}
    tree: dict[str, Any] = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": size,
        "resample": _RULES.get(prep.resize, 2),
        "do_center_crop": prep.fit is Fit.CROP,
        "crop_size": {"height": prep.size, "width": prep.size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(prep.mean),
        "image_std": list(prep.std),
        "hilum": {"input": prep.model_dump(mode="json")},
    }
    lost: list[str] = []
    if prep.fit is Fit.PAD:
        lost.append("films are padded to a square with black, which these processors do not do")
    if prep.fit is Fit.CORNER:
        lost.append("films are put into the corner of a square, which these processors do not do")
    if prep.resize not in _RULES:
        lost.append(f"films are resized by the rule `{prep.resize.value}`, which they do not have")
    if prep.depth is Depth.FLOAT:
        lost.append("resized films are not rounded to 8 bits")
    if prep.clahe_clip:
        lost.append(f"the contrast is equalized (CLAHE, clip limit {prep.clahe_clip:g})")
    if prep.equalize:
        lost.append("the histogram of the film is equalized before it is resized")
    if prep.blur:
        lost.append(f"the film is blurred by a Gaussian of {prep.blur} px before it is resized")
    return tree, tuple(lost)


def hub_card(bundle: Bundle, lost: tuple[str, ...], transformers: bool) -> str:
    """Return README.md: the notice, the license, what is lost, and the bundle's own card."""
    origin = _origin(bundle)
    own = (bundle.root / "CARD.md").read_text("utf-8")
    word = str(origin["license"])
    plain = word.lower() if word != "not stated" else "unknown"
    use = (
        "```python\nfrom transformers import AutoModelForImageClassification\n\n"
        'network = AutoModelForImageClassification.from_pretrained("FOLDER")\n```'
        if transformers
        else '```python\nimport timm\n\nnetwork = timm.create_model("local-dir:FOLDER", '
        "pretrained=True)\n```"
    )
    return "\n".join(
        [
            "---",
            "library_name: " + ("transformers" if transformers else "timm"),
            "pipeline_tag: image-classification",
            f"license: {plain}",
            "tags: [chest-x-ray, hilum]",
            "---",
            "",
            f"> {NOT_A_DEVICE}",
            "",
            f"License of the weights: {word}. Cite: {origin['citation']}.",
            "",
            f"Exported by hilum from bundle {bundle.id} (`{bundle.manifest.name}`). This folder "
            "gives logits: no calibrated probability, no operating point, no heatmap and no check "
            "of the film. Those are in the bundle.",
            "",
            *(f"- Not in `preprocessor_config.json`: {one}." for one in lost),
            "",
            use,
            "",
            "## Card of the bundle",
            "",
            *(
                line.replace("# ", "## ", 1) if line[:1] == "#" else line
                for line in own.split("\n")
            ),
        ]
    )
