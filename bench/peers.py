"""What hilum is measured against, each as its users write it.

All of them go from the path of a film to a row of a CSV file, and have their network ready before
the clock starts, as hilum has its bundle. None checks what it reads, hashes it, or survives a
damaged film; torch has the threads it takes by itself. Weights are drawn: they cost what trained
ones cost.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torchxrayvision as xrv
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import densenet121

from hilum.domain.findings import nih14

__all__ = ["batched", "film_by_film", "grad_cam", "torchxrayvision"]

SIDE, BATCH, WORKERS = 224, 16, 2
FINDINGS = nih14().findings

Peer = Callable[[Sequence[Path], Path], None]
"""From films to a CSV file."""


def film_by_film() -> Peer:
    """(a) The usual predict.py: torchvision's DenseNet-121 in float32, one film after the other."""
    network, change = _network(), _transforms()

    def predict(films: Sequence[Path], table: Path) -> None:
        rows: list[tuple[str, list[float]]] = []
        with torch.no_grad():
            for film in films:
                image = change(Image.open(film).convert("RGB"))
                scores = torch.sigmoid(network(image[None]))[0]
                rows.append((film.name, scores.tolist()))
        _write(table, rows)

    return predict


class Films(Dataset[tuple[Tensor, str]]):
    """The usual dataset of (b)."""

    def __init__(self, films: Sequence[Path]) -> None:
        self.films = films
        self.change = _transforms()

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        film = self.films[index]
        return self.change(Image.open(film).convert("RGB")), film.name


def batched(films: Sequence[Path]) -> Peer:
    """(b) The same in batches of 16, read by a DataLoader with two workers.

    The workers are started before the clock, and kept. They are those of these films.
    """
    network = _network()
    loader = DataLoader(Films(films), BATCH, num_workers=WORKERS, persistent_workers=True)

    def predict(shown: Sequence[Path], table: Path) -> None:
        if shown != films:
            raise ValueError("the workers have other films")
        rows: list[tuple[str, list[float]]] = []
        with torch.no_grad():
            for images, names in loader:
                scores = torch.sigmoid(network(images))
                rows += zip(names, scores.tolist(), strict=True)
        _write(table, rows)

    return predict


def torchxrayvision() -> Peer:
    """(c) torchxrayvision's own reading, cropping, resizing and DenseNet, as in its script."""
    network = xrv.models.DenseNet(num_classes=len(FINDINGS), in_channels=1).eval()
    change = transforms.Compose([xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(SIDE)])

    def predict(films: Sequence[Path], table: Path) -> None:
        rows: list[tuple[str, list[float]]] = []
        with torch.no_grad():
            for film in films:
                image = torch.from_numpy(change(xrv.utils.load_image(str(film))))
                scores = torch.sigmoid(network(image[None]))[0]
                rows.append((film.name, scores.tolist()))
        _write(table, rows)

    return predict


def grad_cam() -> Peer:
    """(d) pytorch-grad-cam: 14 maps of 224 px for each film, a backward pass each; and scores."""
    network, change = _network(), _transforms()
    layer = network.get_submodule("features.norm5")

    def predict(films: Sequence[Path], table: Path) -> None:
        rows: list[tuple[str, list[float]]] = []
        with GradCAM(model=network, target_layers=[layer]) as cam:
            for film in films:
                image = change(Image.open(film).convert("RGB"))[None]
                maps = [
                    cam(image, targets=[ClassifierOutputTarget(finding)])[0]
                    for finding in range(len(FINDINGS))
                ]
                if np.stack(maps).shape != (len(FINDINGS), SIDE, SIDE):
                    raise ValueError("a map must span the network's input")
                rows.append((film.name, torch.sigmoid(cam.outputs)[0].tolist()))
        _write(table, rows)

    return predict


def _network() -> nn.Module:
    return densenet121(num_classes=len(FINDINGS)).eval()


def _transforms() -> Callable[[Image.Image], Tensor]:
    return transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


def _write(table: Path, rows: Iterable[tuple[str, list[float]]]) -> None:
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Image_ID", *FINDINGS])
        writer.writerows([name, *scores] for name, scores in rows)
