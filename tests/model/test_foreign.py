"""Weights of torchvision, timm, torchxrayvision and CheXNet start a backbone, and compute the same.

The networks are made here, by those libraries, and saved as they save them; with the names that
their published files have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from hilum.domain.errors import BundleError
from hilum.domain.findings import nih14
from hilum.model.classifier import Classifier, classifier
from hilum.model.weights import digest, load_backbone

Images = Callable[..., Tensor]
Change = Callable[[nn.Module], nn.Module]
SLIM = {"growth_rate": 4}


def theirs_of(growth_rate: int = 4) -> nn.Module:
    """torchvision's DenseNet-121, slimmer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return torchvision.models.DenseNet(
            growth_rate, (6, 12, 24, 16), num_init_features=2 * growth_rate, num_classes=10
        )


def loaded(name: str, path: Path, channels: int = 3, **options: int) -> Classifier:
    ours = classifier(name, nih14(), channels, options, seed=0).eval()
    head = digest(ours.head)
    load_backbone(ours, path)
    assert digest(ours.head) == head
    return ours


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As torchvision's densenet121-a639ec97.pth has them: dotted, and without counters."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }


def chexnet(state: dict[str, Tensor]) -> dict[str, object]:
    """As the published reproductions of CheXNet save: wrapped twice, the head in a Sequential."""
    named = {
        "module.densenet121." + name.replace("classifier.", "classifier.0."): tensor
        for name, tensor in old_names(state).items()
    }
    return {"epoch": 3, "arch": "densenet121", "state_dict": named, "best_loss": 0.1}


FORMS: dict[str, Callable[[dict[str, Tensor]], dict[str, object]]] = {
    "plain": dict,
    "old names": old_names,
    "DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "Lightning": lambda state: {"state_dict": {f"model.{n}": t for n, t in state.items()}},
    "CheXNet": chexnet,
}


@pytest.mark.parametrize("form", FORMS)
def test_torchvision_s_densenet_loads_in_every_form_it_comes_in(
    form: str, lived_in: Change, images: Images, tmp_path: Path
) -> None:
    theirs = lived_in(theirs_of())
    path = tmp_path / "theirs.pth.tar"
    torch.save(FORMS[form](theirs.state_dict()), path)
    ours = loaded("densenet121", path, **SLIM)
    films = images(2, 64, 64, channels=3)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(films), theirs.features(films))


@pytest.mark.slow
def test_torchvision_s_densenet_121_in_full_loads(images: Images, tmp_path: Path) -> None:
    theirs = torchvision.models.densenet121(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = loaded("densenet121", tmp_path / "theirs.pth")
    films = images(1, 64, 64, channels=3)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(films), theirs.features(films))


@pytest.mark.slow
def test_torchvision_s_resnet_50_loads(images: Images, tmp_path: Path) -> None:
    theirs = torchvision.models.resnet50(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = loaded("resnet50", tmp_path / "theirs.pth")
    films = images(1, 64, 64, channels=3)
    ours.head = theirs.fc
    with torch.no_grad():
        torch.testing.assert_close(ours(films), theirs(films))


def test_torchvision_s_convnext_loads_with_its_norm(
    lived_in: Change, images: Images, tmp_path: Path
) -> None:
    blocks = [(8, 16, 3), (16, 32, 3), (32, 64, 9), (64, None, 3)]
    theirs = lived_in(ConvNeXt([CNBlockConfig(*block) for block in blocks], num_classes=10))
    for name, parameter in theirs.named_parameters():
        if name.endswith("layer_scale"):
            parameter.data.uniform_(0.1, 0.5)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = loaded("convnext_tiny", tmp_path / "theirs.pth", width=8)
    films = images(2, 64, 64, channels=3)
    ours.head = theirs.classifier[2]
    with torch.no_grad():
        torch.testing.assert_close(ours(films), theirs(films), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("member", "options", "arguments"),
    [
        ("convnext_tiny", {"width": 8}, {"dims": (8, 16, 32, 64)}),
        ("densenet121", SLIM, SLIM),
        ("resnet50", {"width": 8}, {"channels": (8, 16, 32, 64)}),
        ("timm/test_convnext", {}, {}),
        ("timm/test_resnet", {}, {}),
    ],
)
def test_timm_s_own_file_gives_timm_s_own_logits(
    member: str,
    options: dict[str, int],
    arguments: dict[str, object],
    lived_in: Change,
    images: Images,
    tmp_path: Path,
) -> None:
    theirs = lived_in(timm.create_model(member.removeprefix("timm/"), num_classes=7, **arguments))
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    ours = loaded(member, tmp_path / "model.safetensors", **options)
    ours.head = theirs.get_classifier()
    films = images(2, 64, 64, channels=3)
    with torch.no_grad():
        torch.testing.assert_close(ours(films), theirs(films), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_torchxrayvision_s_densenet_loads(images: Images, tmp_path: Path) -> None:
    xrv = pytest.importorskip("torchxrayvision")
    theirs = xrv.models.DenseNet(num_classes=18, in_channels=1).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    ours = loaded("densenet121", tmp_path / "theirs.pt", channels=1)
    films = images(2, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(films), theirs.features(films))


# the first convolution


@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_convolution_is_adapted_so_that_gray_films_give_the_same(
    channels: int, lived_in: Change, images: Images, tmp_path: Path
) -> None:
    made = timm.create_model("test_resnet", num_classes=7, in_chans=4 - channels)
    theirs = lived_in(made)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    ours = loaded("timm/test_resnet", tmp_path / "model.safetensors", channels=channels)
    film = images(2, 64, 64, channels=1)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.backbone(film.expand(-1, channels, -1, -1)),
            theirs.forward_features(film.expand(-1, 4 - channels, -1, -1)),
            rtol=1e-4,
            atol=1e-4,
        )


# refusals


def refused(message: str, ours: Classifier, state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path)
    before = digest(ours)
    with pytest.raises(BundleError, match=message) as caught:
        load_backbone(ours, path)
    assert "\n" not in str(caught.value)
    assert digest(ours) == before


def test_another_network_s_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    ours = classifier("densenet121", nih14(), 3, SLIM, seed=0)
    refused(
        r"tensor features\.conv0\.weight must be \(8, 3, 7, 7\), got \(12, 3, 7, 7\)",
        ours,
        theirs_of(growth_rate=6).state_dict(),
        path,
    )
    # DenseNet-169 has all tensors of DenseNet-121, of the same shapes, and more
    deeper = torchvision.models.DenseNet(4, (6, 12, 32, 32), 8, num_classes=10)
    refused(
        r"features\.denseblock3\.denselayer25\.norm1\.weight is of another network",
        ours,
        deeper.state_dict(),
        path,
    )
    state = theirs_of().state_dict()
    state["features.norm5.running_var"][3] = torch.nan
    refused(r"features\.norm5\.running_var holds NaN or infinity", ours, state, path)
    del state["features.norm5.running_var"]
    refused(r"features\.norm5\.running_var is missing", ours, state, path)


def test_two_channels_are_nobody_s(tmp_path: Path) -> None:
    ours = classifier("timm/test_resnet", nih14(), 1, {}, seed=0)
    state = timm.create_model("test_resnet", in_chans=2).state_dict()
    refused(
        r"conv1\.0\.weight must be \(16, 1, 3, 3\), got \(16, 2, 3, 3\)",
        ours,
        state,
        tmp_path / "theirs.pth",
    )


def test_a_file_without_the_norm_of_a_convnext_is_refused(tmp_path: Path) -> None:
    ours = classifier("timm/test_convnext", nih14(), 3, {}, seed=0)
    state = timm.create_model("test_convnext").state_dict()
    del state["head.norm.weight"]
    refused(r"tensor head\.norm\.weight is missing", ours, state, tmp_path / "theirs.pth")
