"""10,000 films in one run of `hilum predict`: does memory grow, or the cost of a film?

    python -m bench memory [--count 10000] [--bundle starter] [--pictures]

The films are names of a few drawn 256-px ones. Every half second the proportional share (PSS) of
the command and all its children is read from /proc, and the films done from the journal's length.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.clock import busy
from bench.material import draw_films, linked

DRAWN, PX, SETTLED, EVERY_S = 36, 256, 500, 0.5
SLOPE, GROWTH = 1.0, 1.1
"""MB for 1,000 films, and cost of a late film to that of an early one, at most."""


@dataclass(frozen=True)
class Sample:
    """Seconds since the start, films done, megabytes of the whole family, its processes."""

    second: float
    films: int
    megabytes: float
    processes: int


def main(arguments: Sequence[str] = ()) -> None:
    """Run, sample, and print slope and costs."""
    parser = argparse.ArgumentParser(prog="python -m bench memory")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--bundle", default="starter", help="a folder, or the one that is shipped")
    parser.add_argument("--pictures", action="store_true", help="previews and overlays too")
    chosen = parser.parse_args(arguments)
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("this needs /proc/*/smaps_rollup, which Linux has")
    if chosen.count < 4 * SETTLED:
        raise SystemExit(f"a slope needs at least {4 * SETTLED} films")
    print(f"{chosen.count:,} films of {PX} px; at the start: {busy()}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        films = root / "many"
        linked(draw_films(root / "films", DRAWN, PX), films, chosen.count)
        out = root / "out"
        hilum = str(Path(sys.executable).with_name("hilum"))
        command = [hilum, "predict", chosen.bundle, str(films), "-o", str(out), "--quiet"]
        command += ["--phi", "none", *(() if chosen.pictures else ("--tables-only",))]
        samples = watched(command, out / "journal.jsonl")
    report(samples, chosen.count)
    print(f"at the end: {busy()}")


def watched(command: list[str], journal: Path) -> list[Sample]:
    """Samples of a command until it ends."""
    started = time.perf_counter()
    samples: list[Sample] = []
    lines, end = -1, 0  # the first line is the header
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            if journal.exists():
                with journal.open("rb") as file:
                    file.seek(end)
                    new = file.read()
                lines, end = lines + new.count(b"\n"), end + len(new)
            megabytes, processes = family_mb(child.pid)
            second = time.perf_counter() - started
            samples.append(Sample(second, max(0, lines), megabytes, processes))
            time.sleep(EVERY_S)
    if child.returncode:
        raise SystemExit(f"hilum predict ended with {child.returncode}")
    return samples


def family_mb(root: int) -> tuple[float, int]:
    """PSS in MB of a process and all its descendants, and how many they are."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # the name in brackets may hold spaces and brackets of its own
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    family = {root}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(map(_pss_kb, family)) / 1024.0, len(family)


def _pss_kb(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:"), 0)


def report(samples: list[Sample], count: int) -> None:
    """Print what the samples say."""
    scoring = [one for one in samples if SETTLED <= one.films < count]
    if len(scoring) < 10:
        raise SystemExit("the run was too short for a slope: take more films")
    films = np.array([one.films for one in scoring], np.float64)
    megabytes = np.array([one.megabytes for one in scoring])
    slope = float(np.polyfit(films / 1000.0, megabytes, 1)[0])
    seconds = np.array([one.second for one in scoring])
    early, late = _cost_ms(films, seconds, 0.0, 0.25), _cost_ms(films, seconds, 0.75, 1.0)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        one = scoring[round(share * (len(scoring) - 1))]
        print(
            f"{one.second:7.1f} s  {one.films:7,} films  {one.megabytes:7.1f} MB  "
            f"{one.processes} processes"
        )
    peak = max(one.megabytes for one in samples)
    print(f"peak, with the reports at the end {peak:.1f} MB; whole run {samples[-1].second:.1f} s")
    _bar("MB for 1,000 films", slope, SLOPE)
    _bar(f"late film / early film ({late:.1f} ms / {early:.1f} ms)", late / early, GROWTH)


def _cost_ms(films: np.ndarray, seconds: np.ndarray, start: float, end: float) -> float:
    """Milliseconds a film between two shares of the way."""
    first, last = (round(share * (len(films) - 1)) for share in (start, end))
    return float((seconds[last] - seconds[first]) / (films[last] - films[first]) * 1000.0)


def _bar(name: str, value: float, bar: float) -> None:
    print(f"{name:<52} {value:7.2f}   bar {bar:g}: {'met' if value <= bar else 'missed'}")
