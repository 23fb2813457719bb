"""The watch: seconds of a check beside predicting, of drawn days, and days until a fault is found.

    python -m bench drift [--table Data_Entry_2017.csv] [--streams 40] [--rounds 3]

With the table of NIH ChestX-ray14, days are drawn from its patients, views and labels, with scores
simulated around the labels at stated AUROCs; without it, that part is left out. Pictures have no
part in it: faults of pictures are simulated as what they do to logits.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from bench.clock import busy
from bench.material import draw_films
from hilum.batch.inputs import list_films
from hilum.batch.run import prepare, run_batch
from hilum.batch.score import BatchRequest
from hilum.bundle import Bundle
from hilum.monitoring.channels import channel_values, channels_of, counted_by, quantities_of
from hilum.monitoring.days import (
    allowance_of,
    day_limits,
    drawn_days,
    slow_limits,
    spreads,
    z_of,
)
from hilum.monitoring.films import ALL_LOGITS, LOGIT, WatchedFilms
from hilum.monitoring.reference import ReferenceRequest, alarmed_days
from hilum.stages.watch import CheckRequest, check_results, fit_results
from hilum.stages.watch_table import FilmTables

AUROCS = {
    "Infiltration": 0.70,
    "Effusion": 0.87,
    "Atelectasis": 0.80,
    "Nodule": 0.75,
    "Mass": 0.82,
    "Pneumothorax": 0.85,
    "Cardiomegaly": 0.88,
    "Hernia": 0.90,
}
REFERENCE, RATE, DAY, LONGEST = 6187, 0.01, 200, 40
SPEED_FILMS, REFERENCE_FILMS = 200, 480
DRAWN, SHARE = 1000, 0.03

Numbers = NDArray[np.float64]


def main(arguments: Sequence[str] = ()) -> None:
    """Run the parts and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench drift")
    parser.add_argument("--table", type=Path, help="Data_Entry_2017.csv, plain or gzipped")
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    print(f"at the start: {busy()}")
    speed(chosen.rounds)
    drawn()
    if chosen.table is not None:
        faults(Table.read(chosen.table), chosen.streams)


def speed(rounds: int) -> None:
    """Print the seconds of a check beside those of predicting the same films, in one process."""
    prepare()
    bundle = Bundle.load("starter")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = draw_films(root / "films", REFERENCE_FILMS, 256)
        everything = list_films([str(root / "films")])
        table = root / "films.csv"
        table.write_text(
            "image_id,patient_id\n"
            + "\n".join(f"{one.name},{k // 2}" for k, one in enumerate(paths))
        )
        request = BatchRequest(pictures=None)
        run_batch(bundle, everything, root / "old", request)
        tables, undated = FilmTables(table), ReferenceRequest(date="2026-01-01")
        fit_results("starter", root / "old", root / "ref", tables, undated)
        for number in range(rounds):
            begun = time.perf_counter()
            run_batch(bundle, everything[:SPEED_FILMS], root / f"new{number}", request)
            between = time.perf_counter()
            new, out = root / f"new{number}", root / f"w{number}"
            check_results(root / "ref", new, out, CheckRequest(tables))
            predicting, checking = between - begun, time.perf_counter() - between
            print(
                f"{SPEED_FILMS} films: predicting {predicting:.2f} s, check {checking:.3f} s, "
                f"{checking / predicting:.1%} (at most {SHARE:.0%})"
            )


def drawn() -> None:
    """Print the seconds of days drawn from as many channels as 14 findings have."""
    rng = np.random.default_rng(0)
    residuals = rng.normal(size=(REFERENCE, 204)) * 0.3
    begun = time.perf_counter()
    days = drawn_days([residuals], 57, DRAWN, rng)
    day_limits(days, 57, RATE)
    print(f"{DRAWN:,} drawn days of {DAY} films, 204 channels: {time.perf_counter() - begun:.1f} s")


@dataclass(frozen=True, eq=False)
class Table:
    """Patients, views and labels.

    Attributes:
        starts: (M + 1,) first row of each patient.
        truth: (N, L) labels.
        views: (N,) PA or AP.
    """

    starts: NDArray[np.intp]
    truth: NDArray[np.bool_]
    views: NDArray[np.str_]

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read the table of NIH."""
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row["Patient ID"]))
        patients = np.array([int(row["Patient ID"]) for row in rows])
        labels = [set(row["Finding Labels"].split("|")) for row in rows]
        truth = np.array([[name in found for name in AUROCS] for found in labels])
        views = np.array([row["View Position"] for row in rows])
        starts = np.flatnonzero(np.diff(patients, prepend=-1))
        return cls(np.append(starts, len(rows)), truth, views)


@dataclass(frozen=True)
class Fault:
    """What is done to films.

    Attributes:
        shift: of all logits.
        to_ap: share of the PA films that become AP.
        finding, factor: whose prevalence is so many times as high.
    """

    shift: float = 0.0
    to_ap: float = 0.0
    finding: str = ""
    factor: float = 1.0


def simulated(
    table: Table, patients: NDArray[np.intp], fault: Fault, rng: np.random.Generator
) -> WatchedFilms:
    """Films of patients, with scores that are calibrated and alike within a patient."""
    counts = np.diff(table.starts)[patients]
    rows = np.concatenate([np.arange(*table.starts[one : one + 2]) for one in patients])
    who = np.repeat(np.arange(len(patients)), counts)
    shares = table.truth.mean(axis=0)
    truth = table.truth[rows]
    for k, name in enumerate(AUROCS):
        if name == fault.finding:
            extra = (fault.factor - 1) * shares[k] / (1 - shares[k])
            truth[:, k] |= rng.random(len(rows)) < extra
    apart = np.array([norm.ppf(one) * 2**0.5 for one in AUROCS.values()])
    own = rng.normal(size=(len(patients), len(apart)))[who] * 0.5
    evidence = apart * truth + own + rng.normal(size=truth.shape) * 0.75**0.5
    logits = np.log(shares / (1 - shares)) + apart * evidence - apart**2 / 2 + fault.shift
    logits = np.clip(logits, -13.8, 13.8)
    p = 1 / (1 + np.exp(-logits))
    numbers = {f"{LOGIT}{name}": logits[:, k] for k, name in enumerate(AUROCS)}
    numbers[ALL_LOGITS] = logits.mean(axis=1)
    for name in ("mean", "spread", "black", "white", "sharpness", "border"):
        same = rng.normal(size=len(patients))[who]
        numbers[f"gray {name}"] = 0.7 * same + 0.714 * rng.normal(size=len(rows))
    views = np.where(rng.random(len(rows)) < fault.to_ap, "AP", table.views[rows])
    called = np.minimum(2 * shares, 0.5)
    return WatchedFilms(
        names=("film",) * len(rows),
        patients=who.astype(np.intp),
        days=np.full(len(rows), ""),
        numbers=numbers,
        words={"view": views},
        flags={f"positive {name}": (p[:, k] > called[k]) * 1.0 for k, name in enumerate(AUROCS)},
        probabilities={},
        thresholds={},
    )


def faults(table: Table, streams: int) -> None:
    """Print the median of days until an alarm for each fault, and how often quiet days alarm."""
    rng = np.random.default_rng(5)
    order = rng.permutation(len(table.starts) - 1)
    films = simulated(table, order[:REFERENCE], Fault(), rng)
    quantities = quantities_of(films)
    sums = counted_by(channel_values(films, quantities), films.patients)
    residuals = sums.residuals(sums.centers)
    size = round(DAY * REFERENCE / len(films))
    drawn = drawn_days([residuals], size, 20_000, rng)
    daily = day_limits(drawn, size, RATE / 2)
    slow = slow_limits(drawn, RATE / 2, allowance_of(size, REFERENCE), rng)
    spread = spreads(residuals)

    def stream(fault: Fault, days: int) -> Numbers:
        patients = rng.choice(order[REFERENCE:], days * size)
        new = simulated(table, patients, fault, rng)
        added = counted_by(channel_values(new, quantities), new.patients)
        apart = added.residuals(sums.centers).reshape(days, size, -1).sum(axis=1)
        return z_of(apart, size, spread)

    print(
        f"reference of {REFERENCE:,} patients, days of {size}, {len(channels_of(quantities))} "
        f"channels, 1 false alarm in {1 / RATE:.0f} days; {streams} streams a fault, seed 5"
    )
    quiet = alarmed_days(stream(Fault(), 4000), daily, slow)
    print(f"undisturbed: {len(quiet) / 4000:.4f} of 4,000 days alarmed")
    kinds = {
        "logits -0.25": Fault(shift=-0.25),
        "logits -0.15": Fault(shift=-0.15),
        "AP 39 to 60 %": Fault(to_ap=0.344),
        "AP 39 to 50 %": Fault(to_ap=0.18),
        **{
            f"{name} x {factor}": Fault(finding=name, factor=factor)
            for name in AUROCS
            for factor in (2, 3, 5)
            if name != "Infiltration" or factor < 5
        },
    }
    for words, fault in kinds.items():
        found = [alarmed_days(stream(fault, LONGEST), daily, slow) for _ in range(streams)]
        days = np.median([one[0] + 1 if one else LONGEST + 1 for one in found])
        print(f"{words}: {'not found' if days > LONGEST else f'{days:.1f} days'}")
