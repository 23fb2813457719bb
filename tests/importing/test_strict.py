"""Strictness: every tensor has its place or a reason; what does not fit is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hilum.domain.errors import BundleError, UsageError
from hilum.importing.draft import draft
from hilum.importing.network import build_network
from hilum.importing.profile import Profile, checked, load_profile
from hilum.importing.records import WeightFile
from hilum.model.backbones import Activation, Features, backbone
from hilum.model.tail import Affine, ImportedNetwork

TREE: dict[str, Any] = {
    "name": "small",
    "backbone": "densenet121",
    "options": {"growth_rate": 2},
    "head": ["linear classifier"],
    "findings": ["Edema", "", "Mass"],
    "input": {
        "size": 32,
        "fit": "stretch",
        "channels": 1,
        "mean": [0.5],
        "std": [0.5],
        "resize": "area",
        "depth": "8",
    },
    "seen": [],
    "license": "Apache-2.0",
    "citation": "none",
    "url": "none",
}


def profile(**changes: Any) -> Profile:
    return checked({**TREE, **changes}, "small", {})


@pytest.fixture(scope="module")
def tensors() -> Mapping[str, np.ndarray]:
    """A slim DenseNet-121 with a head of three outputs."""
    torch.manual_seed(0)
    features = backbone("densenet121").build(1, {"growth_rate": 2})
    held = {name: t.numpy().copy() for name, t in features.extractor.state_dict().items()}
    for name, values in held.items():
        if values.dtype == np.float32:
            drawn = np.random.default_rng(0).uniform(0.5, 1.5, values.shape)
            held[name] = ((drawn - 1.0) if values.ndim == 4 else drawn).astype(np.float32)
    held["classifier.weight"] = torch.randn(3, features.channels).numpy()
    held["classifier.bias"] = torch.randn(3).numpy()
    return held


def build(held: Mapping[str, np.ndarray], how: Profile | None = None) -> Any:
    return build_network(WeightFile("test", {"": held}), how or profile(), "net.pth")


def test_what_has_no_place_is_listed_with_the_reason(tensors: Mapping[str, np.ndarray]) -> None:
    built = build(tensors)
    assert set(built.used) | set(built.left) == set(tensors)
    assert all(name.endswith("num_batches_tracked") for name in built.left)
    assert set(built.left.values()) == {"a counter that nothing reads"}
    logits, heatmaps = built.network(torch.zeros(2, 1, 32, 32))
    assert logits.shape == (2, 2)
    assert heatmaps.shape[:2] == (2, 2)


@pytest.mark.parametrize(
    "every", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.exhaustive])]
)
def test_each_tensor_is_missed_by_name(every: bool, tensors: Mapping[str, np.ndarray]) -> None:
    names = [name for name in tensors if not name.endswith("num_batches_tracked")]
    for name in names if every else [names[0], names[7], names[-1]]:
        rest = {key: value for key, value in tensors.items() if key != name}
        with pytest.raises(BundleError, match=f"tensor {name} is missing"):
            build(rest)
        with pytest.raises(BundleError, match=rf"tensor {name} is missing|{name}_x has no place"):
            build({**rest, f"{name}_x": tensors[name]})
        poisoned = tensors[name].copy()
        poisoned.flat[-1] = np.nan
        with pytest.raises(BundleError, match=f"{name.rpartition('.')[0]}.*NaN"):
            build({**tensors, name: poisoned})
        with pytest.raises(BundleError, match=rf"{name.rpartition('.')[0]}.* must be"):
            build({**tensors, name: tensors[name][None]})
        turned = tensors[name].T
        if turned.shape != tensors[name].shape:
            with pytest.raises(BundleError, match=rf"{name.rpartition('.')[0]}.* must"):
                build({**tensors, name: turned})


def test_a_transposed_kernel_and_another_heads_width_are_refused(
    tensors: Mapping[str, np.ndarray],
) -> None:
    name = "features.denseblock1.denselayer1.conv1.weight"
    with pytest.raises(BundleError, match=name):
        build({**tensors, name: tensors[name].transpose(1, 0, 2, 3)})
    with pytest.raises(BundleError, match="must take"):
        build({**tensors, "classifier.weight": tensors["classifier.weight"][:, :-1]})
    with pytest.raises(BundleError, match="one output for each of the 2 findings"):
        build(tensors, profile(findings=["Edema", "Mass"]))


def test_an_extra_tensor_needs_a_reason(tensors: Mapping[str, np.ndarray]) -> None:
    more = {**tensors, "auxiliary.weight": np.zeros(3, np.float32)}
    with pytest.raises(BundleError, match=r"tensor auxiliary\.weight has no place"):
        build(more)
    built = build(more, profile(unused={"auxiliary": "a second head"}))
    assert built.left["auxiliary.weight"] == "a second head"


def test_two_networks_must_be_told_apart(tensors: Mapping[str, np.ndarray]) -> None:
    file = WeightFile("test", {"model": tensors, "ema": tensors})
    with pytest.raises(BundleError, match="one network that fits; it has model:, ema:"):
        build_network(file, profile(), "net.pth")
    assert build_network(file, profile(key="ema"), "net.pth").left["model:*"] == "of another key"


def test_untrained_weights_are_called_so(tensors: Mapping[str, np.ndarray]) -> None:
    assert build(tensors).signs == ()
    fresh = dict(tensors)
    for name in tensors:
        if name.endswith("running_mean"):
            fresh[name] = np.zeros_like(tensors[name])
            fresh[name.replace("mean", "var")] = np.ones_like(tensors[name])
    (sign,) = build(fresh).signs
    assert sign.startswith("LOOKS_UNTRAINED: ")
    same = np.repeat(tensors["classifier.weight"][:1], 3, axis=0)
    alike = {**tensors, "classifier.weight": same, "classifier.bias": np.zeros(3, np.float32)}
    assert "all findings have the same head" in build(alike).signs[0]


def test_a_softmax_of_two_is_one_finding(tensors: Mapping[str, np.ndarray]) -> None:
    held = {
        **tensors,
        "classifier.weight": tensors["classifier.weight"][:2],
        "classifier.bias": tensors["classifier.bias"][:2],
    }
    images = torch.randn(3, 1, 32, 32)
    one = build(held, profile(findings=["none", "Mass"], output="softmax"))
    two = build(held, profile(findings=["Edema", "Mass"]))
    with torch.no_grad():
        single, both = one.network(images)[0], two.network(images)[0]
    torch.testing.assert_close(single[:, 0], both[:, 1] - both[:, 0], atol=1e-4, rtol=1e-4)
    with pytest.raises(UsageError, match="one finding and `none`"):
        profile(findings=["none", "Mass", "Edema"], output="softmax")


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("pooling", ["average", "max", "average+max"])
def test_maps_are_those_of_autograd(activation: Activation, pooling: str) -> None:
    torch.manual_seed(0)
    features = Features(nn.Identity(), 6, activation)
    width = 12 if pooling == "average+max" else 6
    steps = [
        Affine(torch.rand(width), torch.randn(width)),
        nn.Linear(width, 5),
        nn.ReLU(),
        nn.Linear(5, 3),
    ]
    network = ImportedNetwork(features, pooling, steps).double()
    maps = torch.randn(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    logits, heatmaps = network(maps)
    for finding in range(3):
        (slope,) = torch.autograd.grad(logits[:, finding].sum(), maps, retain_graph=True)
        if pooling == "average":
            want = torch.relu((slope.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1))
        elif pooling == "max":
            want = torch.relu((slope * maps).sum(dim=1))
        else:
            continue
        assert (heatmaps[:, finding] - want).abs().max() < 1e-9
    assert heatmaps.max() > 0


@pytest.mark.parametrize("normed", ["", "one", "each"])
def test_probabilistic_pooling_weighs_its_own_cells(normed: str) -> None:
    """Maps are those of autograd while the pooling's weights are held, and add up to the logit."""
    torch.manual_seed(0)
    features = Features(nn.Identity(), 6, Activation.NONE)
    head = nn.Linear(6, 2)
    shape = {"": (), "one": (6,), "each": (2, 6)}[normed]
    norms = [Affine(torch.rand(shape) + 0.5, torch.randn(shape))] if normed else []
    network = ImportedNetwork(features, "pcam", [*norms, head]).double()
    maps = torch.randn(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    logits, heatmaps = network(maps)
    for finding in range(2):
        weight, bias = head.weight[finding], head.bias[finding]
        chance = torch.sigmoid(torch.einsum("k,bkhw->bhw", weight, maps) + bias).detach()
        share = chance / chance.sum(dim=(1, 2), keepdim=True)
        pooled = (maps * share.unsqueeze(1)).sum(dim=(2, 3))
        for norm in norms:
            row = (finding,) if normed == "each" else ()
            pooled = pooled * norm.scale[row] + norm.shift[row]
        want = pooled @ weight + bias
        assert (logits[:, finding] - want).abs().max() < 1e-12
        (slope,) = torch.autograd.grad(want.sum(), maps, retain_graph=True)
        map_ = torch.relu((slope * maps).sum(dim=1))
        assert (heatmaps[:, finding] - map_).abs().max() < 1e-12
    assert heatmaps.max() > 0


def test_norms_of_each_finding_stand_behind_their_pooling_alone(
    tensors: Mapping[str, np.ndarray],
) -> None:
    rng = np.random.default_rng(0)
    channels = tensors["classifier.weight"].shape[1]
    held = {name: one for name, one in tensors.items() if not name.startswith("classifier")}
    for index in range(3):
        held[f"fc_{index}.weight"] = rng.normal(size=(1, channels, 1, 1)).astype(np.float32)
        held[f"fc_{index}.bias"] = rng.normal(size=1).astype(np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            drawn = rng.uniform(0.5, 1.5, channels).astype(np.float32)
            held[f"bn_{index}.{part}"] = drawn
    head = ["norm bn_0 bn_1 bn_2", "linear fc_0 fc_1 fc_2"]
    built = build(held, profile(pooling="pcam", head=head))
    assert built.network.steps[0].scale.shape == (2, channels)
    assert built.design.steps == ("norm", "linear")
    with pytest.raises(BundleError, match="a norm for each finding stands behind pcam alone"):
        build(held, profile(head=head))
    with pytest.raises(BundleError, match="one norm, or one for each of the 3 findings"):
        build(held, profile(pooling="pcam", head=["norm bn_0 bn_1", head[1]]))
    with pytest.raises(BundleError, match="behind pcam the head must be one linear layer"):
        build(held, profile(pooling="pcam", head=[head[0], "relu", head[1]]))


def test_a_draft_says_what_the_file_says_and_asks_for_the_rest(
    tensors: Mapping[str, np.ndarray],
) -> None:
    file = WeightFile("test", {"model": tensors}, texts={"pathologies": ("Edema", "Mass", "")})
    text = draft(file, "net.pth")
    assert "key: model" in text
    assert "linear classifier" in text
    assert "- Edema" in text
    for field in ("input", "seen", "license", "citation", "url"):
        assert f"# {field}:" in text
    assert "# findings: [names of the 3 outputs, in order]" in draft(replace(file, texts={}), "x")


def test_what_is_missing_is_asked_for_by_name() -> None:
    with pytest.raises(UsageError, match="lacks findings, seen, license, citation, url"):
        load_profile("torchvision:densenet121", {})
    with pytest.raises(UsageError, match=r"lacks input\.size"):
        checked({**TREE, "input": {k: v for k, v in TREE["input"].items() if k != "size"}}, "x", {})
    with pytest.raises(UsageError, match="thresholds are for findings"):
        profile(thresholds={"Hernia": 0.5})
