"""Pretrained weights through timm, with the hub played here; and one clear line without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.findings import nih14
from hilum.model import published
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest, expected_normalization, load_imagenet

Images = Callable[..., Tensor]


def network(name: str = "timm/test_convnext", channels: int = 3, **options: int) -> Classifier:
    return classifier(name, nih14(), channels, options, seed=0).eval()


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """timm's network, whose file the hub gives."""
    made = timm.create_model("test_convnext", pretrained=False).eval()
    save_file(made.state_dict(), tmp_path / "model.safetensors")
    given = str(tmp_path / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: given)
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A hub that does not answer: what it was asked, and how often."""
    seen: list[object] = []

    def silent(address: str, **given: object) -> None:
        seen.append((address, given))
        raise OSError("[Errno -2] Name or service not known\nand much more")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", silent)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked"))
    return seen


def test_the_backbone_starts_as_timm_s_and_the_head_as_it_was(
    theirs: torch.nn.Module, images: Images
) -> None:
    ours = network()
    head = digest(ours.head)
    load_imagenet(ours)
    assert digest(ours.head) == head
    films = images(2, 64, 64, channels=3)
    ours.head = theirs.get_classifier()
    with torch.no_grad():
        torch.testing.assert_close(ours(films), theirs(films))
    gray = network(channels=1)
    load_imagenet(gray)
    gray.head = ours.head
    with torch.no_grad():
        torch.testing.assert_close(
            gray(films[:, :1]), theirs(films[:, :1].expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4
        )


def test_a_file_in_the_cache_needs_no_network(
    theirs: torch.nn.Module, tmp_path: Path, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = str(tmp_path / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: cached)
    ours = network()
    before = digest(ours)
    load_imagenet(ours)
    assert digest(ours) != before
    assert asked == []


def test_a_hub_that_does_not_answer_is_one_clear_line(asked: list[object]) -> None:
    ours = network("densenet121", growth_rate=4)
    before = digest(ours)
    with pytest.raises(UsageError) as caught:
        load_imagenet(ours)
    assert str(caught.value) == (
        "model.weights=imagenet needs timm/densenet121.ra_in1k from the Hugging Face hub, which "
        "did not give it ([Errno -2] Name or service not known); give a local file with "
        "model.weights=PATH"
    )
    assert digest(ours) == before
    assert len(asked) == 1, "it is not tried again and again"
    assert asked[0][1] == {"timeout": published.TIMEOUT_S}
    assert asked[0][0].endswith("timm/densenet121.ra_in1k/resolve/main/model.safetensors")


@pytest.mark.parametrize("name", ["darknet17", "resnet50.no_such_tag"])
def test_a_network_without_pretrained_weights_is_told_so(name: str, asked: list[object]) -> None:
    with pytest.raises(UsageError, match=f"timm has no pretrained weights for {name}; give a"):
        published.fetch_weights(name)
    assert asked == []


def test_a_network_that_is_not_timm_s_is_told_so(asked: list[object]) -> None:
    parts = Features(torch.nn.Conv2d(1, 8, 3), 8)
    with pytest.raises(UsageError, match="pretrained weights are for timm's networks"):
        load_imagenet(Classifier(parts, nih14()))
    assert asked == []


def test_another_shape_than_the_published_is_refused(theirs: torch.nn.Module) -> None:
    ours = network(kernel_sizes=3)
    before = digest(ours)
    with pytest.raises(BundleError, match="timm's weights for test_convnext: tensor"):
        load_imagenet(ours)
    assert digest(ours) == before


def test_preprocessing_can_be_held_to_what_the_weights_saw() -> None:
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for name in ("densenet121", "resnet50", "convnext_tiny", "timm/resnet50.tv_in1k"):
        assert expected_normalization(name) == imagenet
    assert expected_normalization("timm/test_convnext") == ((0.5,) * 3, (0.5,) * 3)
    for name in ("timm/nothing_of_the_kind", "timm/darknet17", "timm/resnet50.no_such_tag"):
        assert expected_normalization(name) is None
