"""1,024-px films on disk to rows of a CSV file: `hilum predict` beside the usual scripts.

    python -m bench predict [--films FOLDER] [--work FOLDER] [--rounds 5] [--count 1024] [--ours]

All contenders take turns in one process, on the same films, with networks of the same shape; what
counts is the ratio. With `--ours` the scripts of others are left out, as when two commits of hilum
are to be compared. Then what each stage costs a core, and how far the pipeline is from the bound
that decoding and network set. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench import peers, stages
from bench.clock import busy, cores, rounds
from bench.material import DRAWN, bundle_in, films_in, linked
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.bundle import Bundle
from hilum.explain.request import Pictures
from hilum.imaging.read import read
from hilum.report.parts.results import BatchResults

A = "(a) torchvision, film by film"
B = f"(b) torchvision, batches, {peers.WORKERS} workers"
C = "(c) torchxrayvision, film by film"
D = "(d) pytorch-grad-cam, 14 maps"
SCORES = "hilum, scores"
COMMAND = "hilum predict, scores, with its start"
EIGHT = "hilum, scores, convolutions in 8 bits"
OVERLAYS = "hilum, overlays of positives"
MAPS = "hilum, all 14 maps in memory"
ALONE = "hilum's network alone, 14 maps"
ALONE_EIGHT = "hilum's network alone, in 8 bits"
BARS = (
    (SCORES, A, 10.0),
    (SCORES, B, 9.0),
    (SCORES, C, 12.0),
    (EIGHT, SCORES, 1.0),
    (OVERLAYS, B, 5.0),
    (MAPS, D, 300.0),
)
"""Contender, peer, and how many times as fast it should be."""
WITHIN = 1.3
"""How near the bound the pipeline should come."""


@dataclass
class Spent:
    """Processor time of some calls, over this process and the children that ended in them."""

    films: int = 0
    seconds: float = 0.0
    batch: BatchResults | None = None

    def of(self, work: Callable[[], BatchResults]) -> None:
        """Add one call's."""
        before = sum(os.times()[:4])
        batch = work()
        self.seconds += sum(os.times()[:4]) - before
        self.films += len(batch.results)
        self.batch = batch
        refused = next((result for result in batch.results if not result.status.scored), None)
        if refused is not None:
            raise SystemExit(f"every film must be scored; {refused.input}: {refused.message}")


def main(arguments: Sequence[str] = ()) -> None:
    """Time every contender and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench predict")
    parser.add_argument("--films", type=Path, help="folder of PNG films; else they are drawn")
    parser.add_argument("--work", type=Path, help="keep bundle and drawn films here, for the next")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1024, help="films hilum scores in a round")
    parser.add_argument("--ours", action="store_true", help="time hilum alone")
    chosen = parser.parse_args(arguments)
    print(f"films to CSV rows; at the start: {busy()}")
    if "OMP_WAIT_POLICY" in os.environ:
        print("OMP_WAIT_POLICY is set, which slows the peers: unset it")
    with tempfile.TemporaryDirectory() as folder:
        root = chosen.work or Path(folder)
        bundle = Bundle.load(bundle_in(root), cores())
        eight = Bundle.load(bundle_in(root, quantized=True), cores())
        films = sorted(chosen.films.rglob("*.png")) if chosen.films else films_in(root)
        compare(bundle, eight, films, chosen)
    print(f"at the end: {busy()}")


def compare(bundle: Bundle, eight: Bundle, films: list[Path], chosen: argparse.Namespace) -> None:
    """The table of contenders, and the table of stages."""
    if not films:
        raise SystemExit("no PNG film to measure on")
    many: int = chosen.count
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shown = linked(films, root / "many", many)
        few = linked(films, root / "few", DRAWN)
        some = shown[: max(DRAWN, many // 4)]
        spent = {SCORES: Spent(), EIGHT: Spent(), OVERLAYS: Spent()}
        rasters = np.stack([bundle.manifest.preprocessing.raster(read(film)) for film in few])
        alone = np.concatenate([rasters] * 8)

        def batch(name: str, pictures: Pictures | None, asked: Bundle = bundle) -> None:
            out = root / name  # its own: results are read from its journal, again and again
            shutil.rmtree(out, ignore_errors=True)
            request = BatchRequest(pictures)
            spent[name].of(lambda: run_batch(asked, shown, out, request).batch)

        others = {} if chosen.ours else scripts(few, root / "table.csv")
        rates = rounds(
            {
                **others,
                SCORES: (many, lambda: batch(SCORES, None)),
                EIGHT: (many, lambda: batch(EIGHT, None, eight)),
                COMMAND: (many, lambda: command(bundle.root, root / "many", root / "said")),
                OVERLAYS: (many, lambda: batch(OVERLAYS, Pictures(overlays=True))),
                MAPS: (len(some), lambda: all_maps(bundle, some)),
                ALONE: (len(alone), lambda: bundle.engine.run(alone)),
                ALONE_EIGHT: (len(alone), lambda: eight.engine.run(alone)),
            },
            chosen.rounds,
        )
        print_rates(rates, bundle)
        scored = spent[SCORES].batch
        if scored is None:
            raise SystemExit("no round was run")
        costs = stages.measure(bundle, few, scored)
        print_stages(costs, rates, spent)


def scripts(few: Sequence[Path], table: Path) -> dict[str, tuple[int, Callable[[], object]]]:
    """The scripts of others, each with how many films a call scores."""
    return {
        A: (len(few), partial(peers.film_by_film(), few, table)),
        B: (len(few), partial(peers.batched(few), few, table)),
        C: (len(few), partial(peers.torchxrayvision(), few, table)),
        D: (1, partial(peers.grad_cam(), few[:1], table)),
    }


def command(bundle: Path, films: Path, out: Path) -> None:
    """The command as a user types it."""
    shutil.rmtree(out, ignore_errors=True)
    words = ("predict", bundle, films, "-o", out, "--tables-only", "--phi", "none", "--quiet")
    hilum = Path(sys.executable).with_name("hilum")
    subprocess.run([hilum, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def all_maps(bundle: Bundle, films: Sequence[Path]) -> None:
    """From Python: scores, and every finding's map at the network's size, as grad-cam gives."""
    preprocessing = bundle.manifest.preprocessing
    square = (preprocessing.size, preprocessing.size)

    def one(path: Path) -> None:
        for heatmap in bundle.predict(path).analysis.maps:
            preprocessing.to_film(heatmap, square)

    with ThreadPoolExecutor(cores() + 2) as threads:  # one reads while another is scored
        for _ in threads.map(one, films):
            pass


def print_rates(rates: dict[str, float], bundle: Bundle) -> None:
    """Films a second, and each bar beside what was measured."""
    side = bundle.manifest.preprocessing.size
    title = f"DenseNet-121, {side} px, {bundle.precision.value}, {bundle.engine.runtime}"
    print(f"\n{title:<52} films/s")
    for name, rate in rates.items():
        print(f"{name:<52} {rate:7.2f}")
    print(f"\n{'times as fast':<82} bar")
    for name, peer, bar in BARS:
        if peer not in rates:
            continue
        ratio = rates[name] / rates[peer]
        word = "met" if ratio >= bar else "missed"
        print(f"{f'{name} : {peer}':<70} {ratio:7.1f} {bar:7.0f}  {word}")


def print_stages(costs: stages.Stages, rates: dict[str, float], spent: dict[str, Spent]) -> None:
    """What each stage costs, the bound, and how far the pipeline is from it."""
    total = sum(costs.scores.values())
    print(f"\n{'stage, alone in one thread':<52} core-ms a film   share")
    for name, cost in costs.scores.items():
        print(f"{name:<52} {cost:14.2f} {cost / total:7.0%}")
    print(f"{'sum':<52} {total:14.2f}")
    for name, own in spent.items():
        own_ms = own.seconds / own.films * 1000.0
        print(f"{f'spent by {name}, readers too':<52} {own_ms:14.2f}")
    drawn = f"an overlay; {costs.positives:.2f} a film here"
    print(f"{'a preview JPEG':<52} {costs.preview:14.2f}")
    print(f"{drawn:<52} {costs.overlay:14.2f}")
    bound = 1000.0 * cores() / (costs.scores[stages.DECODE] + costs.scores[stages.NETWORK])
    apart = bound / rates[SCORES]
    word = "met" if apart <= WITHIN else "missed"
    print(
        f"\nbound: {cores()} cores that only read and run the network: {bound:.0f} films/s; "
        f"the pipeline is {apart:.2f}x from it (aim {WITHIN}: {word})"
    )
