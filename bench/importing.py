"""A published DenseNet-121: its file to tensors, to a loaded bundle, and its films a second.

    python -m bench importing [--rounds 5]

Three tables: the inert reader beside `torch.load(weights_only=True)` of the same state dict, in one
process and in turns; the seconds from `hilum import` to a loaded bundle; and films a second of the
imported network beside one of hilum's own with the same backbone, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.models import densenet121

from bench.clock import busy, rounds, wall_s
from hilum.bundle import Bundle
from hilum.cli.bundle import write as write_bundle
from hilum.cli.import_ import write as write_run
from hilum.domain.findings import LabelSet
from hilum.importing.profile import load_profile
from hilum.importing.read import read_weights
from hilum.inference.engine import Engine
from hilum.model.classifier import classifier
from hilum.model.export import export_onnx

READ, BUNDLED_S, SLOWER = 2.0, 15.0, 0.03
FILMS = 24


def main(arguments: Sequence[str] = ()) -> None:
    """Time the three and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench importing")
    parser.add_argument("--rounds", type=int, default=5)
    count = parser.parse_args(arguments).rounds
    print(f"a published DenseNet-121; at the start: {busy()}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        network = densenet121(num_classes=3)
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):  # or all films would get the same logits
                torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
        torch.save(network.state_dict(), root / "net.pth")
        read(root / "net.pth", count)
        bundle = bundled(root)
        predicted(bundle, root, count)


def read(path: Path, count: int) -> None:
    """Time the readers in turns; reading it again from memory is what both do."""
    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(count + 1):
        theirs.append(wall_s(lambda: torch.load(path, weights_only=True)))
        ours.append(wall_s(lambda: [t.sum() for t in read_weights(path).holders[""].values()]))
    theirs, ours = theirs[1:], ours[1:]
    ratio = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
    size = path.stat().st_size / 1e6
    print(f"\nreading {size:.0f} MB, median of {count}: torch {statistics.median(theirs):.3f} s, ")
    print(f"hilum {statistics.median(ours):.3f} s; ratio {ratio:.2f} (wanted <= {READ:g})")


def bundled(root: Path) -> Bundle:
    """Time the way from the file to a loaded bundle: import, bundle, load."""
    given = {"findings": ["Edema", "Effusion", "Mass"], "seen": [], "license": "BSD-3-Clause"}
    profile = load_profile("torchvision:densenet121", {**given, "citation": "x", "url": "x"})
    seconds = {
        "import": wall_s(lambda: write_run(root / "net.pth", profile, root / "run")),
        "bundle": wall_s(lambda: write_bundle(root / "run", root / "bundle")),
        "load": wall_s(lambda: Bundle.load(root / "bundle")),
    }
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    total = sum(seconds.values())
    print(f"\nfile to a loaded bundle: {total:.1f} s (wanted <= {BUNDLED_S:g}): {parts}")
    return Bundle.load(root / "bundle")


def predicted(bundle: Bundle, root: Path, count: int) -> None:
    """Time both networks on the same squares, in turns."""
    preprocessing, labels = bundle.manifest.preprocessing, LabelSet("own", tuple(bundle.labels))
    own = classifier("densenet121", labels, preprocessing.channels, {}, seed=0).eval()
    export_onnx(own, root / "own.onnx", preprocessing.size, preprocessing.channels)
    engine = Engine(root / "own.onnx", preprocessing, labels)
    side = preprocessing.size
    squares = np.random.default_rng(0).integers(0, 256, (FILMS, side, side)).astype(np.uint8)
    rates = rounds(
        {
            "imported": (FILMS, lambda: bundle.engine.run(squares)),
            "hilum's own": (FILMS, lambda: engine.run(squares)),
        },
        count,
    )
    print()
    for name, rate in rates.items():
        print(f"{name:12} {rate:6.1f} films/s")
    slower = rates["hilum's own"] / rates["imported"] - 1.0
    print(f"the imported one takes {slower:+.1%} of the time (wanted <= {SLOWER:.0%})")
