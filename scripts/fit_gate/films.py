"""The chest films that the gate is fitted and measured on, by patient."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError
from hilum.imaging.read import read
from hilum.phantom.corpus import PhantomCorpus

__all__ = ["SHARES", "Film", "drawn", "nih", "pretrain"]

Field = NDArray[np.float32]

SHARES = {"fit": 0.70, "tune": 0.15, "held": 0.15}
"""Of the patients of NIH's train_val list and of the adult films of other sources."""


@dataclass(frozen=True, eq=False)
class Film:
    """A film, where it is from and which part of the data it belongs to."""

    pixels: Field
    name: str
    source: str
    part: str


def part_of(group: str) -> str:
    """The part of a patient or group, by hash: it never changes when films are added."""
    share = int(hashlib.sha256(f"gate {group}".encode()).hexdigest()[:8], 16) / 0x1_0000_0000
    for part, width in SHARES.items():
        if share < width:
            return part
        share -= width
    return "held"


def nih(root: Path) -> Iterator[Film]:
    """NIH ChestX-ray14: train_val patients in three parts, the official test list as `test`."""
    test = set((root / "test_list.txt").read_text("utf-8").split())
    for path in sorted((root / "images").glob("*.png")):
        part = "test" if path.name in test else part_of(f"nih {path.name.split('_')[0]}")
        yield Film(read(path).pixels, path.name, "nih", part)


def pretrain(root: Path) -> Iterator[Film]:
    """Adult films of three COVID-era sources in three parts; all pediatric ones as `child`."""
    with (root / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        child = row["population"] != "adult"
        part = "child" if child else part_of(f"{row['source']} {row['patient_or_group']}")
        try:
            pixels = read(root / row["file"]).pixels
        except FilmError:
            continue
        yield Film(pixels, row["file"], row["source"], part)


def drawn(patients: int, seed: int, size: int, part: str) -> Iterator[Film]:
    """Drawn films, which demo and tests predict on: to the gate they are films like others."""
    for drawing in PhantomCorpus(patients, seed=seed, enrichment=3.0, size=size).drawings():
        yield Film(drawing.pixels, f"{seed}", "phantom", part)
