"""Weights come back as they were, under their own label order, and nothing is ever unpickled."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import LabelSet
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest, digests, load, load_backbone, load_head, save

LABELS = LabelSet("three", ("Mass", "Edema", "Effusion"))


def network(labels: LabelSet = LABELS, seed: int = 0, channels: int = 1) -> Classifier:
    """One convolution and one batch norm: the file format knows of no backbone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {"conv0": nn.Conv2d(channels, 8, 3), "norm0": nn.BatchNorm2d(8)}
        return Classifier(Features(nn.Sequential(OrderedDict(parts)), 8), labels)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "best.safetensors"
    save(network(), path, {"epoch": "3", "another": "fact"})
    return path


def refused(message: str, path: Path, into: Classifier | None = None, reader: object = load):
    into = into or network(seed=1)
    before = digest(into)
    with pytest.raises(BundleError, match=message) as caught:
        reader(into, path)
    assert "\n" not in str(caught.value)
    assert digest(into) == before


def test_weights_come_back_to_the_last_bit(file: Path) -> None:
    loaded = network(seed=1)
    assert digest(loaded) != digest(network())
    load(loaded, file)
    assert digest(loaded) == digest(network())


def test_the_same_weights_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    # safetensors orders the entries of its header by a hash that is drawn anew each time
    for attempt in range(5):
        path = tmp_path / f"{attempt}.safetensors"
        save(network(), path, {"another": "fact", "epoch": "3"})
        assert path.read_bytes() == file.read_bytes()
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".safetensors"] * 6


@pytest.mark.parametrize(
    "name",
    [
        *("head.weight", "head.bias", "backbone.extractor.conv0.weight"),
        *(f"backbone.extractor.norm0.{part}" for part in ("weight", "bias")),
        *(f"backbone.extractor.norm0.running_{part}" for part in ("mean", "var")),
    ],
)
def test_every_weight_and_statistic_is_in_the_digest(name: str) -> None:
    one = network()
    before, each = digest(one), digests(one)
    one.state_dict()[name].view(-1)[-1] += 1e-3
    assert digest(one) != before
    assert each.keys() == digests(one).keys() == set(one.state_dict())
    assert [key for key, value in digests(one).items() if value != each[key]] == [name]


def test_a_permuted_label_order_is_refused(file: Path) -> None:
    other = network(LabelSet("permuted", ("Edema", "Mass", "Effusion")))
    message = (
        r"label order of .*best\.safetensors must be that of the run: file has Mass, Edema, "
        r"Effusion; run has Edema, Mass, Effusion"
    )
    refused(message, file, other)


def test_weights_without_label_order_are_refused(file: Path) -> None:
    save_file(load_file(file), file)
    refused("weights must carry their label order; .* has none", file)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"tensor head\.weight is missing"),
        (torch.zeros(3, 4), r"tensor head\.weight must be \(3, 8\), got \(3, 4\)"),
        (torch.full((3, 8), torch.nan), r"tensor head\.weight holds NaN or infinity"),
        (torch.full((3, 8), torch.inf), r"tensor head\.weight holds NaN or infinity"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(
    file: Path, value: torch.Tensor | None, message: str
) -> None:
    tensors = load_file(file)
    del tensors["head.weight"]
    if value is not None:
        tensors["head.weight"] = value
    header = json.dumps({"labels": list(LABELS)})
    save_file(tensors, file, metadata={"hilum": header})
    refused(message, file)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff" * 9])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "best.safetensors"
    refused("weights must be a readable safetensors file", path)
    path.write_bytes(data)
    refused("weights must be a readable safetensors file", path)
    refused("weights must be a readable safetensors file", path, reader=load_backbone)


# other people's weights


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_pickled_model_is_refused_and_not_run(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    for content in (nn.Linear(2, 2), Trap(tmp_path / "owned"), {"state_dict": Trap(tmp_path)}):
        torch.save(content, path)
        refused("nothing else is unpickled", path, reader=load_backbone)
    assert not (tmp_path / "owned").exists()


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    refused("weights must be a state dict", path, reader=load_backbone)
    path.write_bytes(b"hello")
    refused("weights must be a state dict", path, reader=load_backbone)
    for content in ([1, 2], {"state_dict": [1]}, torch.zeros(2)):
        torch.save(content, path)
        refused("weights must be a state dict of tensors", path, reader=load_backbone)
    torch.save({"epoch": 3}, path)
    refused(r"tensor conv0\.weight is missing", path, reader=load_backbone)
    with pytest.raises(UsageError, match=r"must be \.safetensors, \.pth, \.pt, \.ckpt or \.tar"):
        load_backbone(network(), tmp_path / "model.h5")


def test_a_checkpoint_of_ours_starts_a_run_with_other_findings(file: Path) -> None:
    other = network(LabelSet("one", ("Hernia",)), seed=5)
    head = digest(other.head)
    load_backbone(other, file)
    assert digest(other.backbone) == digest(network().backbone)
    assert digest(other.head) == head


def test_a_norm_behind_the_pooling_comes_back_with_the_backbone(tmp_path: Path) -> None:
    one, other = (
        classifier("convnext_tiny", labels, 1, {"width": 8}, seed)
        for labels, seed in ((LABELS, 0), (LabelSet("one", ("Hernia",)), 1))
    )
    one.norm.weight.data.uniform_(0.5, 1.5)
    save(one, tmp_path / "best.safetensors", {})
    load_backbone(other, tmp_path / "best.safetensors")
    assert digest(other.backbone) == digest(one.backbone)
    assert digest(other.norm) == digest(one.norm)
    again = classifier("convnext_tiny", LABELS, 1, {"width": 8}, 2)
    load(again, tmp_path / "best.safetensors")
    assert digest(again) == digest(one)


def test_findings_start_from_the_head_of_their_name(file: Path) -> None:
    other = LabelSet("other", ("Nodule", "Effusion", "Mass"))
    into, source = network(other, seed=1), network()
    fresh = into.head.weight[0].clone()
    load_head(into, file)
    for mine, theirs in ((1, 2), (2, 0)):
        assert torch.equal(into.head.weight[mine], source.head.weight[theirs])
        assert torch.equal(into.head.bias[mine], source.head.bias[theirs])
    assert torch.equal(into.head.weight[0], fresh)


def test_a_head_without_one_of_our_findings_is_refused(file: Path) -> None:
    into = network(LabelSet("other", ("Nodule",)), seed=1)
    refused("names Mass, Edema, Effusion. Set model.head=fresh", file, into, load_head)


def test_a_head_of_another_backbone_is_refused(file: Path, tmp_path: Path) -> None:
    tensors = {**load_file(file), "head.weight": torch.zeros(3, 5)}
    path = tmp_path / "wide.safetensors"
    save_file(tensors, path, {"hilum": json.dumps({"labels": list(LABELS)})})
    refused("head.weight must fit", path, reader=load_head)
