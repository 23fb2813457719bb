"""Hugging Face folders: the files are the profile, and the scores are those of transformers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from hilum import Bundle
from hilum.cli.bundle import write as write_bundle
from hilum.cli.import_ import write as write_run
from hilum.domain.errors import BundleError, UsageError
from hilum.explain.caption import token_words
from hilum.imaging.read import read
from hilum.importing.hf import hf_profile, is_hf_folder
from hilum.importing.hf_names import timm_names_of_transformers
from hilum.importing.network import build_network
from hilum.importing.profile import checked, load_profile
from hilum.importing.read import read_weights
from hilum.model.tokens import TokenNetwork
from hilum.phantom.film import draw_example

sys.path.insert(0, str(Path(__file__).parents[1]))

from make_published import LABELS, SMALL, STATED, drawn

pytestmark = pytest.mark.filterwarnings("ignore")
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
    logits, heatmaps, *shares = network(images)
    for finding in range(2):
        (slope,) = torch.autograd.grad(logits[:, finding].sum(), kept[0], retain_graph=True)
        patches, slopes = kept[0][:, 1:], slope[:, 1:]
        want = torch.relu((slopes.mean(dim=1, keepdim=True) * patches).sum(dim=2))
        assert (heatmaps[:, finding].flatten(1) - want).abs().max() < 1e-6
    assert (heatmaps.max() > 0) == (pooling == "token+average")
    assert len(shares) == (pooling == "token+average")
    for share in shares:
        token, mean = kept[0][:, 0], kept[0][:, 1:].mean(dim=1)
        own, rest = token @ head.weight[:, :24].T, mean @ head.weight[:, 24:].T
        assert (share - own.abs() / (own.abs() + rest.abs())).abs().max() < 1e-6


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


@pytest.mark.slow
def test_the_share_of_the_class_token_stands_beside_each_map(
    said: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    from hilum.model.tokens import token_features

    torch.manual_seed(0)
    options = {"img_size": 64, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 3}
    features = drawn(token_features("timm/vit_tiny_patch16_224", 1, options))
    head = torch.nn.Linear(48, 2)
    held = {f"classifier.{name}": tensor for name, tensor in head.state_dict().items()}
    save_file({**features.extractor.state_dict(), **held}, tmp_path / "net.safetensors")
    profile = checked(
        {
            "name": "tokens",
            "backbone": "timm/vit_tiny_patch16_224",
            "options": options,
            "pooling": "token+average",
            "head": ["linear classifier"],
            "findings": ["Edema", "Mass"],
            "input": {
                **{"size": 64, "fit": "stretch", "channels": 1, "mean": [0.5], "std": [0.25]},
                **{"resize": "area", "depth": "8"},
            },
            **STATED,
        },
        "tokens",
        {},
    )
    write_run(tmp_path / "net.safetensors", profile, tmp_path / "run")
    write_bundle(tmp_path / "run", tmp_path / "bundle")
    film = tmp_path / "film.png"
    pixels = np.rint(draw_example("Effusion", seed=1).pixels * 255).astype(np.uint8)
    Image.fromarray(pixels).save(film)
    given = ("predict", tmp_path / "bundle", film, "-o", tmp_path / "out", "--heatmaps", "all")
    code, _, err = said(*given, "--quiet")
    assert code == 0, err
    (line,) = (tmp_path / "out" / "results.jsonl").read_text("utf-8").splitlines()
    shares = json.loads(line)["token_shares"]

    bundle = Bundle.load(tmp_path / "bundle")
    prep = bundle.manifest.preprocessing
    image = torch.from_numpy(prep.normalize(prep.raster(read(film))[None]))
    with torch.no_grad():
        _, _, want = TokenNetwork(features, "token+average", head)(image)
    assert list(shares) == ["Edema", "Mass"]
    assert np.abs(np.array(list(shares.values())) - want[0].numpy()).max() < 1e-5
    words = token_words(shares["Mass"])
    assert words in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert bundle.explain(film, "Mass")["Mass"].token_share == pytest.approx(shares["Mass"])
    assert bundle.predict(film).to_dict()["token_shares"].keys() == shares.keys()
