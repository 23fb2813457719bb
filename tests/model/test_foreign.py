"""Weights of torchvision, timm, torchxrayvision and CheXNet start a backbone, and compute the same.

The networks are made here, by those libraries, and saved as they save them; with the names that
their published files have.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
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
    "under model, with an optimizer": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
    },
    "under model_state_dict": lambda state: {"model_state_dict": state},
    "under ema": lambda state: {"ema": state, "updates": 7},
    "a key in a key": lambda state: {"state": {"network": {"weights": state}}},
    "behind backbone.": lambda state: {f"backbone.{name}": t for name, t in state.items()},
    "behind model.module.encoder.": lambda state: {
        "model": {f"module.encoder.{name}": t for name, t in state.items()}
        | {"module.decoder.weight": torch.zeros(2)}
    },
    "an average's": lambda state: (
        {f"module.{name}": t for name, t in state.items()} | {"n_averaged": torch.tensor(3)}
    ),
    "state_dict beside an average": lambda state: {
        "state_dict": state,
        "state_dict_ema": {name: t + 1 for name, t in state.items()},
    },
    "with the trainer's options": lambda state: {
        "model": state,
        "args": Namespace(lr=0.1, output=Path("runs")),
        "best": np.float64(0.8),
    },
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


@pytest.mark.parametrize("prefix", ["module.", "encoder.net."])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_the_suffix_does_not_matter_where_the_content_is_clear(
    prefix: str, suffix: str, tmp_path: Path
) -> None:
    state = {f"{prefix}{name}": t for name, t in theirs_of().state_dict().items()}
    torch.save(state, tmp_path / f"torch{suffix}")
    save_file(state, tmp_path / "own.pth")
    pickled = loaded("densenet121", tmp_path / f"torch{suffix}", **SLIM)
    own = loaded("densenet121", tmp_path / "own.pth", **SLIM)
    assert digest(pickled) == digest(own)


@pytest.mark.parametrize(
    ("form", "named"),
    [
        (lambda a, b: {"model": a, "ema": b}, "ema:, model:"),
        (lambda a, b: {"net": {"student": a, "teacher": b}}, "net.student:, net.teacher:"),
        (lambda a, b: behind("encoder_q.", a) | behind("encoder_k.", b), "encoder_k., encoder_q."),
        (lambda a, b: {"model": behind("online.", a) | behind("target.", b)}, "model:online., "),
    ],
)
def test_two_networks_in_one_file_are_refused_by_name(
    form: Callable[..., dict[str, object]], named: str, tmp_path: Path
) -> None:
    one, other = theirs_of().state_dict(), theirs_of().state_dict()
    torch.save(form(one, other), tmp_path / "two.pth")
    not_read(f"must hold one network that fits; it has {re.escape(named)}", tmp_path / "two.pth")


def behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with a prefix before every name."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize("wrapper", ["module.", "model.", "_orig_mod.module."])
def test_a_bare_and_a_wrapped_name_of_one_tensor_are_refused(wrapper: str, tmp_path: Path) -> None:
    state = theirs_of().state_dict()
    again = f"{wrapper}features.conv0.weight"
    for order in ({**state, again: torch.zeros(1)}, {again: torch.zeros(1), **state}):
        torch.save(order, tmp_path / "both.pth")
        not_read("must hold each tensor once; it has .*features.conv0", tmp_path / "both.pth")


def not_read(message: str, path: Path) -> None:
    ours = classifier("densenet121", nih14(), 3, SLIM, seed=0)
    before = digest(ours)
    with pytest.raises(BundleError, match=message) as caught:
        load_backbone(ours, path)
    assert "\n" not in str(caught.value)
    assert digest(ours) == before


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (LFS, "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--00.pth\n", "a git-annex pointer"),
        (b"\n<!DOCTYPE html><html><title>Sign in</title>", "a web page"),
        (b"<HTML><body>Quota exceeded</body></HTML>", "a web page"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"\x1f\x8b\x08" + bytes(99), "a gzip archive"),
        (b"Repository not found\n", "a text file"),
        (b"", "an empty file"),
    ],
)
def test_what_stands_where_weights_should_be_is_named(
    data: bytes, what: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    not_read(f"weights must be .*{re.escape(what)}", path)


def test_what_a_file_has_is_named_where_nothing_fits(tmp_path: Path) -> None:
    state = theirs_of().state_dict()
    part = {f"trunk.{name}": t for name, t in state.items() if "denseblock4" not in name}
    torch.save({"epoch": 3, "net": part, "args": Namespace(lr=1)}, tmp_path / "part.pth")
    not_read(
        r"is missing\. The file has tensors of under net: trunk \(\d+\)", tmp_path / "part.pth"
    )


class Left:
    """Unpickling it would create a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return mkdtemp, ("left", "here", str(self.place))


def test_objects_beside_the_tensors_are_never_made(tmp_path: Path) -> None:
    state = theirs_of().state_dict()
    path = tmp_path / "trainer.pth"
    place = tmp_path / "owned"
    place.mkdir()
    torch.save({"model": state, "hook": Left(place), "whole": nn.Linear(1, 1)}, path)
    ours = loaded("densenet121", path, **SLIM)
    assert digest(ours.backbone) != digest(classifier("densenet121", nih14(), 3, SLIM, 0).backbone)
    torch.save(nn.Linear(2, 2), path)
    not_read(r"nothing else is unpickled; .* holds objects of torch\.nn\.modules", path)
    assert not list(place.iterdir())


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
