"""Bundles in other formats: their own libraries read them back and give the bundle's answers."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch

from hilum import Bundle
from hilum.cli.bundle import write
from hilum.cli.import_ import write as import_file
from hilum.domain.errors import BundleError, UsageError
from hilum.exporting.export import export_bundle
from hilum.exporting.parity import golden_films
from hilum.exporting.rebuild import design_of, rebuilt
from hilum.importing.profile import checked
from hilum.model.backbones import backbone
from hilum.model.tail import Affine
from hilum.runs.facts import Design
from hilum.runs.recipe_parts import ModelConfig

Said = Callable[..., tuple[int, str, str]]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PROFILE: dict[str, Any] = {
    "name": "small",
    "backbone": "timm/test_resnet",
    "head": ["linear fc"],
    "findings": ["Effusion", "Mass", "Fracture"],
    "input": {
        "size": 64,
        "fit": "crop",
        "channels": 1,
        "mean": [0.5],
        "std": [0.25],
        "resize": "skimage",
        "depth": "float",
    },
    "thresholds": {"Effusion": 0.3},
    "seen": [{"dataset": "nih", "films": "all of them"}],
    "license": "CC-BY-4.0",
    "citation": "A paper, 2020",
    "url": "https://example.org",
}


def bundled(folder: Path, profile: dict[str, Any], head: dict[str, Any]) -> Path:
    """A bundle of an imported network with random weights."""
    torch.manual_seed(0)
    features = backbone(profile["backbone"]).build(1, {})
    state: dict[str, Any] = dict(features.extractor.state_dict())
    for name, tensor in state.items():
        if tensor.dtype == torch.float32 and tensor.ndim == 1:
            state[name] = torch.rand_like(tensor) + 0.5
    torch.save({**state, **head}, folder / "net.pth")
    import_file(folder / "net.pth", checked(copy.deepcopy(profile), "small", {}), folder / "run")
    write(folder / "run", folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    head = {"fc.weight": torch.randn(3, 96), "fc.bias": torch.randn(3)}
    return bundled(tmp_path_factory.mktemp("made"), PROFILE, head)


def test_one_bundle_in_every_format_and_back(made: Path, said: Said, tmp_path: Path) -> None:
    bundle = Bundle.load(made)
    images, want, maps = golden_films(bundle)
    for kind in ("onnx", "openvino", "safetensors", "torchscript", "timm", "hf"):
        code, out, err = said("export", made, "--to", kind, "-o", tmp_path / kind)
        assert (code, out) == (0, f"{tmp_path / kind}\n"), err
        tree = json.loads((tmp_path / kind / "export.json").read_text("utf-8"))
        assert tree["logits"] <= 1e-4 * max(1.0, tree["logits_range"])
        assert (tree["heatmaps"] is None) == (kind in ("timm", "hf"))
        assert "not a medical device" in tree["notice"]
        assert tree["findings"] == list(bundle.labels)
    check_each_library(tmp_path, images, want, maps)
    check_hub(tmp_path / "hf")
    # and home again: the folder says everything
    code, _, err = said("import", tmp_path / "hf", "-o", tmp_path / "again")
    assert code == 0, err
    assert "license: CC-BY-4.0" in err
    write(tmp_path / "again", tmp_path / "second")
    second = Bundle.load(tmp_path / "second")
    assert second.manifest.preprocessing == bundle.manifest.preprocessing
    assert second.manifest.facts.origin.seen == bundle.manifest.facts.origin.seen  # pyright: ignore
    got, again = golden_films(second)[1:]
    assert np.abs(got - want).max() <= 1e-4 * np.ptp(want)
    assert np.abs(again - maps).max() <= 1e-4 * maps.max()
    assert second.manifest.calibration.thresholds()["Effusion"] == 0.3


def check_each_library(folder: Path, images: Any, want: Any, maps: Any) -> None:
    """Each library's own way to read its files, with several films at once."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["findings"])[0] == "Effusion"
    script: Any = torch.jit.load(str(folder / "torchscript" / "model.pt"))
    with torch.no_grad():
        answers = [
            session.run(["logits", "heatmaps"], {"images": images}),
            [part.numpy() for part in script(torch.from_numpy(images))],
        ]
        network = timm.create_model(f"local-dir:{folder / 'timm'}", pretrained=True).eval()
        alone = network(torch.from_numpy(images)).numpy()
    assert np.abs(alone - want).max() <= 1e-4 * np.ptp(want)
    for logits, heatmaps in answers:
        assert np.abs(logits - want).max() <= 1e-4 * np.ptp(want)
        assert np.abs(heatmaps - maps).max() <= 1e-3 * maps.max()


def check_hub(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": "Effusion", "1": "Mass", "2": "Fracture"}
    assert config["problem_type"] == "multi_label_classification"
    card = (folder / "README.md").read_text("utf-8")
    for words in ("license: cc-by-4.0", "not a medical device", "A paper, 2020", "skimage"):
        assert words in card


def test_transformers_reads_the_folder(made: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    export_bundle(made, "hf", tmp_path / "hf")
    network = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "hf").eval()
    images, want, _ = golden_films(Bundle.load(made))
    with torch.no_grad():
        got = network(pixel_values=torch.from_numpy(images)).logits.numpy()
    assert np.abs(got - want).max() <= 1e-4 * np.ptp(want)
    assert network.config.id2label == {0: "Effusion", 1: "Mass", 2: "Fracture"}


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, toy: Path) -> None:
    """A head with a hidden layer and a norm goes into every format but timm's."""
    steps = ["linear fc.0", "norm bn", "relu", "linear fc.2"]
    head: dict[str, Any] = {}
    for name, shape in (("fc.0", (8, 96)), ("fc.2", (3, 8))):
        head |= {f"{name}.weight": torch.randn(shape), f"{name}.bias": torch.randn(shape[0])}
    for part in ("weight", "bias", "running_mean", "running_var"):
        head[f"bn.{part}"] = torch.rand(8) + 0.5
    made = bundled(tmp_path, {**PROFILE, "head": steps}, head)
    found = export_bundle(made, "torchscript", tmp_path / "script")
    assert found.heatmaps is not None
    bundle = Bundle.load(made)
    network: Any = rebuilt(bundle, design_of(bundle))
    assert isinstance(network.steps[1], Affine)
    for kind in ("hf", "timm"):
        with pytest.raises(UsageError, match="one linear layer behind its pooling"):
            export_bundle(made, kind, tmp_path / kind)
        assert not (tmp_path / kind).exists()
    with pytest.raises(UsageError, match="Did you mean 'onnx'"):
        export_bundle(made, "onx", tmp_path / "x")
    with pytest.raises(UsageError, match="exists"):
        export_bundle(made, "onnx", tmp_path / "script")
    with pytest.raises(UsageError, match="Name it with --backbone"):
        export_bundle(toy / "bundle", "torchscript", tmp_path / "x")
    with pytest.raises(BundleError, match=r"must hold tensor network\.backbone\.extractor"):
        export_bundle(toy / "bundle", "timm", tmp_path / "x", "resnet50")
    assert not (tmp_path / "x").exists()


def test_the_shipped_bundle_is_exported_by_the_name_of_its_backbone(tmp_path: Path) -> None:
    """It was written before bundles said their backbone, with its kernels as float16."""
    found = export_bundle("starter", "safetensors", tmp_path / "starter", "timm/resnet10t")
    assert found.heatmaps is not None


@pytest.mark.parametrize("options", [{}, {"growth_rate": 4, "width": 8}])
def test_a_backbone_is_read_from_the_words_of_an_older_bundle(options: dict[str, int]) -> None:
    words = ModelConfig(backbone="timm/resnet10t", options=options).in_words()
    network = SimpleNamespace(design=None, architecture=words)
    older: Any = SimpleNamespace(manifest=SimpleNamespace(facts=SimpleNamespace(network=network)))
    assert design_of(older) == Design(backbone="timm/resnet10t", options=options)


def test_a_network_in_8_bits_stays_a_graph(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hilum.inference.engine import Precision

    shutil.copytree(toy / "bundle", tmp_path / "bundle")
    monkeypatch.setattr(Bundle, "precision", Precision.INT8)
    with pytest.raises(UsageError, match="8 bits can be exported to onnx or openvino"):
        export_bundle(tmp_path / "bundle", "torchscript", tmp_path / "x")
    assert export_bundle(tmp_path / "bundle", "openvino", tmp_path / "ir").films == 2
