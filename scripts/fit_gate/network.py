"""The gate's small network in torch, fitted once; hilum computes it in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hilum.imaging.gate.network import KINDS, TURNS
from scripts.fit_gate.material import Squares

__all__ = ["SmallNet", "exported", "fitted"]

CHANNELS = (10, 20, 32, 48)
HIDDEN = 64
_WEIGHTS = {"kind": 1.0, "turn": 1.0, "inverted": 1.0, "photographed": 0.5, "incomplete": 0.8}


class SmallNet(nn.Module):
    """Four strided convolutions, a hidden layer, and one linear layer that holds all heads."""

    def __init__(self) -> None:
        super().__init__()
        into = (1, *CHANNELS[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(into, CHANNELS, strict=True)
        )
        self.hidden = nn.Linear(CHANNELS[-1] * 16, HIDDEN)
        self.heads = nn.Linear(HIDDEN, len(KINDS) + len(TURNS) + 3)

    def features(self, squares: Tensor) -> Tensor:
        """The hidden layer before its ReLU: (B, 64, 64) to (B, F)."""
        maps = squares[:, None]
        for convolution in self.convolutions:
            maps = torch.relu(convolution(maps))
        # rows, columns, channels: the order in which NumPy flattens
        return self.hidden(maps.permute(0, 2, 3, 1).flatten(1))

    def forward(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Features and the outputs of all heads."""
        features = self.features(squares)
        dropped = functional.dropout(torch.relu(features), 0.1, self.training)
        return features, self.heads(dropped)


def loss_of(outputs: Tensor, labels: Tensor) -> Tensor:
    """The sum over the heads, each over the squares that it is asked about."""
    kinds, turns = len(KINDS), len(TURNS)
    total = functional.cross_entropy(outputs[:, :kinds], labels[:, 0]) * _WEIGHTS["kind"]
    total = total + _WEIGHTS["turn"] * functional.cross_entropy(
        outputs[:, kinds : kinds + turns], labels[:, 1], ignore_index=-1
    )
    for column, name in enumerate(("inverted", "photographed", "incomplete")):
        asked = labels[:, 2 + column] >= 0
        total = total + _WEIGHTS[name] * functional.binary_cross_entropy_with_logits(
            outputs[asked, kinds + turns + column], labels[asked, 2 + column].float()
        )
    return total


def fitted(squares: Squares, epochs: int, seed: int) -> SmallNet:
    """AdamW, one cycle; the same squares and seed give the same weights on one machine."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # sums in one order
    net = SmallNet().to(memory_format=torch.channels_last)
    pixels, labels = torch.from_numpy(squares.pixels), torch.from_numpy(squares.labels)
    size = 256
    steps = epochs * (len(pixels) // size)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(pixels))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            _, outputs = net(pixels[chosen].float())
            loss = loss_of(outputs, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def exported(net: SmallNet, good: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """Weights as NumPy arrays, with the center and whitening of good films' features.

    Args:
        net: fitted.
        good: (K, 64, 64) squares of good chest films.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with torch.no_grad():
        for layer, convolution in enumerate(net.convolutions):
            kernel = convolution.weight.permute(2, 3, 1, 0)  # row, column, channel; out
            arrays[f"conv{layer}"] = kernel.reshape(-1, kernel.shape[-1]).numpy()
            arrays[f"conv{layer}_bias"] = convolution.bias.numpy()
        arrays["hidden"], arrays["hidden_bias"] = (
            net.hidden.weight.T.numpy(),
            net.hidden.bias.numpy(),
        )
        arrays["heads"], arrays["heads_bias"] = net.heads.weight.T.numpy(), net.heads.bias.numpy()
        features = (
            net.features(torch.from_numpy(good.astype(np.float32))).numpy().astype(np.float64)
        )
    center = features.mean(0)
    spread = np.cov(features.T)
    spread += 0.02 * np.trace(spread) / len(spread) * np.eye(len(spread))
    arrays["centre"] = center
    arrays["whitening"] = np.linalg.cholesky(np.linalg.inv(spread))
    return {
        name: np.asarray(values, np.float16 if name in _HALF else np.float32)
        for name, values in arrays.items()
    }


_HALF = frozenset({"conv1", "conv2", "conv3", "hidden"})
