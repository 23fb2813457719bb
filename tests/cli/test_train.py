"""`hilum train` as a door: what it refuses, what it says, and what it hands on."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hilum.domain.findings import nih14
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih
from hilum.runs.recipe import presets

Said = Callable[..., tuple[int, str, str]]

TINY = """
name: tiny
preprocessing: {size: 64, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
model: {backbone: timm/test_resnet}
split: {train: 0.4, tune: 0.2, calibrate: 0.3, test: 0.1}
phases:
  - {name: head, trains: {head: 3.0e-3}, epochs: 1}
  - {name: all, trains: {head: 3.0e-3, backbone: 1.0e-3}, epochs: 2}
batch_size: 8
compute: {precision: float32, threads: 1}
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_nih(PhantomCorpus(patients=24, seed=1, enrichment=6, size=128), folder)
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


# refused before anything is read or written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "a run must have a folder; name it with -o"),
        (("-o", "new", "--sink", "wandb"), "no sink 'wandb'; there are: mlflow, tensorboard"),
        (
            ("-o", "new", "--set", "optimizer.lr=1e-4"),
            r"tiny\.yaml: optimizer\.lr: no such field\. There are name, weight_decay",
        ),
        (("-o", "new", "--set", "phases.0.trains={tail: 1}"), "Did you mean|tail"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    said: Said,
    films: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tiny.parent)
    code, out, err = said("train", tiny, "--data", films, *words, "--quiet")
    assert (code, out) == (2, "")
    assert re.search(message, err), err
    assert err.count("\n") == 1
    assert not (tiny.parent / "new" / "run.json").exists()


def test_an_unknown_preset_shows_those_there_are(said: Said, films: Path) -> None:
    code, _, err = said("train", "chexnett", "--data", films, "-o", "new")
    assert code == 2
    assert all(name in err for name in presets())
    assert err.endswith("Did you mean 'chexnet'?\n")


@pytest.mark.parametrize(
    ("left", "words", "message"),
    [
        ("run.json", (), r"holds a finished one. Name a different folder with -o"),
        ("run.json", ("--resume",), r"holds a finished one. Name a different folder with -o"),
        ("config.yaml", (), "holds one that was stopped. Resume it with --resume"),
        ("notes.txt", (), "is not a run and not empty"),
    ],
)
def test_a_folder_that_is_used_is_refused(
    said: Said, films: Path, tiny: Path, left: str, words: tuple[str, ...], message: str
) -> None:
    run = tiny.parent / "run"
    run.mkdir()
    (run / left).write_text("{}")
    code, _, err = said("train", tiny, "--data", films, "-o", run, *words)
    assert code == 2
    assert message in err
    assert [path.name for path in run.iterdir()] == [left]


# what it says


def test_the_weights_are_explained_without_training(said: Said, films: Path, tiny: Path) -> None:
    code, out, err = said("train", tiny, "--data", films, "--explain-weights")
    assert (code, err) == (0, "")
    assert all(re.search(rf"^{finding} +positive", out, re.M) for finding in nih14())
    assert list(tiny.parent.iterdir()) == [tiny]


LINE = {
    "epoch": 3,
    "phase": "all",
    "train_loss": 0.12345,
    "tune_loss": 0.2,
    "tune_auroc": None,
    "films_per_s": 1234.5,
    "peak_memory_mb": 2345.6,
}


def test_a_finished_epoch_is_one_line() -> None:
    from hilum.cli.train import _epoch_line

    assert _epoch_line(LINE) == (
        "epoch 3, all: loss 0.1235 on train, 0.2000 on tune; macro AUROC none on tune; "
        "1,234 films/s, 2.3 GB at most"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_films_rate_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from hilum.cli.terminal import progress

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with progress(quiet=False) as step:
        for done in range(1, 41):
            step("all 1/2", done * 8, 400)
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", screen.getvalue())
    assert "all 1/2" in shown
    assert re.search(r"320/400", shown)
    assert re.search(r"[\d,.]+ films/s", shown)
    assert re.search(r"\d:\d\d:\d\d", shown)
    assert re.search(r"\d\.\d GB", shown)


@pytest.mark.parametrize(("quiet", "screen"), [(True, Terminal()), (False, io.StringIO())])
def test_nothing_is_drawn_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, quiet: bool, screen: io.StringIO
) -> None:
    from hilum.cli.terminal import progress

    monkeypatch.setattr("sys.stderr", screen)
    with progress(quiet) as step:
        step("all", 1, 2)
    assert screen.getvalue() == ""


# what it hands on


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")
def test_a_stopped_run_is_resumed_with_its_sinks(
    said: Said, films: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hilum.cli import train as verb

    whole, run, cache = (tiny.parent / name for name in ("whole", "run", "cache"))
    given = ("train", tiny, "--data", films, "--cache", cache, "--sink", "tensorboard")
    code, out, err = said(*given, "-o", whole)
    assert (code, out) == (0, f"{whole}\n"), err
    told = [line for line in err.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in told] == [
        "epoch 1, head",
        "epoch 2, all",
        "epoch 3, all",
    ]

    log = verb.Watching.log

    def stop(self: object, line: dict[str, Any]) -> None:
        log(self, line)
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(verb.Watching, "log", stop)
        code, out, err = said(*given, "-o", run, "--quiet")
    stopped = "hilum: stopped; the same command with --resume goes on where it stopped\n"
    assert (code, out, err) == (75, "", stopped)
    code, _, err = said(*given, "-o", run)
    assert code == 2
    assert "--resume" in err
    code, out, err = said(*given, "-o", run, "--resume", "--quiet")
    assert (code, out, err) == (0, f"{run}\n", "")

    def weights(folder: Path) -> bytes:
        return (folder / "checkpoints" / "best.safetensors").read_bytes()

    assert weights(run) == weights(whole)
    assert (run / "learning_rates.csv").read_bytes() == (whole / "learning_rates.csv").read_bytes()
    for folder in (run, whole):
        assert _steps(folder / "tensorboard") == [1, 2, 3]
        epochs = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in epochs] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once", "uncurved")
def test_runs_of_several_seeds_are_trained_once_each_and_compared(
    said: Said, films: Path, tiny: Path
) -> None:
    runs, cache, changes = tiny.parent / "runs", tiny.parent / "cache", ("--set", "seed=4")
    given = ("train", tiny, "--data", films, "--cache", cache, "-o", runs, *changes)
    code, out, err = said(*given, "--seeds", 2)
    assert (code, out) == (0, f"{runs}\n"), err
    assert "run 1 of 2, seed 4\n" in err
    assert sorted(path.name for path in runs.iterdir()) == ["seed-4", "seed-5"]
    first, second = ((runs / name / "split.csv").read_text() for name in ("seed-4", "seed-5"))
    assert first == second
    weights = [run / "checkpoints" / "best.safetensors" for run in sorted(runs.iterdir())]
    assert weights[0].read_bytes() != weights[1].read_bytes()
    # what is finished stays, and what was killed goes on
    stamps = [path.stat().st_mtime_ns for path in weights]
    code, out, err = said(*given, "--seeds", 3, "--json")
    assert code == 0, err
    assert list(json.loads(out)["runs"]) == ["seed-4", "seed-5", "seed-6"]
    assert err.count("already finished: ") == 2
    assert [path.stat().st_mtime_ns for path in weights] == stamps
    code, out, err = said("compare", runs, f"{runs}/seed-4,{runs}/seed-6", "-o", runs / "compared")
    assert code == 0, err
    assert "seeds were varied: 2 and 3 runs" in out


def test_seeds_are_two_or_more(said: Said, films: Path, tiny: Path) -> None:
    code, _, err = said("train", tiny, "--data", films, "-o", "new", "--seeds", 1)
    assert code == 2
    assert err == (
        "hilum: Invalid value for '--seeds': Input should be greater than or equal to 2\n"
    )


def _steps(folder: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars("train_loss")]
