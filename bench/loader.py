"""Films on disk to augmented batches, ours beside the usual way.

Every contender gives the same number of (32, 3, 224, 224) float32 batches of the same drawn films,
turned, scaled, shifted and with other brightness and contrast, with two workers, in the same run.
Ours reads its cache; the usual way is a torchvision dataset that opens PNGs with PIL in a
DataLoader, from the films as they are and from films that were shrunk beforehand. Run it on a
quiet machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from hilum.datasets import open_dataset
from hilum.domain.record import Cohort, Split
from hilum.imaging.preprocess import Preprocessing
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.runs.recipe import TrainingConfig
from hilum.training.data.batches import batches
from hilum.training.data.cache import films_of, write
from hilum.training.data.films import Films, Rasters

PATIENTS, SHOWN, FILM_PX, SIDE, BATCH, WORKERS, REPEATS = 24, 1024, 1024, 224, 32, 2, 3


class Pictures(Dataset[torch.Tensor]):
    """The usual dataset: each film opened, shrunk and changed when it is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.change = v2.Compose(
            [
                v2.Resize((SIDE, SIDE)),
                v2.RandomAffine(8, translate=(0.05, 0.05), scale=(0.9, 1.1)),
                v2.ColorJitter(brightness=0.08, contrast=0.2),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.change(Image.open(self.paths[index]).convert("RGB"))


def films_per_s(epoch: Callable[[], Iterable[int]]) -> float:
    """Median of several epochs, after one that does not count."""
    seconds: list[float] = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        count = sum(epoch())
        seconds.append((time.perf_counter() - started) / count)
    return 1.0 / statistics.median(seconds[1:])


def loader(paths: list[Path]) -> DataLoader[torch.Tensor]:
    """The usual loader; its workers are kept from epoch to epoch."""
    return DataLoader(
        Pictures(paths), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )


def ours(films: Films, workers: int, **augment: float) -> Callable[[], Iterable[int]]:
    """Epochs from the cache, normalized as for the network."""
    config = TrainingConfig.model_validate(
        {
            "name": "bench",
            "phases": [{"name": "all", "trains": {"all": 1e-3}, "epochs": 1}],
            "batch_size": BATCH,
            "augment": augment,
            "data": {"workers": workers},
        }
    )
    return lambda: (
        len(config.preprocessing.normalize(batch.rasters)) for batch in batches(films, config, 1)
    )


def cached(cohort: Cohort, folder: Path) -> tuple[Films, float]:
    """As many films as are shown, by repeating them, and the films cached a second."""
    preprocessing = Preprocessing(size=SIDE)
    started = time.perf_counter()
    cache = write(cohort, preprocessing, folder, WORKERS, lambda *_: None)
    seconds = time.perf_counter() - started
    films, _ = films_of(cohort, Split.TRAIN, preprocessing, cache, WORKERS, lambda *_: None)
    rows = np.resize(np.arange(len(films)), SHOWN)
    names = tuple(f"{row}" for row in range(SHOWN))
    shown = Films(names, Rasters(cache.rasters, rows), films.states[rows])
    return shown, len(films) / seconds


def main() -> None:
    """Time every contender and print the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_nih(PhantomCorpus(patients=PATIENTS, seed=0, size=FILM_PX), root / "films")
        cohort = open_dataset(root / "films")
        films, written = cached(cohort, root / "cache")
        paths = [record.path for record in cohort.records if record.path is not None]
        small = [root / f"{path.stem}-small.png" for path in paths]
        for path, other in zip(paths, small, strict=True):
            Image.open(path).resize((SIDE, SIDE)).save(other)
        rates: dict[str, float] = {}
        for name, those in (
            (f"torchvision and PIL, {FILM_PX}-px PNG", paths),
            (f"torchvision and PIL, {SIDE}-px PNG", small),
        ):
            pictures = loader([those[row % len(those)] for row in range(SHOWN)])
            rates[name] = films_per_s(lambda pictures=pictures: (len(b) for b in pictures))
        every = {"blur_sigma_px": 1.0, "noise": 0.02, "stretch": 0.1, "cutout": 0.5, "jpeg": 0.5}
        rates["hilum, from its cache"] = films_per_s(ours(films, WORKERS))
        rates["hilum, one worker"] = films_per_s(ours(films, 1))
        rates["hilum, every change but CLAHE"] = films_per_s(ours(films, WORKERS, **every))
    first = next(iter(rates.values()))
    print(f"{f'augmented batches, {SIDE} px, {WORKERS} workers':<40} films/s  x torchvision")
    for name, rate in rates.items():
        print(f"{name:<40} {rate:7.0f} {rate / first:14.1f}")
    print(f"{f'writing the cache, {FILM_PX}-px PNG':<40} {written:7.0f}")
