"""The contract of a backbone, for every member of the folder and some of timm's others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, nih14
from hilum.domain.members import members
from hilum.model.backbones import Activation, backbone
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest, digests

Make = Callable[..., Classifier]
Images = Callable[..., Tensor]
LABELS = LabelSet("two", ("Mass", "Edema"))


def test_the_contract_is_tried_on_every_member(small: dict[str, dict[str, int]]) -> None:
    assert set(members("hilum.model.backbones")) < set(small)


# maps


@pytest.mark.parametrize("channels", [1, 3])
def test_films_of_any_size_become_feature_maps(
    name: str, channels: int, make: Make, images: Images
) -> None:
    network = make(name, channels).eval()
    features = network.backbone
    with torch.no_grad():
        for height, width in ((64, 64), (65, 97), (32, 160)):
            films = images(2, height, width, channels)
            maps = features(films)
            assert maps.shape[:2] == (2, features.channels)
            assert maps.shape[2] <= height // 8
            assert maps.shape[3] <= width // 8
            assert features.pooled(maps).shape == (2, features.channels)
            torch.testing.assert_close(network(films), network.head(features.pooled(maps)))


def test_nothing_overwrites_the_map(name: str, make: Make, images: Images) -> None:
    network = make(name).train()
    seen: list[tuple[Tensor, Tensor]] = []
    network.backbone.register_forward_hook(lambda *call: seen.append((call[2], call[2].clone())))
    network(images(2, 64, 64)).sum().backward()
    ((now, then),) = seen
    assert torch.equal(now, then)
    negative = bool((then < 0).any())
    assert negative or network.backbone.activation is Activation.NONE, "the map before its ReLU"


# training


def test_a_step_changes_every_tensor_of_a_member(name: str, make: Make, images: Images) -> None:
    network = make(name).train()
    before = digests(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    network(images(4, 64, 64)).square().sum().backward()
    assert [key for key, weight in network.named_parameters() if weight.grad is None] == []
    optimizer.step()
    after = digests(network)
    assert before.keys() == after.keys() == set(network.state_dict())
    still = {key for key in before if before[key] == after[key]}
    # some of timm's start their residual blocks at zero, where no gradient passes at first
    allowed = 0 if name in members("hilum.model.backbones") else len(before) // 2
    assert len(still) <= allowed, still
    assert "head.weight" not in still


def test_logits_are_float32_under_autocast(make: Make, images: Images) -> None:
    for kind in ("resnet50", "convnext_tiny"):
        network = make(kind).train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images(2, 32, 32))
        assert logits.dtype == torch.float32
        logits.sum().backward()


@pytest.mark.parametrize("kind", ["resnet50", "convnext_tiny", "timm/test_resnet"])
def test_stochastic_depth_leaves_blocks_out_in_training_only(
    kind: str, make: Make, images: Images, lived_in: Callable[[Classifier], Classifier]
) -> None:
    network, plain = lived_in(make(kind, drop_path=0.9)), lived_in(make(kind))
    films = images(2, 64, 64)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.testing.assert_close(network(films), plain(films))
        for norm in network.modules():
            norm.train(not isinstance(norm, nn.BatchNorm2d))
        torch.manual_seed(0)
        assert not torch.equal(network(films), network(films))


@pytest.mark.parametrize("kind", ["densenet121", "timm/vgg11", "timm/densenet121"])
def test_stochastic_depth_is_refused_where_no_block_can_be_left_out(kind: str) -> None:
    with pytest.raises(UsageError, match=r"no stochastic depth; drop_path must be 0, got 0\.1"):
        backbone(kind).build(1, {}, 0.1)


@pytest.mark.parametrize("depth", [-0.1, 1.0])
def test_stochastic_depth_is_a_probability(depth: float) -> None:
    with pytest.raises(UsageError, match=r"drop_path must be in \[0, 1\)"):
        classifier("resnet50", LABELS, 1, {}, 0, depth)


# seeds


def test_the_seed_fixes_every_weight_and_leaves_the_world_alone(name: str, make: Make) -> None:
    first = digest(make(name, seed=1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        torch.randn(3)
        make("timm/test_resnet", seed=7)
        state = torch.get_rng_state()
        assert digest(make(name, seed=1)) == first != digest(make(name, seed=2))
        assert torch.equal(torch.get_rng_state(), state)


# refusals


@pytest.mark.parametrize("member", members("hilum.model.backbones"))
def test_an_option_it_does_not_have_is_refused(member: str) -> None:
    with pytest.raises(UsageError, match=f"{member} has no option 'growth'"):
        backbone(member).build(1, {"growth": 4})
    if member == "resnet10t_lite0":  # two published networks, with no options
        return
    option = {"densenet121": "growth_rate"}.get(member, "width")
    with pytest.raises(UsageError, match=f"option {option} of {member} must be 1 or more, got 0"):
        backbone(member).build(1, {option: 0})


def test_an_unknown_backbone_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"no backbone 'densenet12'; .* Did you mean 'densenet121"):
        backbone("densenet12")
    with pytest.raises(UsageError, match=r"no backbone 'resnet18'; .* Did you mean 'timm/resnet18"):
        backbone("resnet18")
    for internal in ("base", "parts"):
        with pytest.raises(UsageError, match=f"no backbone '{internal}'"):
            backbone(internal)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("timm/resnet51", {}, r"timm has no network 'resnet51'\. Did you mean 'resnet5"),
        ("timm/", {}, "timm has no network ''"),
        ("timm/hf-hub:someone/net", {}, "timm has no network 'hf-hub:someone/net'"),
        ("timm/test_resnet.zz", {}, "timm cannot build test_resnet.zz: Invalid pretrained tag"),
        ("timm/test_resnet", {"growth": 4}, "timm cannot build test_resnet with {'growth': 4}:"),
        ("timm/test_vit", {}, r"must end in a feature map .*; test_vit ends in \(1, 101, 64\)"),
        ("timm/coat_tiny", {}, "must end in a feature map .*; coat_tiny ends in several"),
    ],
)
def test_what_timm_cannot_give_is_refused_in_one_line(
    kind: str, options: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        backbone(kind).build(1, options)
    assert "\n" not in str(caught.value)


def test_a_network_of_fixed_size_says_which(images: Images) -> None:
    features = backbone("timm/test_maxvit").build(1, {"img_size": 64}).eval()
    assert features(images(1, 64, 64)).shape[:2] == (1, features.channels)
    with pytest.raises(UsageError, match="test_maxvit takes films of 64 x 64 pixels, got 64 x 96"):
        features(images(1, 64, 96))


# the published networks


@pytest.mark.parametrize(
    ("member", "weights", "head", "channels"),
    [
        ("densenet121", 7_978_856, 1024 * 1000 + 1000, 1024),  # Huang et al. 2017
        ("resnet50", 25_557_032, 2048 * 1000 + 1000, 2048),  # He et al. 2016
        ("convnext_tiny", 28_589_128, 768 * 1000 + 1000, 768),  # Liu et al. 2022
    ],
)
def test_a_member_is_the_published_one(member: str, weights: int, head: int, channels: int) -> None:
    with torch.device("meta"):  # shapes without the work
        features = backbone(member).build(3, {})
    assert sum(parameter.numel() for parameter in features.parameters()) + head == weights
    assert features.channels == channels
    assert features.timm_name == member


def test_densenet_pools_1024_features_globally_for_a_linear_head_of_14(images: Images) -> None:
    network = classifier("densenet121", nih14(), 3, {}, seed=0).eval()
    assert isinstance(network.head, nn.Linear)
    assert network.head.weight.shape == (14, 1024)
    features = network.backbone.extractor.get_submodule("features")
    parts = [name for name, _ in features.named_children()]
    assert parts[-1] == "norm5"
    assert [part for part in parts if part.startswith("denseblock")] == [
        f"denseblock{number}" for number in (1, 2, 3, 4)
    ]
    with torch.no_grad():
        for height, width in ((224, 224), (64, 320), (97, 65)):
            films = images(2, height, width, channels=3)
            pooled = torch.relu(features(films)).mean(dim=(2, 3))
            torch.testing.assert_close(network(films), network.head(pooled))


def test_findings_have_a_sigmoid_each_and_no_softmax(name: str, make: Make, images: Images) -> None:
    network = make(name).eval()
    assert not any(isinstance(module, nn.Softmax | nn.LogSoftmax) for module in network.modules())
    films = images(2, 64, 64)
    with torch.no_grad():
        before = torch.sigmoid(network(films))
        network.head.bias[0] += 5.0
        after = torch.sigmoid(network(films))
    assert ((before > 0) & (before < 1)).all()
    assert (after[:, 0] > before[:, 0]).all()
    assert torch.equal(after[:, 1:], before[:, 1:]), "a softmax would take from the others"
    assert ((after.sum(dim=1) - 1).abs() > 1e-3).all()
