"""Hugging Face folders: the files are the profile, and the scores are those of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from hilum.domain.errors import BundleError, UsageError
from hilum.imaging.read import read
from hilum.importing.hf import hf_profile, is_hf_folder
from hilum.importing.hf_names import timm_names_of_transformers
from hilum.importing.network import build_network
from hilum.importing.profile import load_profile
from hilum.importing.read import read_weights
from hilum.model.tokens import TokenNetwork
from hilum.phantom.film import draw_example

pytestmark = pytest.mark.filterwarnings("ignore")
STATED = {"seen": [], "license": "Apache-2.0", "citation": "none", "url": "none"}
LABELS = ("Edema", "Effusion", "Mass")
SMALL: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 96,
    "image_size": 64,
    "patch_size": 16,
}
NETWORKS: dict[str, dict[str, Any]] = {
    "ViT": SMALL,
    "DeiT": SMALL,
    "Dinov2": SMALL,
    "Swin": {
        "embed_dim": 12,
        "depths": [2, 2, 6, 2],
        "num_heads": [3, 6, 12, 24],
        "window_size": 2,
        "image_size": 64,
    },
    "ResNet": {
        "layer_type": "basic",
        "depths": [2, 2, 2, 2],
        "hidden_sizes": [64, 128, 256, 512],
    },
    "ConvNext": {"hidden_sizes": [8, 16, 32, 64], "depths": [3, 3, 9, 3]},
}
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 64, "width": 64},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
}


def drawn(network: torch.nn.Module) -> torch.nn.Module:
    """The network with weights that give films different logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            spread = 0.3 if tensor.ndim > 1 else 0.1
            tensor.add_(spread * torch.randn(tensor.shape, generator=generator))
            if "layer_scale" in name:
                tensor.fill_(0.5)
        for name, tensor in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_scores_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = getattr(transformers, f"{name}Config")(
        **NETWORKS[name],
        id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)},
        problem_type="multi_label_classification",
    )
    network = drawn(getattr(transformers, f"{name}ForImageClassification")(config))
    network.save_pretrained(tmp_path / "net")
    processor = transformers.ViTImageProcessorPil(
        size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.25] * 3, resample=2
    )
    processor.save_pretrained(tmp_path / "net")
    films: list[Path] = []
    for seed in (1, 2):
        film = np.rint(draw_example("Effusion", seed=seed).pixels * 255).astype(np.uint8)
        films.append(tmp_path / f"{seed}.png")
        Image.fromarray(film[:, : 200 + 20 * seed]).save(films[-1])
    given = processor([Image.open(path).convert("RGB") for path in films], return_tensors="pt")
    with torch.no_grad():
        want = network(**given).logits.numpy()
    profile = hf_profile(tmp_path / "net", STATED)
    assert profile.findings == LABELS
    built = build_network(read_weights(tmp_path / "net"), profile, name)
    rasters = np.stack([profile.input.raster(read(path)) for path in films])
    with torch.no_grad():
        logits, heatmaps = built.network(torch.from_numpy(profile.input.normalize(rasters)))
    assert np.ptp(want) > 1e-2
    assert np.abs(logits.numpy() - want).max() <= 1e-4 * np.ptp(want)
    assert (heatmaps.max() > 0) == (name not in ("ViT", "DeiT"))
    assert built.design.backbone == profile.backbone


def folder_of(path: Path, config: dict[str, Any], processor: dict[str, Any] = PROCESSOR) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config), "utf-8")
    (path / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    return path


VIT: dict[str, Any] = {
    "architectures": ["ViTForImageClassification"],
    "id2label": {"0": "Edema", "1": "Effusion", "2": "Mass"},
    "problem_type": "multi_label_classification",
    **SMALL,
}


def test_a_folder_is_its_own_profile(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "net", VIT)
    assert is_hf_folder(folder)
    with pytest.raises(UsageError, match="lacks seen, license, citation, url"):
        hf_profile(folder, {})
    profile = hf_profile(folder, STATED)
    assert profile.input.fit == "stretch"
    assert profile.input.resize == "pil-bilinear"
    assert profile.pooling == "token"
    with pytest.raises(UsageError, match="made from the files of a folder"):
        load_profile("hf-image-classification", {})


@pytest.mark.parametrize(
    ("config", "processor", "word"),
    [
        ({"auto_map": {"AutoModel": "mine.Net"}}, {}, "config.json has auto_map"),
        ({}, {"auto_map": {"AutoImageProcessor": "x"}}, "preprocessor_config.json has auto_map"),
        ({"architectures": ["BeitForImageClassification"]}, {}, "BeitForImageClassification"),
        ({"hidden_act": "quick_gelu"}, {}, "hidden_act quick_gelu"),
        ({"problem_type": None}, {}, "lacks findings"),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, {}, "lacks findings"),
        ({}, {"resample": None}, r"lacks input\.resize"),
        ({}, {"do_center_crop": True, "crop_size": 48}, r"lacks input\.size, input\.fit"),
        ({"intermediate_size": 100}, {}, "intermediate_size"),
    ],
)
def test_what_is_not_said_or_not_known_is_named(
    config: dict[str, Any], processor: dict[str, Any], word: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "net", {**VIT, **config}, {**PROCESSOR, **processor})
    with pytest.raises((BundleError, UsageError), match=word):
        hf_profile(folder, STATED)


def test_two_classes_of_a_softmax_are_one_finding(tmp_path: Path) -> None:
    single = {"id2label": {"0": "NORMAL", "1": "PNEUMONIA"}}
    config = {**VIT, **single, "problem_type": "single_label_classification"}
    profile = hf_profile(folder_of(tmp_path / "net", config), STATED)
    assert profile.findings == ("none", "PNEUMONIA")
    assert profile.output == "softmax"


def test_timm_names_come_from_old_and_new_names(tmp_path: Path) -> None:
    """Of one network: query, key and value become one tensor, in this order."""
    old = "vit.encoder.layer.0.attention.attention."
    new = "vit.layers.0.attention."
    parts = [np.full((2, 2), value, np.float32) for value in (1.0, 2.0, 3.0)]
    for names in (
        [f"{old}{word}.weight" for word in ("query", "key", "value")],
        [f"{new}{word}.weight" for word in ("q_proj", "k_proj", "v_proj")],
    ):
        named = timm_names_of_transformers(dict(zip(names, parts, strict=True)), "vit")
        assert list(named) == ["blocks.0.attn.qkv.weight"]
        assert named["blocks.0.attn.qkv.weight"][:, 0].tolist() == [1, 1, 2, 2, 3, 3]
    swin = timm_names_of_transformers(
        {"swin.encoder.layers.0.downsample.norm.weight": parts[0]}, "swin"
    )
    assert list(swin) == ["layers.1.downsample.norm.weight"]
    resnet = timm_names_of_transformers(
        {"resnet.encoder.stages.1.layers.0.layer.1.normalization.bias": parts[0]}, "resnet"
    )
    assert list(resnet) == ["layer2.0.bn2.bias"]


@pytest.mark.parametrize("pooling", ["token", "token+average"])
def test_maps_of_patches_are_those_of_autograd(pooling: str) -> None:
    from hilum.model.tokens import token_features

    torch.manual_seed(0)
    options = {"img_size": 64, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 3}
    features = token_features("timm/vit_tiny_patch16_224", 1, options)
    head = torch.nn.Linear(24 if pooling == "token" else 48, 2)
    network = TokenNetwork(features, pooling, head).eval()
    images = torch.randn(2, 1, 64, 64)
    kept: list[torch.Tensor] = []
    extractor: Any = features.extractor
    extractor.norm.register_forward_hook(lambda *given: kept.append(given[2]) or given[2])
    logits, heatmaps = network(images)
    share = network.share_of_token(images)
    for finding in range(2):
        (slope,) = torch.autograd.grad(logits[:, finding].sum(), kept[0], retain_graph=True)
        patches, slopes = kept[0][:, 1:], slope[:, 1:]
        want = torch.relu((slopes.mean(dim=1, keepdim=True) * patches).sum(dim=2))
        assert (heatmaps[:, finding].flatten(1) - want).abs().max() < 1e-6
    assert (heatmaps.max() > 0) == (pooling == "token+average")
    assert bool((share == 1).all()) == (pooling == "token")
    assert 0 < share.min() <= share.max() <= 1


@pytest.mark.slow
def test_weights_of_old_folders_are_read_inertly(tmp_path: Path) -> None:
    """pytorch_model.bin and model.safetensors of one network have the same scores."""
    from hilum.model.backbones import backbone

    torch.manual_seed(0)
    state = dict(backbone("timm/resnet18").build(3, {}).extractor.state_dict())
    state |= {"fc.weight": torch.randn(3, 512), "fc.bias": torch.randn(3)}
    config = {
        "architecture": "resnet18",
        "label_names": list(LABELS),
        "problem_type": "multi_label_classification",
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "interpolation": "bicubic",
            "crop_pct": 0.875,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "classifier": "fc",
        },
    }
    scores = []
    for name, save in (("model.safetensors", save_file), ("pytorch_model.bin", torch.save)):
        folder = folder_of(tmp_path / name, config, {})
        save(state, folder / name)
        profile = hf_profile(folder, STATED)
        assert profile.input.shorter_side == 73
        built = build_network(read_weights(folder), profile, name)
        with torch.no_grad():
            scores.append(built.network(torch.ones(1, 3, 64, 64))[0])
    assert torch.equal(*scores)
