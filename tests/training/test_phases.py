"""A phase trains what it promises and nothing else: hashes of every weight and statistic decide."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator

import pytest
import torch
from pydantic import ValidationError
from torch import distributed, nn, optim

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest
from hilum.runs.facts import PhaseRecord
from hilum.runs.recipe_parts import OptimizerConfig, PhaseConfig
from hilum.training import optimizer, phases
from hilum.training.phases import Group, Proof, check_optimizer

LAST = "backbone.extractor.features.denseblock4."
IMAGES = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def phase(**trains: float) -> PhaseConfig:
    """A phase; a double underscore stands for a dot."""
    named = {part.replace("__", "."): rate for part, rate in trains.items()}
    return PhaseConfig(name="this", trains=named, epochs=1)


HEAD, ALL = phase(head=0.1), phase(all=0.1)
LAST_BLOCK = phase(features__denseblock4=0.01, head=0.1)


@pytest.fixture(scope="module")
def fresh() -> Classifier:
    labels = LabelSet("two", ("Mass", "Edema"))
    return classifier("densenet121", labels, 1, {"growth_rate": 4}, seed=0)


@pytest.fixture
def network(fresh: Classifier) -> Classifier:
    return copy.deepcopy(fresh)


Breaks = Callable[[Classifier, optim.Optimizer], None]


def train(
    network: Classifier,
    phase: PhaseConfig,
    breaks: Breaks = lambda *_: None,
    forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> PhaseRecord:
    """Two steps as the loop takes them; `breaks` is what a careless loop does before the first."""
    groups = phases.begin(network, phase)
    proof = Proof.start(network, phase, groups)
    own = optimizer.build(groups, OptimizerConfig())
    check_optimizer(own, groups)
    phases.set_mode(network, phase)
    breaks(network, own)
    for number in range(2):
        logits = (network if forward is None else forward)(IMAGES)
        (logits - torch.tensor([1.0, -1.0])).square().sum().backward()
        optimizer.step(own, OptimizerConfig())
        if number == 0:
            proof.after_first_step(network)
    return proof.at_end(network)


def tensors(network: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(network: Classifier, before: dict[str, torch.Tensor]) -> set[str]:
    now = network.state_dict()
    return {name for name in before if not torch.equal(before[name], now[name])}


# what is promised happens


def test_the_head_phase_leaves_the_backbone_with_its_statistics(network: Classifier) -> None:
    before = tensors(network)
    record = train(network, HEAD)
    assert changed(network, before) == {"head.weight", "head.bias"}
    assert record.backbone_before == record.backbone_after == digest(network.backbone)
    assert record.head_before != record.head_after == digest(network.head)
    assert (record.trained, record.rates) == ({"head": 2}, {"head": 0.1})
    assert record.frozen == len(before) - 2


def test_the_second_phase_trains_more_tensors_and_changes_the_backbone(network: Classifier) -> None:
    first, second = train(network, HEAD), train(network, phase(head=0.1, backbone=0.001))
    assert second.backbone_before == first.backbone_after != second.backbone_after
    assert second.trained == {"head": 2, "backbone": len(list(network.parameters())) - 2}
    assert second.rates == {"head": 0.1, "backbone": 0.001}
    assert second.frozen == 0


def test_the_last_block_can_train_alone_with_its_statistics(network: Classifier) -> None:
    before = tensors(network)
    record = train(network, LAST_BLOCK)
    mine = {name for name in before if name.startswith(LAST)}
    assert changed(network, before) == mine | {"head.weight", "head.bias"}
    assert any("running_mean" in name for name in mine)
    assert record.trained["features.denseblock4"] == sum(
        1 for name, _ in network.named_parameters() if name.startswith(LAST)
    )


def test_statistics_can_stay_while_their_weights_train(network: Classifier) -> None:
    before = tensors(network)
    record = train(network, ALL.model_copy(update={"freeze_statistics": True}))
    assert changed(network, before) == {name for name, _ in network.named_parameters()}
    assert record.frozen == len(list(network.buffers()))


def test_the_longest_part_rules_a_tensor(fresh: Classifier) -> None:
    rates = {"all": 1e-3, "features.denseblock4": 1e-2, "features.denseblock4.denselayer1": 1e-1}
    groups = phases.groups(fresh, phase(**rates))
    by_part = {group.part: {name for name, _ in group.parameters} for group in groups}
    inner = f"{LAST}denselayer1."
    everything = {name for name, _ in fresh.named_parameters()}
    assert [(group.part, group.rate) for group in groups] == list(rates.items())
    assert by_part["features.denseblock4.denselayer1"] == {
        name for name in everything if name.startswith(inner)
    }
    assert by_part["features.denseblock4"] == {
        name for name in everything if name.startswith(LAST) and not name.startswith(inner)
    }
    assert by_part["all"] == {name for name in everything if not name.startswith(LAST)}
    assert f"{LAST}denselayer10.norm1.weight" in by_part["features.denseblock4"]


def test_a_module_may_be_named_with_or_without_its_backbone(fresh: Classifier) -> None:
    short, long = phase(features__denseblock4=0.1), phase(backbone__features__denseblock4=0.1)
    assert phases.groups(fresh, short)[0].parameters == phases.groups(fresh, long)[0].parameters


def test_the_norm_behind_the_pooling_is_a_part_of_the_backbone() -> None:
    """It comes with pretrained weights, and stands in the backbone's hash."""
    labels = LabelSet("two", ("Mass", "Edema"))
    network = classifier("convnext_tiny", labels, 1, {"width": 8}, seed=0)
    by_part = {
        group.part: {name for name, _ in group.parameters}
        for group in phases.groups(network, phase(head=0.1, norm=0.01, backbone=0.001))
    }
    assert by_part["head"] == {"head.weight", "head.bias"}
    assert by_part["norm"] == {"backbone.norm.weight", "backbone.norm.bias"}
    assert all(name.startswith("backbone.extractor.") for name in by_part["backbone"])


def test_what_is_frozen_runs_as_it_will_serve(network: Classifier) -> None:
    """No dropout, no statistics: the frozen part is the same function in every step."""
    extractor = network.backbone.extractor
    for block in ("features.denseblock3", "features.denseblock4"):
        extractor.get_submodule(block).add_module("dropout", nn.Dropout())
    phases.set_mode(network, LAST_BLOCK)
    training = {name for name, module in network.named_modules() if module.training}
    assert {name for name, _ in network.named_modules() if f"{name}.".startswith(LAST)} <= training
    assert "backbone.extractor.features.denseblock4.dropout" in training
    assert "head" in training
    assert not any("denseblock3" in name for name in training)
    phases.set_mode(network, ALL)
    assert all(module.training for module in network.modules())


def test_a_constant_that_is_not_saved_needs_no_proof(network: Classifier) -> None:
    network.backbone.register_buffer("index", torch.arange(3), persistent=False)
    assert train(network, HEAD).trained == {"head": 2}


def test_a_phase_begins_without_old_gradients(network: Classifier) -> None:
    phases.begin(network, ALL)
    network(IMAGES).sum().backward()
    phases.begin(network, HEAD)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.fixture
def one_process() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("wrapper", ["ddp", pytest.param("compile", marks=pytest.mark.slow)])
def test_the_proof_holds_for_a_network_inside_a_wrapper(wrapper: str) -> None:
    blocks = {name: nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)) for name in ("one", "two")}
    torch.manual_seed(0)
    plain = Classifier(Features(nn.Sequential(OrderedDict(blocks)), 1), LabelSet("one", ("Mass",)))
    network = copy.deepcopy(plain)
    promised = phase(two=0.01, head=0.1)
    phases.begin(network, promised)  # as the loop does: DDP looks at what is frozen
    wrapped = (
        nn.parallel.DistributedDataParallel(network)
        if wrapper == "ddp"
        else torch.compile(network, backend="eager")
    )
    record = train(network, promised, forward=wrapped)
    assert record == train(plain, promised)
    assert (record.trained, record.frozen) == ({"two": 4, "head": 2}, 4 + 3)


# what cannot be is refused


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("features.denseblok4", r"no 'features\.denseblok4'\. Did you mean 'features\.denseblock4"),
        ("backbone.features.denseblock5", r"Did you mean 'features\.denseblock[1-4]'\?"),
        ("heads", r"Did you mean 'head'\?"),
        ("backbone.head", r"no 'backbone\.head'\. Did you mean 'head'\?"),
        ("x", "Its first are: all, head, backbone, features,"),
        ("extractor", "has no 'extractor'"),
        ("backbone.extractor.features", "has no"),
        ("", "has no ''"),
        ("features.conv0.weight", r"Did you mean 'features\.conv0'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(
    fresh: Classifier, part: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        phases.begin(fresh, phase(**{part: 0.1}))
    assert "phase 'this' must train parts that are there" in str(caught.value)


@pytest.mark.parametrize(
    ("trains", "idle"),
    [
        ({"features.pool0": 0.1}, "features.pool0"),
        ({"head": 0.1, "features.pool0": 0.1}, "features.pool0"),
        ({"all": 0.1, "head": 0.1, "backbone": 0.1}, "all"),
        ({"features": 0.1, "backbone": 0.1}, "backbone"),
    ],
)
def test_a_part_that_trains_nothing_is_refused(
    fresh: Classifier, trains: dict[str, float], idle: str
) -> None:
    with pytest.raises(UsageError, match=f"'{idle}' trains nothing"):
        phases.begin(fresh, phase(**trains))


def test_one_module_under_two_names_is_refused(fresh: Classifier) -> None:
    twice = phase(features__denseblock4=0.1, backbone__features__denseblock4=0.2)
    with pytest.raises(UsageError, match="must name a part once"):
        phases.begin(fresh, twice)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_part_cannot_train_at_a_rate_that_moves_nothing(rate: float) -> None:
    with pytest.raises(ValidationError):
        phase(head=rate)
    with pytest.raises(ValidationError, match="at least 1 item"):
        PhaseConfig(name="this", trains={}, epochs=1)


def test_a_later_phase_is_refused_before_the_first_begins(fresh: Classifier) -> None:
    with pytest.raises(UsageError, match="Did you mean 'backbone'"):
        phases.check(fresh, [HEAD, phase(backbon=0.1)])
    assert all(parameter.requires_grad for parameter in fresh.parameters())


# a careless loop is caught, fault by fault


def nothing_frozen(network: Classifier, own: optim.Optimizer) -> None:
    """Trains all, whatever the phase says."""
    held = {id(p) for group in own.param_groups for p in group["params"]}
    others = [p for p in network.parameters() if id(p) not in held]
    network.requires_grad_(requires_grad=True)
    own.add_param_group({"params": others, "lr": 0.1})


def training_mode(network: Classifier, own: optim.Optimizer) -> None:
    """Forgets that batch norm learns in training mode, with or without gradients."""
    network.train()


def emptied(network: Classifier, own: optim.Optimizer) -> None:
    """Keeps the optimizer of the phase before, which has other tensors."""
    for group in own.param_groups:
        if group["part"] != "head":
            group["params"] = []


def without_rate(network: Classifier, own: optim.Optimizer) -> None:
    for group in own.param_groups:
        group["lr"] = 0.1 if group["part"] == "head" else 0.0


def refrozen(network: Classifier, own: optim.Optimizer) -> None:
    network.backbone.requires_grad_(requires_grad=False)


def one_layer_forgotten(network: Classifier, own: optim.Optimizer) -> None:
    network.backbone.extractor.get_submodule("features.conv0").requires_grad_(requires_grad=False)


@pytest.mark.parametrize(
    ("promised", "breaks", "message"),
    [
        (HEAD, nothing_frozen, r"leave what .* as it was; \d+ of \d+ frozen tensors changed: back"),
        (HEAD, training_mode, r"frozen tensors changed: backbone\.\S*\.num_batches_tracked"),
        (LAST_BLOCK, training_mode, r"changed: backbone\.extractor\.features\.denseblock1"),
        (phase(head=0.1, backbone=0.1), emptied, "must train 'backbone'; none of its"),
        (phase(head=0.1, backbone=0.1), without_rate, "must train 'backbone'; none of its"),
        (LAST_BLOCK, refrozen, r"must train 'features\.denseblock4'; none of its 96"),
        (ALL, one_layer_forgotten, r"all of 'all'; 1 of its 364 tensors never .*conv0\.weight"),
    ],
)
def test_a_broken_promise_is_caught(
    network: Classifier, promised: PhaseConfig, breaks: Breaks, message: str
) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        train(network, promised, breaks)
    assert str(caught.value).startswith("phase 'this' must ")


def test_statistics_that_move_against_the_promise_are_caught(network: Classifier) -> None:
    promised = ALL.model_copy(update={"freeze_statistics": True})
    with pytest.raises(BundleError, match=r"frozen tensors changed: \S+num_batches_tracked"):
        train(network, promised, training_mode)


def test_the_optimizer_must_hold_just_what_the_phase_trains(network: Classifier) -> None:
    groups = phases.begin(network, LAST_BLOCK)
    good = optimizer.build(groups, OptimizerConfig())
    check_optimizer(good, groups)
    head = (groups[1],)
    lacking = optimizer.build(head, OptimizerConfig())
    with pytest.raises(BundleError, match=r"must train backbone\S+ .* it does not have it"):
        check_optimizer(lacking, groups)
    with pytest.raises(BundleError, match="it has 96 tensors more"):
        check_optimizer(good, head)
    faster = Group("head", 0.2, groups[1].parameters)
    with pytest.raises(BundleError, match=r"head\.weight .* at a peak rate of 0\.2; .* at 0\.1"):
        check_optimizer(good, (groups[0], faster))


# an interrupted phase is proved as a whole


def test_the_proof_goes_on_in_another_process(network: Classifier) -> None:
    groups = phases.begin(network, HEAD)
    proof = Proof.start(network, HEAD, groups)
    state = json.loads(json.dumps(proof.state()))
    with torch.no_grad():
        network.head.weight.add_(1.0)
        network.head.bias.add_(1.0)
    again = Proof.resume(network, HEAD, groups, state)
    again.after_first_step(network)
    assert again.at_end(network) == proof.at_end(network)
    with torch.no_grad():
        next(network.backbone.parameters()).add_(1.0)
    with pytest.raises(BundleError, match=r"1 of \d+ frozen tensors changed"):
        again.at_end(network)


def test_the_hashes_of_another_network_are_refused(network: Classifier) -> None:
    groups = phases.begin(network, HEAD)
    state = Proof.start(network, HEAD, groups).state()
    state.pop("head.bias")
    with pytest.raises(BundleError, match="must be of this network"):
        Proof.resume(network, HEAD, groups, state)
