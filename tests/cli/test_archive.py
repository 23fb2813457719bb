"""An archive by the command line: plan, score in shares, merge, export and evaluate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed")

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def readers(inline: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("engines.lanes", "archive.worker"):
        monkeypatch.setattr(f"hilum.batch.{module}.ReaderProcess", inline)


@pytest.fixture
def films(toy: Path) -> Path:
    return toy / "films" / "images"


def numbers(tree: object) -> Iterator[float]:
    """Every number of a document, in its order."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for one in tree:
            yield from numbers(one)
    elif isinstance(tree, (int, float)):
        yield float(tree)


def test_a_plan_scored_in_shares_is_the_batch(
    said: Said,
    toy: Path,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undrawn: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = str(toy / "bundle")
    code, out, err = said("plan", films, "-o", "planned", "--chunk", "5")
    assert (code, out) == (0, "planned/plan.parquet\n")
    assert " films, " in err
    assert "MB of memory" in err
    share = ("predict", bundle, "planned/plan.parquet", "-o", "out", "--tables-only", "--shard")
    assert said(*share, "1/2", "-q")[:2] == (0, "out\n")
    code, out, err = said("merge", "out", "-q")
    assert (code, out) == (2, "")
    assert "every chunk must have a part; out lacks chunks 1, 3" in err
    code, out, err = said("merge", "out", "--partial")
    assert (code, out) == (3, "out/dataset.json\n")
    assert err.startswith("partial: ")
    said(*share, "2/2")
    code, out, err = said("merge", "out", "--bundle", bundle, "-q")
    assert (code, out, err) == (0, "out/report.html\n", "")
    said("predict", bundle, str(films), "-o", "whole", "--tables-only", "--threads", "1")
    table = Path("whole/final_clinical_report.csv").read_bytes()
    assert Path("out/final_clinical_report.csv").read_bytes() == table
    assert said("export-table", "out", "-o", "t.csv", "-q") == (0, "t.csv\n", "")
    assert Path("t.csv").read_bytes() == table

    found: list[list[float]] = []
    for subject in ("whole/final_clinical_report.csv", "out"):
        rest = ("--labels", toy / "films", "-o", f"e{len(found)}", "--uncertain", "ignore")
        code, _, err = said("evaluate", subject, *rest, "--resamples", "100", "-q")
        assert code == 0, err
        evaluation = json.loads(Path(f"e{len(found)}/evaluation.json").read_text())
        found.append(list(numbers(evaluation["findings"])))
    assert len(found[0]) > 100
    assert found[1] == pytest.approx(found[0], abs=1e-6)  # a CSV has 9 digits


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("FILMS --engine lanes --shard 1/2", "machines that share an archive need one plan"),
        ("FILMS --workers 2", "--address and --workers are options of --engine ray"),
        ("FILMS --engine lanes --address auto", "--address and --workers are options"),
        ("FILMS --engine lanes --strict", "--dicom and --strict do not go with --engine"),
        ("FILMS --engine spark", "--engine must be one of lanes, ray; got 'spark'"),
        ("FILMS --engine ray --workers 8:1", "workers must read least:most"),
        ("FILMS --engine ray --address nowhere", "--address must read host:port, or auto"),
        ("plan/plan.parquet FILMS", "a plan must be the only input"),
    ],
)
def test_what_cannot_be_is_one_line(
    said: Said,
    toy: Path,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    message: str,
) -> None:
    if "nowhere" in words:
        pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.chdir(tmp_path)
    said("plan", films, "-o", "plan", "-q")
    given = [str(films) if word == "FILMS" else word for word in words.split()]
    code, out, err = said("predict", toy / "bundle", *given, "-o", "out", "-q")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_plan_that_changed_is_refused_in_its_folder(
    said: Said, toy: Path, films: Path, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for film in sorted(films.iterdir())[:2]:
        shutil.copyfile(film, inbox / film.name)
    words = ("predict", toy / "bundle", inbox, "-o", tmp_path / "out", "--engine", "lanes", "-q")
    words = (*words, "--tables-only")
    assert said(*words)[0] == 0
    assert said(*words)[0] == 0
    (inbox / "new.png").write_bytes(b"")
    code, _, err = said(*words)
    assert code == 2
    assert "an archive has one plan" in err


@pytest.mark.slow
def test_a_driver_that_is_killed_loses_no_part(toy: Path, films: Path, tmp_path: Path) -> None:
    """Killed by the system at moments that the test does not choose, then begun again."""
    command = [sys.executable, "-m", "hilum", "predict", str(toy / "bundle")]
    place = tmp_path / "out"
    subprocess.run(
        [sys.executable, "-m", "hilum", "plan", str(films), "-o", str(tmp_path), "--chunk", "1"],
        check=True,
        capture_output=True,
    )
    command += [str(tmp_path / "plan.parquet"), "--tables-only", "-q", "-o"]
    for kills in range(3):
        run = subprocess.Popen(
            [*command, str(place)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        before = time.monotonic()
        parts = place / "parts"
        while run.poll() is None and time.monotonic() - before < 120:
            if parts.is_dir() and sum(1 for _ in parts.glob("0*.parquet")) > 2 * kills:
                break
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
    done = subprocess.run([*command, str(place)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    for path in sorted(whole.rglob("*")):
        if path.is_file() and path.name != ".lock":
            assert (place / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
