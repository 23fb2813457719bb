"""Fit the gate's small network, then measure the gate. Both write into the model file.

    python -m scripts.fit_gate fit --data ../shared/data
    python -m scripts.fit_gate measure --data ../shared/data

`--data` holds `nih/` (the official layout), `pretrain/` (an index and films) and `dicom/`. The
first takes three minutes of a core, the second half a minute. Thresholds are chosen by hand on
the part `tune`, in hilum.imaging.gate.rules; `measure` counts with the default rules.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hilum.imaging.gate.network import model_file
from hilum.imaging.gate.picture import seen
from scripts.fit_gate.films import Film, drawn, nih, pretrain
from scripts.fit_gate.material import Material, halves, joined, photographs, small
from scripts.fit_gate.measure import as_json, rates, table

SOURCES = (
    "NIH Clinical Center ChestX-ray14 (Wang et al. 2017)",
    "COVID-CXNet (Haghanifar et al., CC BY 4.0)",
    "Hannover COVID-19 image repository (CC BY 3.0)",
    "COVID-19 X-ray segmentations (CC BY 4.0)",
    "films drawn by hilum.phantom; pictures drawn by scripts/fit_gate/pictures.py",
    "photographs that come with scikit-image, scikit-learn and matplotlib",
)
SHARD = 40_000
"""Squares of one random stream, so that a large fit can be drawn in parts."""
_FIT_DRAWN = ((45, 11, 128), (20, 12, 192), (45, 13, 256))
_HELD_DRAWN = ((15, 101, 128), (10, 102, 200), (20, 0, 256), (8, 104, 512), (4, 105, 1024))


def main() -> None:
    """Run one of the two."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    given.add_argument("step", choices=("fit", "measure"))
    given.add_argument("--data", type=Path, required=True)
    given.add_argument("--model", default="chest1", help="name of the model file")
    given.add_argument("--squares", type=int, default=2 * SHARD)
    given.add_argument("--epochs", type=int, default=6)
    given.add_argument("--seed", type=int, default=0)
    options = given.parse_args()
    cv2.setNumThreads(1)
    if options.step == "fit":
        fit(options.data, options.model, options.squares, options.epochs, options.seed)
    else:
        measure(options.data, options.model)


def fit(data: Path, model: str, count: int, epochs: int, seed: int) -> None:
    """Draw labeled squares from the part `fit`, fit the network, write the model file."""
    from scripts.fit_gate.network import exported, fitted

    films = [film for film in _all(data, _FIT_DRAWN, "fit") if film.part == "fit"]
    pools: dict[str, list[Any]] = {"nih": [], "covid": [], "phantom": []}
    for film in films:
        pools["covid" if film.source.startswith("covid") else film.source].append(
            small(film.pixels)
        )
    photos = photographs()
    taken, _ = halves(list(photos))
    material = Material(pools, [photos[name] for name in taken])
    squares = joined([material.squares(SHARD, seed + shard) for shard in range(count // SHARD)])
    net = fitted(squares, epochs, seed)
    arrays = exported(net, np.stack([seen(film.pixels) for film in films]))
    about = {
        "made by": "python -m scripts.fit_gate",
        "sources": SOURCES,
        "films": {name: len(pool) for name, pool in pools.items()},
        "photographs": taken,
        "squares": count,
        "epochs": epochs,
        "seed": seed,
    }
    _write(model, arrays, about)


def measure(data: Path, model: str) -> None:
    """Count on the other parts; keep the rates in the model file and print them as a table."""
    found = list(rates(list(_all(data, _HELD_DRAWN, "held")), data))
    with np.load(model_file(model), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays.pop("about").tobytes())
    _write(model, arrays, {**about, "rates": as_json(found)})
    sys.stdout.write(table(found) + "\n")


def _all(data: Path, sizes: tuple[tuple[int, int, int], ...], part: str) -> list[Film]:
    films = [*nih(data / "nih"), *pretrain(data / "pretrain")]
    for patients, seed, size in sizes:
        films += drawn(patients, seed, size, part)
    return films


def _write(model: str, arrays: dict[str, Any], about: dict[str, Any]) -> None:
    text = json.dumps(about, separators=(",", ":"))
    held = {**arrays, "about": np.frombuffer(text.encode(), np.uint8)}
    np.savez_compressed(model_file(model), allow_pickle=False, **held)


if __name__ == "__main__":
    main()
