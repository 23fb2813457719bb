"""Compare what two versions of hilum write, byte for byte, from the same commands.

    python -m scripts.compare_outputs BEFORE AFTER [--words] [--declare NAME ...] [--keep FOLDER]

BEFORE and AFTER are checkouts, or commits of this repository. The sources of each are copied to one
and the same temporary path, and there `code_sha256` is replaced by a constant: what is hashed,
sealed or printed from it is then the same in both, and no hash needs to be masked. The commands of
`COMMANDS` run with each, and every file they wrote is compared, with what they printed and their
exit codes. With `--words`, sentences may differ if the numbers in them are the same, in the same
order. Exit code 0: nothing differs but what is declared. 1: something else does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PRESET = """
name: tiny
preprocessing: {size: 64, channels: 1, mean: [0.5], std: [0.25]}
model: {backbone: densenet121, options: {growth_rate: 4}}
phases:
  - {name: head, trains: {head: 3.0e-3}, epochs: 1}
  - {name: all, trains: {all: 2.0e-3}, epochs: 1}
batch_size: 16
compute: {device: cpu, precision: float32, threads: 1}
"""

COMMANDS = """
phantom nih -o films --patients 40 --enrichment 4 --seed 1 --quiet
phantom chexpert -o chexpert --patients 12 --quiet
check films --json -o checked --quiet
train tiny.yaml --data films -o run --quiet
train tiny.yaml --data films -o other --set batch_size=24 --quiet
calibrate run --quiet
calibrate other --method beta --quiet
evaluate run --resamples 200 --quiet
evaluate table.csv --labels films -o table --resamples 200 --quiet
compare run other -o compared --resamples 200 --quiet
audit table.csv --labels films --claim ece=0.00% --claim Effusion.auroc=0.5 -o audited
localize run -o localized --quiet
localize run --sanity -o sane --quiet
bundle run -o bundle
predict bundle inbox -o report --heatmaps top --panel --phi none --quiet
predict bundle inbox -o triptychs --heatmaps all --style triptych --pictures-as jpg --phi none
predict starter inbox -o tables --tables-only --phi full --format console --quiet
predict starter inbox -o tables-markdown --tables-only --phi none --format markdown --quiet
predict starter inbox -o tables-json --tables-only --phi none --format json --quiet
"""

ENTER = """
import sys
from hilum.cli import command
sys.argv[0] = "hilum"
command()
"""

CONSTANT = """

def code_sha256(*_rooms: str) -> str:
    \"\"\"A constant, written here by the comparison.\"\"\"
    return "0" * 64
"""

DECLARED = {
    "time": "when a test set was looked at",
    "seconds": "how long an epoch took",
    "films_per_s": "how fast an epoch was",
    "peak_memory_mb": "how much memory an epoch took",
    "schema_version": "schema 2 of the results",
    "decision": "schema 2 of the results",
    "abstained": "schema 2 of the results",
    "abstention": "schema 2 of the results",
}
"""Keys of JSON whose values may differ, or which one side may lack, and why.

`--declare` adds keys, and names of files that may differ as a whole."""

KINDS = ("json", "jsonl", "csv", "html", "md", "png", "jpg", "txt", "yaml", "onnx", "other")
TEXTS = (".csv", ".html", ".md", ".txt", ".yaml")
CLOCK = re.compile(r"films in [\d.]+ s, [\d.]+ films/s")
"""How long a batch took, which is printed."""
DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")
INBOX_FILMS = 10
LIMIT_S = 180


@dataclass
class Tally:
    """What was found of one kind of file."""

    same: int = 0
    declared: int = 0
    reworded: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """What counts as a difference of two values.

    Attributes:
        declared: keys of JSON whose values may differ.
        seen: what of a text is compared.
    """

    declared: set[str]
    seen: Callable[[str], str]


def main() -> int:
    """Run, compare, print a line for each kind of file."""
    parser = argparse.ArgumentParser(prog="compare_outputs", description=__doc__.split("\n")[0])
    parser.add_argument("before", help="a checkout, or a commit of this repository")
    parser.add_argument("after", help="the same")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), metavar="PATH")
    parser.add_argument("--declare", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--words", action="store_true", help="let sentences differ, not numbers")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave both outputs here")
    given = parser.parse_args()
    python = given.python.absolute()  # not resolved: a link is what makes it a venv's
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        place = given.keep.resolve() if given.keep else Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for side in ("before", "after"):
            _run_side(getattr(given, side), place, side, python)
        declared = {*DECLARED, *given.declare}
        found = compare(place / "before", place / "after", declared, given.words)
    for kind in KINDS:
        if kind in found:
            _print(kind, found[kind])
    differing = sum(len(tally.differing) for tally in found.values())
    reworded = sum(len(tally.reworded) for tally in found.values())
    same = sum(tally.same + tally.declared for tally in found.values())
    print(f"{same + reworded + differing} files: {reworded} reworded, {differing} differ")
    return int(differing > 0)


def _print(kind: str, tally: Tally) -> None:
    if not tally.differing:
        also = f", {tally.declared} but for declared keys" if tally.declared else ""
        also += f", {len(tally.reworded)} reworded" if tally.reworded else ""
        print(f"{kind:6} same     {tally.same} files{also}")
    else:
        total = tally.same + tally.declared + len(tally.reworded) + len(tally.differing)
        print(f"{kind:6} differs  {len(tally.differing)} of {total} files")
        for line in tally.differing[:5]:
            print(f"         {line}")


# run


def _run_side(source: str, place: Path, side: str, python: Path) -> None:
    """Run all commands with one version, in a folder whose path is the same for both."""
    code, work, started = place / "code", place / "work", time.monotonic()
    for folder in (code, work, place / side):
        shutil.rmtree(folder, ignore_errors=True)
    _copy(source, code)
    provenance = code / "src" / "hilum" / "domain" / "provenance.py"
    if "def code_sha256(" not in provenance.read_text("utf-8"):
        raise SystemExit(f"code_sha256 must stand in {provenance}; it was moved. Change CONSTANT")
    with provenance.open("a", encoding="utf-8") as file:
        file.write(CONSTANT)
    work.mkdir()
    (work / "tiny.yaml").write_text(PRESET, "utf-8")
    environment = _environment(code, place)
    loaded = _python(python, "import hilum; print(hilum.__file__, end='')", (), work, environment)
    if Path(loaded.stdout) != code / "src" / "hilum" / "__init__.py":
        raise SystemExit(f"{python} must load hilum from PYTHONPATH; it loaded {loaded.stdout}")
    for number, line in enumerate(COMMANDS.strip().splitlines(), start=1):
        begun = time.monotonic()
        done = _python(python, ENTER, line.split(), work, environment)
        sys.stderr.write(f"{side} {time.monotonic() - begun:5.1f} s  hilum {line}\n")
        if done.returncode not in (0, 3):
            raise SystemExit(f"{side}: hilum {line}\nexit code {done.returncode}: {done.stderr}")
        printed = f"$ hilum {line}\n{done.stdout}{done.stderr}exit code {done.returncode}\n"
        (work / f"printed-{number:02}.txt").write_text(printed, "utf-8")
        if number == 1:
            _inputs(work)
    work.rename(place / side)
    print(f"{side}: {source}, {number} commands in {time.monotonic() - started:.0f} s")


def _copy(source: str, code: Path) -> None:
    """The sources of a checkout or a commit, without git, so that no commit is written down."""
    if (Path(source) / "src" / "hilum").is_dir():
        for name in ("src", "models"):
            shutil.copytree(Path(source) / name, code / name, ignore=_compiled)
        return
    code.mkdir(parents=True)
    packed = code / "packed.tar"
    command = ["git", "archive", "--output", str(packed), source, "src", "models"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{source} must be a checkout or a commit; git: {done.stderr.strip()}")
    with tarfile.open(packed) as archive:
        archive.extractall(code, filter="data")
    packed.unlink()


def _compiled(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def _environment(code: Path, place: Path) -> dict[str, str]:
    """Our own, with the copied sources first, settings of nobody, and one thread a product."""
    return {
        **os.environ,
        "PYTHONPATH": str(code / "src"),
        "XDG_CONFIG_HOME": str(place / "settings"),
        "OMP_WAIT_POLICY": "passive",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }


def _python(
    python: Path, script: str, words: object, work: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-P", "-c", script, *words],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def _inputs(work: Path) -> None:
    """Some films with a damaged one among them, and a table of scores, from the drawn films."""
    names = (work / "films" / "test_list.txt").read_text("utf-8").split()
    inbox = work / "inbox"
    inbox.mkdir()
    for name in names[:INBOX_FILMS]:
        shutil.copyfile(work / "films" / "images" / name, inbox / name)
    whole = (inbox / names[0]).read_bytes()
    (inbox / "damaged.png").write_bytes(whole[: len(whole) // 2])
    rows = [f"{name},{_score(name, 'e')},{_score(name, 'i')}\n" for name in names]
    (work / "table.csv").write_text("image,Effusion,Infiltration\n" + "".join(rows), "utf-8")


def _score(name: str, finding: str) -> float:
    """A number from 0 to 1 that looks random and is the same everywhere."""
    drawn = hashlib.sha256(f"{finding} {name}".encode()).hexdigest()[:4]
    return round(int(drawn, 16) / 0xFFFF, 4)


# compare


def compare(before: Path, after: Path, declared: set[str], words: bool = False) -> dict[str, Tally]:
    """What differs between two folders, by kind of file.

    Args:
        before: what the first version wrote.
        after: what the second one wrote.
        declared: keys of JSON whose values may differ, and files that may.
        words: whether sentences may differ that have the same numbers in the same order.
    """
    found: dict[str, Tally] = defaultdict(Tally)
    for name in sorted({*_names(before), *_names(after)}):
        suffix = Path(name).suffix[1:].replace("jpeg", "jpg")
        tally = found[suffix if suffix in KINDS else "other"]
        old, new = before / name, after / name
        if not (old.exists() and new.exists()):
            tally.differing.append(f"{name}: only {'before' if old.exists() else 'after'}")
        elif old.read_bytes() == new.read_bytes():
            tally.same += 1
        elif old.name in declared or (line := difference(old, new, declared)) is None:
            tally.declared += 1
        elif words and difference(old, new, declared, numbers) is None:
            tally.reworded.append(f"{name}: {line}")
        else:
            tally.differing.append(f"{name}: {line}")
    return found


def _names(folder: Path) -> Iterator[str]:
    return (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def numbers(text: str) -> str:
    """The numbers of a text, in order; words, marks and digests are left out."""
    return " ".join(re.findall(r"(?<![\w.])-?\d+(?:[.,]\d+)*", DIGEST.sub("", text)))


def difference(
    old: Path, new: Path, declared: set[str], seen: Callable[[str], str] = str
) -> str | None:
    """The first difference of two files that is not declared, in words; None without one.

    Args:
        old: the first file.
        new: the second file.
        declared: keys of JSON whose values may differ.
        seen: what of a text is compared: all of it, or `numbers`.
    """
    kind = old.suffix
    if kind == ".json":
        was, now = (json.loads(path.read_text("utf-8")) for path in (old, new))
        return _of_values(was, now, Compared(declared, seen))
    if kind == ".jsonl":
        return _of_lines(old, new, Compared(declared, seen))
    if kind in TEXTS:
        was, now = (seen(CLOCK.sub("", path.read_text("utf-8"))) for path in (old, new))
        return None if was == now else _first_line(was.splitlines(), now.splitlines())
    return f"{old.stat().st_size} and {new.stat().st_size} bytes"


def _of_lines(old: Path, new: Path, rule: Compared) -> str | None:
    """JSON lines: those of a journal come as films are finished, so in no order."""
    lines = [path.read_text("utf-8").splitlines() for path in (old, new)]
    if old.name == "journal.jsonl":
        lines = [sorted(side, key=lambda line: line[line.index("{") :]) for side in lines]
    if len(lines[0]) != len(lines[1]):
        return f"{len(lines[0])} and {len(lines[1])} lines"
    for number, (was, now) in enumerate(zip(*lines, strict=True), start=1):
        line = _of_values(_after_checksum(was), _after_checksum(now), rule)
        if line is not None:
            return f"line {number}, {line}"
    return None


def _after_checksum(line: str) -> object:
    """The value of a line; those of a journal begin with a checksum."""
    return json.loads(line[line.index("{") :])


def _of_values(old: object, new: object, rule: Compared, at: str = "") -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        if [key for key in old if key in new] != [key for key in new if key in old]:
            return f"{at or 'top'}: keys in a different order"
        for key in dict.fromkeys([*old, *new]):
            if key in rule.declared:
                continue
            if key not in old or key not in new:
                return f"{at}.{key}: only {'before' if key in old else 'after'}"
            line = _of_values(old[key], new[key], rule, f"{at}.{key}")
            if line is not None:
                return line
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        lines = (_of_values(a, b, rule, f"{at}[{index}]") for index, (a, b) in pairs)
        return next((line for line in lines if line is not None), None)
    if isinstance(old, str) and isinstance(new, str):
        old, new = rule.seen(old), rule.seen(new)
    same = type(old) is type(new) and json.dumps(old) == json.dumps(new)
    return None if same else f"{at}: {str(old)[:60]!r} and {str(new)[:60]!r}"


def _first_line(old: list[str], new: list[str]) -> str:
    for number, (was, now) in enumerate(zip(old, new, strict=False), start=1):
        if was != now:
            start = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
            start = max(0, start - 20)
            return f"line {number}: {was[start : start + 60]!r} and {now[start : start + 60]!r}"
    return f"{len(old)} and {len(new)} lines" if len(old) != len(new) else "ends of lines"


if __name__ == "__main__":
    sys.exit(main())
