"""Files of weights as they are published, with random weights, by the libraries themselves.

::

    python -m tests.make_published DIR

Each style comes with its tensors and with the score that its own library gives a film: its forward
pass behind its own preprocessing. Beside each file stands the command that imports it. Styles of
libraries that are not installed are left out, and named. jfhealthcare's network is no package: it
is written here from its published architecture; Lightning's checkpoints are dictionaries that
`torch.save` writes, and are written so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from torch import nn

from hilum.importing.hf import hf_profile
from hilum.importing.profile import HF_PROFILE, Profile, load_profile

Score = Callable[[Path], np.ndarray]
"""A film's path to the logits that the library gives."""


@dataclass(frozen=True)
class Published:
    """What the library says of a file that it wrote.

    Attributes:
        score: of a film.
        tensors: of the network, bit for bit, as hilum names their axes; without counters.
    """

    score: Score
    tensors: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Style:
    """One row of the table of published files.

    Attributes:
        file: its name.
        profile: hilum's profile; a YAML file of this name is written beside the file.
        write: writes it into a folder and returns what the library says of it.
        changes: fields set in the profile.
    """

    file: str
    profile: str
    write: Callable[[Path], Published]
    changes: Mapping[str, Any] = field(default_factory=dict)

    def profile_in(self, folder: Path) -> Profile:
        """Return the profile by which the file in a folder is imported."""
        if self.profile == HF_PROFILE:
            return hf_profile(folder / self.file, self.changes)
        word = str(folder / self.profile) if self.profile.endswith(".yaml") else self.profile
        return load_profile(word, self.changes)

    def command(self, folder: Path) -> str:
        """Return the command that imports the file in a folder."""
        words = ["hilum", "import", str(folder / self.file), "-o", "RUN"]
        if self.profile != HF_PROFILE:
            yaml_file = self.profile.endswith(".yaml")
            words += ["--profile", str(folder / self.profile) if yaml_file else self.profile]
        for name, value in self.changes.items():
            text = yaml.safe_dump(value, default_flow_style=True, width=1000)
            words += ["--set", f"{name}={text.removesuffix('...' + chr(10)).strip()}"]
        return shlex.join(words)


def randomized(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with random weights that give films different logits, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                shape = module.weight.shape
                module.weight.copy_(0.8 + 0.4 * torch.rand(shape, generator=generator))
                module.bias.copy_(0.1 * torch.randn(shape, generator=generator))
                module.running_mean.copy_(0.1 * torch.randn(shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
            elif isinstance(module, nn.Linear):
                shape = module.weight.shape
                module.weight.copy_(torch.randn(shape, generator=generator) / shape[1] ** 0.5)
                module.bias.copy_(torch.randn(shape[0], generator=generator))
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, generator=generator)
    return network.eval()


def of_torch(network: nn.Module, prepare: Callable[[Path], torch.Tensor]) -> Published:
    """The logits of a torch network behind a library's own preprocessing, and its tensors."""

    def score(path: Path) -> np.ndarray:
        with torch.no_grad():
            return network(prepare(path)[None])[0].numpy()

    state = network.state_dict().items()
    tensors = (tensor.numpy() for name, tensor in state if not name.endswith("batches_tracked"))
    return Published(score, tuple(tensors))


# torchxrayvision


def xrv_input(side: int) -> Callable[[Path], torch.Tensor]:
    import torchxrayvision as xrv

    crop, resize = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(side)

    def prepare(path: Path) -> torch.Tensor:
        film = np.asarray(Image.open(path).convert("L"))
        return torch.from_numpy(resize(crop(xrv.datasets.normalize(film, 255)[None])))

    return prepare


def xrv_densenet() -> nn.Module:
    import torchxrayvision as xrv

    network = randomized(xrv.models.DenseNet(num_classes=18))
    network.pathologies = list(network.targets)
    return network


def xrv_whole(folder: Path, zipped: bool) -> Published:
    network = xrv_densenet()
    name = "xrv_whole_zip.pt" if zipped else "xrv_whole_legacy.pt"
    torch.save(network, folder / name, _use_new_zipfile_serialization=zipped)
    return of_torch(network, xrv_input(224))


def xrv_state(folder: Path) -> Published:
    network = xrv_densenet()
    torch.save(network.state_dict(), folder / "xrv_state.pth")
    return of_torch(network, xrv_input(224))


def xrv_thresholds(folder: Path) -> Published:
    """A state dict with the thresholds of another set: blank outputs are left out."""
    from torchxrayvision.models import model_urls

    network = xrv_densenet()
    thresholds = torch.tensor(model_urls["chex"]["op_threshs"])
    torch.save({**network.state_dict(), "op_threshs": thresholds}, folder / "xrv_chex.pt")
    rows = [row for row, name in enumerate(model_urls["chex"]["labels"]) if name]
    found = of_torch(network, xrv_input(224))
    return replace(found, score=lambda path: found.score(path)[rows])


def xrv_resnet(folder: Path) -> Published:
    import torchvision

    network = torchvision.models.resnet50(num_classes=18)
    network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network = randomized(network)
    torch.save(network.state_dict(), folder / "xrv_resnet50.pt")
    return of_torch(network, xrv_input(512))


# torchvision, timm and the re-implementations of CheXNet


def torchvision_input(shorter: int) -> Callable[[Path], torch.Tensor]:
    from torchvision import transforms

    chain = transforms.Compose(
        [
            transforms.Resize(shorter),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return lambda path: chain(Image.open(path).convert("RGB"))


class DenseNet121(nn.Module):
    """CheXNet, as its re-implementations have it."""

    def __init__(self) -> None:
        super().__init__()
        import torchvision

        self.densenet121 = torchvision.models.densenet121()
        self.densenet121.classifier = nn.Sequential(nn.Linear(1024, 14), nn.Sigmoid())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.logit(self.densenet121(images).double())


def old_names(name: str) -> str:
    return re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name)


def chexnet(folder: Path, file: str, old: bool) -> Published:
    network = randomized(DenseNet121())
    state = {
        f"module.{old_names(name) if old else name}": tensor
        for name, tensor in network.state_dict().items()
        if not (old and name.endswith("num_batches_tracked"))
    }
    held = {"epoch": 9, "state_dict": state, "best_loss": 0.1, "optimizer": {"state": {}}}
    torch.save(held, folder / file)
    return of_torch(network, torchvision_input(256))


def jrzech(folder: Path) -> Published:
    """{"model": whole model, ...} in a file without a suffix."""
    network = randomized(DenseNet121())
    held = {"model": network.densenet121, "best_loss": 0.1, "epoch": 3, "rng_state": None}
    torch.save(held, folder / "checkpoint")
    return of_torch(network, torchvision_input(224))


GENERIC = {
    "findings": ["Edema", "Effusion", "Mass"],
    "seen": [],
    "license": "BSD-3-Clause",
    "citation": "none",
    "url": "none",
}


def torchvision_densenet() -> nn.Module:
    import torchvision

    return randomized(torchvision.models.densenet121(num_classes=3))


def wrapped(folder: Path, file: str, wrap: Callable[[nn.Module], Any]) -> Published:
    network = torchvision_densenet()
    torch.save(wrap(network), folder / file)
    return of_torch(network, torchvision_input(256))


def safetensors(folder: Path) -> Published:
    from safetensors.torch import save_file

    network = torchvision_densenet()
    save_file(network.state_dict(), folder / "torchvision.safetensors")
    return of_torch(network, torchvision_input(256))


def shards(folder: Path) -> Published:
    """A Hugging Face folder in two files and an index."""
    from safetensors.torch import save_file

    network = torchvision_densenet()
    state = network.state_dict()
    place = folder / "sharded"
    place.mkdir(exist_ok=True)
    names = sorted(state)
    halves = {"model-1-of-2.safetensors": names[::2], "model-2-of-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: state[name] for name in part}, place / file)
    placed = {name: file for file, part in halves.items() for name in part}
    text = json.dumps({"metadata": {}, "weight_map": placed})
    (place / "model.safetensors.index.json").write_text(text, "utf-8")
    return of_torch(network, torchvision_input(256))


def lightning(network: nn.Module, options: object) -> dict[str, Any]:
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    return {
        "epoch": 1,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": state,
        "hyper_parameters": options,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    }


def timm_resnet(folder: Path) -> Published:
    import timm
    from timm.data import create_transform, resolve_data_config

    network = randomized(timm.create_model("resnet18", num_classes=3))
    torch.save(network.state_dict(), folder / "timm_resnet18.pth")
    chain: Any = create_transform(**resolve_data_config({}, model=network))
    return of_torch(network, lambda path: chain(Image.open(path).convert("RGB")))


def hidden(folder: Path) -> Published:
    """A head with a hidden layer, as many notebooks have it."""
    import torchvision

    network = torchvision.models.densenet121()
    network.classifier = nn.Sequential(
        nn.Linear(1024, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 3)
    )
    network = randomized(network)
    torch.save({"net": network.state_dict()}, folder / "hidden.pth")
    return of_torch(network, torchvision_input(256))


def softmax(folder: Path) -> Published:
    """Two outputs that exclude each other: one finding."""
    import torchvision

    network = randomized(torchvision.models.resnet50(num_classes=2))
    torch.save(network.state_dict(), folder / "softmax.pth")
    found = of_torch(network, torchvision_input(256))

    def score(path: Path) -> np.ndarray:
        absent, present = found.score(path)
        return np.array([present - absent])

    return replace(found, score=score)


# jfhealthcare


class FiveHeads(nn.Module):
    """jfhealthcare's network for CheXpert, from its published architecture.

    DenseNet-121 and, for each finding, a 1 x 1 convolution whose sigmoid weighs the cells that it
    then classifies (Ye et al. 2020, arXiv:2005.14480; github.com/jfhealthcare/Chexpert, the files
    model/classifier.py and model/global_pool.py with config/example_PCAM.json). The classifier of
    ImageNet, the norms and the attention are in the file too, and do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        import torchvision

        self.backbone = torchvision.models.densenet121()
        for index in range(5):
            self.add_module(f"fc_{index}", nn.Conv2d(1024, 1, 1))
            self.add_module(f"bn_{index}", nn.BatchNorm2d(1024))
        self.attention_map = nn.ModuleDict({"channel_attention": nn.Linear(1024, 512)})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.backbone.features(images))
        logits: list[torch.Tensor] = []
        for index in range(5):
            classify = self.get_submodule(f"fc_{index}")
            chance = torch.sigmoid(classify(maps))
            pooled = (maps * chance).sum((2, 3), keepdim=True) / chance.sum((2, 3), keepdim=True)
            logits.append(classify(pooled).flatten(1))
        return torch.cat(logits, dim=1)


def jfhealthcare_input(path: Path) -> torch.Tensor:
    """A film as data/utils.py prepares it: equalized, blurred, put into a corner of gray."""
    import cv2

    film = cv2.GaussianBlur(cv2.equalizeHist(cv2.imread(str(path), 0)), (3, 3), 0)
    rows, columns = film.shape
    longer, shorter = max(rows, columns), min(rows, columns)
    side = round(512 / (longer / shorter))
    film = cv2.resize(film, (512, side) if columns > rows else (side, 512))
    square = np.full((512, 512), 128, np.float32)
    square[: film.shape[0], : film.shape[1]] = film
    return torch.from_numpy((square - 128.0) / 64.0).expand(3, -1, -1)


def jfhealthcare(folder: Path) -> Published:
    network = randomized(FiveHeads())
    held = {"epoch": 1, "step": 9, "auc_dev_best": 0.9, "state_dict": network.state_dict()}
    torch.save(held, folder / "jfhealthcare.ckpt")
    return of_torch(network, jfhealthcare_input)


# ONNX


def onnx_graph(folder: Path) -> Published:
    """A graph as PyTorch's exporter writes it, weights in a file beside it, and its profile."""
    import onnx
    import onnxscript  # noqa: F401
    import torchvision

    network = randomized(torchvision.models.resnet18(num_classes=3))
    example = torch.zeros(1, 3, 224, 224)
    torch.onnx.export(network, (example,), folder / "torchvision.onnx", dynamo=True, verbose=False)
    tree = load_profile("torchvision:resnet18", GENERIC).model_dump(mode="json")
    tree |= {"name": "graph", "backbone": "onnx", "head": ["as in the file"]}
    (folder / "onnx.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    # the exporter puts each norm into its convolution: the tensors are those of the graph
    held = onnx.load(folder / "torchvision.onnx").graph.initializer
    tensors = tuple(onnx.numpy_helper.to_array(tensor) for tensor in held)
    return replace(of_torch(network, torchvision_input(256)), tensors=tensors)


# Keras


def keras_model(nested: bool) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(0)
    base = keras.applications.DenseNet121(
        include_top=False, weights=None, input_shape=(224, 224, 3)
    )
    rng = np.random.default_rng(0)
    for layer in base.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = layer.gamma.shape[0]
            layer.set_weights(
                [
                    0.8 + 0.4 * rng.random(size),
                    0.1 * rng.normal(size=size),
                    0.1 * rng.normal(size=size),
                    0.5 + rng.random(size),
                ]
            )
    if nested:
        first = keras.Input((224, 224, 3))
        maps = base(first)
    else:
        first, maps = base.input, base.output
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    hidden_layer = keras.layers.Dense(128, activation="relu")(pooled)
    dropped = keras.layers.Dropout(0.5)(hidden_layer)
    out = keras.layers.Dense(14, activation="sigmoid", kernel_initializer="random_normal")(dropped)
    return keras.Model(first, out)


def turned(weights: np.ndarray) -> np.ndarray:
    """Keras's axes (height, width, in, out) in torch's order."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(weights.ndim)
    return weights if axes is None else weights.transpose(axes)


def keras_style(folder: Path, file: str, nested: bool) -> Published:
    model = keras_model(nested)
    model.save(folder / file)
    import keras

    def score(path: Path) -> np.ndarray:
        film = keras.utils.load_img(path, target_size=(224, 224))
        batch = keras.utils.img_to_array(film)[None]
        batch = keras.applications.densenet.preprocess_input(batch)
        with torch.no_grad():
            chance = keras.ops.convert_to_numpy(model(batch))[0].astype(np.float64)
        return np.log(chance / (1.0 - chance))

    tensors = (turned(keras.ops.convert_to_numpy(weight)) for weight in model.weights)
    return Published(score, tuple(tensors))


# Hugging Face

LABELS = ("Edema", "Effusion", "Mass")
STATED = {"seen": [], "license": "Apache-2.0", "citation": "none", "url": "none"}
SMALL: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 96,
    "image_size": 64,
    "patch_size": 16,
}
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "ViT": SMALL,
    "DeiT": SMALL,
    "Dinov2": SMALL,
    "Swin": {
        "embed_dim": 12,
        "depths": [2, 2, 6, 2],
        "num_heads": [3, 6, 12, 24],
        "window_size": 2,
        "image_size": 64,
    },
    "ResNet": {
        "layer_type": "basic",
        "depths": [2, 2, 2, 2],
        "hidden_sizes": [64, 128, 256, 512],
    },
    "ConvNext": {"hidden_sizes": [8, 16, 32, 64], "depths": [3, 3, 9, 3]},
}
"""Networks of transformers in small, by the name of their classes."""


def drawn(network: nn.Module) -> nn.Module:
    """The network of transformers with weights that give films different logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            spread = 0.3 if tensor.ndim > 1 else 0.1
            tensor.add_(spread * torch.randn(tensor.shape, generator=generator))
            if "layer_scale" in name:
                tensor.fill_(0.5)
        for name, tensor in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return network.eval()


def hf_folder(folder: Path, name: str) -> Published:
    """A folder of the hub: configuration, image processor and weights."""
    import transformers

    config = getattr(transformers, f"{name}Config")(
        **TRANSFORMERS[name],
        id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)},
        problem_type="multi_label_classification",
    )
    network = drawn(getattr(transformers, f"{name}ForImageClassification")(config))
    network.save_pretrained(folder / f"hf_{name.lower()}")
    processor = transformers.ViTImageProcessorPil(
        size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.25] * 3, resample=2
    )
    processor.save_pretrained(folder / f"hf_{name.lower()}")

    def score(path: Path) -> np.ndarray:
        given = processor([Image.open(path).convert("RGB")], return_tensors="pt")
        with torch.no_grad():
            return network(**given).logits[0].numpy()

    return replace(of_torch(network, lambda _: torch.empty(0)), score=score)


_TV = {"profile": "torchvision:densenet121", "changes": GENERIC}

STYLES: dict[str, Style] = {
    style.file: style
    for style in (
        Style("xrv_whole_legacy.pt", "xrv-densenet121-res224-all", lambda d: xrv_whole(d, False)),
        Style("xrv_whole_zip.pt", "xrv-densenet121-res224-all", lambda d: xrv_whole(d, True)),
        Style("xrv_state.pth", "xrv-densenet121-res224-all", xrv_state),
        Style("xrv_chex.pt", "xrv-densenet121-res224-chex", xrv_thresholds),
        Style("xrv_resnet50.pt", "xrv-resnet50-res512-all", xrv_resnet),
        Style("model.pth.tar", "chexnet-arnoweng", lambda d: chexnet(d, "model.pth.tar", old=True)),
        Style("m-1.pth.tar", "chexnet-zoogzog", lambda d: chexnet(d, "m-1.pth.tar", old=False)),
        Style("checkpoint", "chexnet-jrzech", jrzech),
        Style("whole.pth", **_TV, write=lambda d: wrapped(d, "whole.pth", lambda n: n)),
        Style(
            "lightning.ckpt",
            **_TV,
            write=lambda d: wrapped(d, "lightning.ckpt", lambda n: lightning(n, {"lr": 0.1})),
        ),
        Style(
            "namespace.ckpt",
            **_TV,
            write=lambda d: wrapped(
                d,
                "namespace.ckpt",
                lambda n: lightning(n, argparse.Namespace(lr=0.1, out=Path("runs"))),
            ),
        ),
        *(
            Style(
                f"{key}.pth",
                **_TV,
                write=lambda d, key=key: wrapped(
                    d, f"{key}.pth", lambda n: {key: n.state_dict(), "epoch": 1}
                ),
            )
            for key in ("model_state_dict", "model", "ema", "net")
        ),
        Style("torchvision.safetensors", **_TV, write=safetensors),
        Style("sharded", **_TV, write=shards),
        Style("timm_resnet18.pth", "timm:resnet18", timm_resnet, GENERIC),
        Style(
            "hidden.pth",
            "torchvision:densenet121",
            hidden,
            {**GENERIC, "head": ["linear classifier.0", "relu", "linear classifier.3"]},
        ),
        Style(
            "softmax.pth",
            "torchvision:resnet50",
            softmax,
            {**GENERIC, "findings": ["none", "Pneumonia"], "output": "softmax"},
        ),
        Style(
            "optimized_densenet_chest_xray.keras",
            "keras-densenet121",
            lambda d: keras_style(d, "optimized_densenet_chest_xray.keras", nested=False),
        ),
        Style("nested.keras", "keras-densenet121", lambda d: keras_style(d, "nested.keras", True)),
        Style("jfhealthcare.ckpt", "jfhealthcare", jfhealthcare),
        Style("torchvision.onnx", "onnx.yaml", onnx_graph),
        *(
            Style(
                f"hf_{name.lower()}",
                HF_PROFILE,
                lambda d, name=name: hf_folder(d, name),
                STATED,
            )
            for name in TRANSFORMERS
        ),
        Style("flat.h5", "keras-densenet121", lambda d: keras_style(d, "flat.h5", False)),
        Style("nested.h5", "keras-densenet121", lambda d: keras_style(d, "nested.h5", True)),
    )
}
"""Every style that is imported, by file name."""


def write_others(folder: Path) -> dict[str, str]:
    """Write what is often found where weights should be; return the word that must name each."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    (folder / "page.pth").write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
    (folder / "pointer.pth").write_bytes(pointer)
    (folder / "empty.pth").write_bytes(b"")
    with zipfile.ZipFile(folder / "folder.zip", "w") as archive:
        archive.writestr("run/best.pth", b"\x80\x02.")
    placed = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    lone = folder / "lone"
    lone.mkdir(exist_ok=True)
    (lone / "model.safetensors.index.json").write_text(json.dumps(placed), "utf-8")
    scripted: Any = torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))
    torch.jit.save(scripted, folder / "scripted.pt")
    return {
        "page.pth": "a web page",
        "pointer.pth": "a Git LFS pointer",
        "empty.pth": "empty",
        "folder.zip": "a zip of a folder with run/best.pth",
        "lone": "model-00001-of-00002.safetensors is missing",
        "scripted.pt": "a TorchScript archive",
    }


def main(folder: Path) -> None:
    """Write every style that can be written here, and print the command that imports each."""
    folder.mkdir(parents=True, exist_ok=True)
    for style in STYLES.values():
        try:
            style.write(folder)
        except ImportError as error:
            sys.stderr.write(f"{style.file}: left out, {error.name} is not installed\n")
        else:
            sys.stdout.write(f"{style.command(folder)}\n")
    for name, word in write_others(folder).items():
        sys.stdout.write(f"{folder / name}  # refused: {word}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.make_published DIR")
    main(Path(sys.argv[1]))
