"""From a command to the result of one film: `hilum predict` beside the usual torch script.

    python -m bench coldstart [--work FOLDER] [--rounds 5]

Both are processes of their own that take turns, with the same network shape, on the same film.
hilum checks the bundle's hashes and self-test, and writes all reports; the script prints 14
numbers. Then `hilum --help`, and the megabytes that the base install needs.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from packaging.requirements import Requirement
from torchvision.models import densenet121

from bench.clock import busy, wall_s
from bench.material import bundle_in, films_in
from hilum.bundle import Bundle

LEAST, HELP_S, BASE_MB = 4.0, 0.3, 900
LAB = ("torch", "torchvision", "timm")


def main(arguments: Sequence[str] = ()) -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench coldstart")
    parser.add_argument("--work", type=Path, help="keep bundle and drawn films here, for the next")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    print(f"from a command to the result of one film; at the start: {busy()}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bundle, film = bundle_in(chosen.work or root), films_in(chosen.work or root)[0]
        torch.save(densenet121(num_classes=14).state_dict(), root / "weights.pt")
        hilum = str(Path(sys.executable).with_name("hilum"))
        script = str(Path(__file__).with_name("cold_script.py"))
        words = {
            "torch script": [sys.executable, script, str(root / "weights.pt"), str(film)],
            "hilum predict, with reports": [
                *(hilum, "predict", str(bundle), str(film)),
                *("-o", str(root / "out"), "--phi", "none", "--quiet"),
            ],
            "hilum --help": [hilum, "--help"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in words}
        for turn in range(chosen.rounds + 1):
            for name, command in words.items():
                shutil.rmtree(root / "out", ignore_errors=True)
                taken = wall_s(partial(run, command))
                if turn:  # the first reads everything from the disk
                    seconds[name].append(taken)
        loading = statistics.median(wall_s(partial(Bundle.load, bundle)) for _ in range(3))
    medians = {name: statistics.median(those) for name, those in seconds.items()}
    for name, median in medians.items():
        print(f"{name:<34} {median:7.2f} s")
    print(f"{'  of which Bundle.load, when warm':<34} {loading:7.2f} s")
    slow, quick, help_s = medians.values()
    _bar("torch script / hilum predict", slow / quick, LEAST, slow / quick >= LEAST)
    _bar("hilum --help, s", help_s, HELP_S, help_s <= HELP_S)
    size = base_mb()
    _bar("base install, MB", size, BASE_MB, size <= BASE_MB)
    print(f"at the end: {busy()}")


def run(command: list[str]) -> None:
    """A process to its end; its output is dropped."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _bar(name: str, value: float, bar: float, met: bool) -> None:
    print(f"{name:<34} {value:7.2f}   bar {bar:g}: {'met' if met else 'missed'}")


def base_mb() -> float:
    """Megabytes of the files of hilum's dependencies without extras, compiled bytecode included.

    They are counted where they are installed here, with all that they depend on.
    """
    todo, seen, size = ["hilum"], set[str](), 0
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        paths = {Path(str(file.locate())) for file in found.files or ()}
        size += sum(_bytes(path) for path in paths)
        for line in found.requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                todo.append(need.name.lower().replace("_", "-"))
    if seen & set(LAB):
        raise SystemExit(f"the base install must not need {', '.join(seen & set(LAB))}")
    return size / 1e6


def _bytes(path: Path) -> int:
    """Of a file, and of its bytecode, which few installers list."""
    if path.suffix == ".pyc" or not path.is_file():
        return 0
    compiled = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
    bytecode = compiled.stat().st_size if path.suffix == ".py" and compiled.is_file() else 0
    return path.stat().st_size + bytecode
