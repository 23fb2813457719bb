"""Two worlds that many tests look at, each made once.

`toy` is a run and a bundle of a network of one convolution, in two seconds, without torch.
`pipeline` is the real thing, small: every verb of the command line, one after the other. All its
tests stand in one file, so that of several workers (`--dist loadfile`) one makes it.
Tests only read them; a test that edits works on a copy.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    import onnx
    import torch

# Before torch is imported anywhere: two workers that spin on two cores wait for each other.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

Hilum = Callable[..., subprocess.CompletedProcess[str]]
Said = Callable[..., tuple[int, str, str]]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # begun in the background by a shell, which children would inherit: Ctrl-C is tested
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


def beside(name: str) -> Any:
    """The file of this name beside this one; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage", action="store_true", help="count the lines of hilum that ran")
    parser.addoption("--exhaustive", action="store_true", help="run the exhaustive tests too")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--coverage"):
        config.pluginmanager.register(beside("closing").Coverage(), "coverage-of-hilum")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    beside("closing").tell_skips(terminalreporter)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with slow tests come first: the quick ones at the end keep all workers busy."""
    if not config.getoption("--exhaustive"):
        left = [item for item in items if item.get_closest_marker("exhaustive")]
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What was made so far stays to the end: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def settings_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes to the settings of who runs it, where the key of the pseudonyms would lie."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture(scope="module")
def browser_flags() -> tuple[str, ...]:
    """How the browser is started; a file that needs other flags has a fixture of this name."""
    return (
        *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync"),
    )


@pytest.fixture(scope="module")  # two drivers at a time do not go together
def browser(browser_flags: tuple[str, ...]) -> Iterator[Any]:
    """A real browser, for the tests of one file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=path, headless=True, args=list(browser_flags)
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment whose `hilum`, `python` and `torchrun` need not import libraries first."""
    base = tmp_path_factory.getbasetemp()
    workers = "PYTEST_XDIST_WORKER" in os.environ
    with beside("prepared").Prepared((base.parent if workers else base) / "commands") as made:
        yield made.environment


@pytest.fixture(scope="session")
def hilum(prepared: dict[str, str]) -> Hilum:
    """The command itself, in a process of its own."""
    program = shutil.which("hilum", path=prepared["PATH"])
    assert program is not None

    def call(*arguments: object, code: int = 0, cwd: Path | None = None) -> object:
        done = subprocess.run(
            [program, *map(str, arguments)],
            env=prepared,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
        return done

    return call


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Call `hilum` in this process: exit code, stdout and stderr."""
    from hilum.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hilum", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return (stopped.value.code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, hilum: Hilum) -> Path:
    """films/, run/, bundle/, inbox/ and out/, made by the verbs in turn."""
    root = tmp_path_factory.mktemp("pipeline")
    (root / "tiny.yaml").write_text(PRESET)
    hilum("phantom", "nih", "-o", root / "films", "--patients", 60, "--enrichment", 4)
    hilum("train", root / "tiny.yaml", "--data", root / "films", "-o", root / "run")
    hilum("calibrate", root / "run")
    hilum("evaluate", root / "run", "--resamples", 100)
    hilum("bundle", root / "run", "-o", root / "bundle")
    names = (root / "films" / "test_list.txt").read_text().split()
    inbox = root / "inbox"
    inbox.mkdir()
    for name in names[:20]:
        (inbox / name).write_bytes((root / "films" / "images" / name).read_bytes())
    whole = (inbox / names[0]).read_bytes()
    (inbox / "damaged.png").write_bytes(whole[: len(whole) // 2])
    hilum("predict", root / "bundle", inbox, "-o", root / "out", code=3)
    return root


@pytest.fixture(scope="session")
def inline() -> Any:
    """A reader without a process, to take the place of `ReaderProcess` where lanes make theirs."""
    return beside("inline_reader").Inline


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """films/, run/ (calibrated, evaluated) and bundle/ of a network of one convolution."""
    from hilum.cli.bundle import write
    from hilum.domain.record import Split
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.phantom.nih import write_nih
    from hilum.runs.folder import RunFolder
    from hilum.stages.calibrate import CalibrationRequest, calibrate_run
    from hilum.stages.evaluate import RunEvaluation, evaluate_run
    from hilum.stages.films import split_of

    root = tmp_path_factory.mktemp("toy")
    write_nih(PhantomCorpus(patients=14, seed=1, enrichment=6, size=128), root / "films")
    run = RunFolder(root / "run")
    trained(run, root / "films")
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), CalibrationRequest())
    with pytest.MonkeyPatch.context() as patch:
        without_figures(patch)
        evaluate_run(run, split_of(run, Split.TEST, None), RunEvaluation(100, 0))
    write(run.root, root / "bundle")
    return root


def without_figures(patch: pytest.MonkeyPatch) -> None:
    for name in ("write_figure", "write_effect_figure"):
        patch.setattr(f"hilum.report.evaluation.write.{name}", lambda *_: None)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations without their figures, which take longer than the rest."""
    without_figures(monkeypatch)


@pytest.fixture
def uncurved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without the picture of their curves, which takes longer than to train so little."""
    monkeypatch.setattr("hilum.training.train.draw_curves", lambda *_: None)


def trained(run: object, films: Path) -> None:
    """What training leaves, with weights drawn instead of trained."""
    import onnx

    from hilum.datasets import open_dataset
    from hilum.files.sealed import file_sha256
    from hilum.runs.facts import BoundFilms, NetworkFacts, RunFacts, Trained
    from hilum.runs.recipe import load_config
    from hilum.splits import assign

    preset = films.with_name("toy.yaml")
    preset.write_text(PRESET)
    shares = {"train": 0.2, "tune": 0.1, "calibrate": 0.6, "test": 0.1}
    changes = ("name=toy", *(f"split.{split}={share}" for split, share in shares.items()))
    config = load_config(str(preset), changes)
    cohort = open_dataset(films)
    splits = assign(cohort, config.split)
    run.write_config(config)
    splits.write(run.split)
    onnx.save(one_convolution(), run.model)
    run.write_facts(
        RunFacts(
            network=NetworkFacts(
                name=config.name,
                label_set=cohort.labels.name,
                labels=cohort.labels.findings,
                preprocessing=config.preprocessing,
                architecture="one convolution",
                model_sha256=file_sha256(run.model),
            ),
            origin=Trained(
                config_sha256=config.sha256(), seed=0, best_epoch=1, best_tune_auroc=None
            ),
            films=BoundFilms.from_splits(cohort, splits, films, config.labels),
        )
    )


def one_convolution(findings: int = 14, seed: int = 0) -> object:
    """images (B, 1, 64, 64) to logits (B, L) and heatmaps (B, L, 8, 8), as an ONNX model."""
    import onnx
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(seed)
    drawn = {
        "kernel": rng.normal(0, 0.1, (8, 1, 8, 8)),
        "weight": rng.normal(0, 1, (findings, 8)),
        "bias": rng.normal(0, 1, findings),
    }
    drawn["pointwise"] = drawn["weight"][:, :, None, None]
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["maps"], strides=[8, 8]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], transB=1),
        helper.make_node("Conv", ["maps", "pointwise"], ["evidence"]),
        helper.make_node("Relu", ["evidence"], ["heatmaps"]),
    ]

    def tensor(name: str, *shape: object) -> object:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape])

    graph = helper.make_graph(
        nodes,
        "toy",
        [tensor("images", 1, 64, 64)],
        [tensor("logits", findings), tensor("heatmaps", findings, 8, 8)],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in drawn.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="session")
def graphs() -> dict[object, onnx.ModelProto]:
    """Of the architectures that were traced."""
    return {}


@pytest.fixture(scope="module")
def traced_once(graphs: dict[object, onnx.ModelProto]) -> Iterator[None]:
    """Each architecture is traced once; every network's own weights go into its graph."""
    import onnx_ir
    import torch

    trace = torch.onnx.export

    def export(network: torch.nn.Module, given: tuple[torch.Tensor], **named: Any) -> object:
        state = network.state_dict()
        shapes = (given[0].shape, *((name, value.shape) for name, value in state.items()))
        if shapes not in graphs:
            program = trace(network, given, **named)
            assert program is not None
            graphs[shapes] = program.model_proto
        model = onnx_ir.from_proto(graphs[shapes])
        for name, held in model.graph.initializers.items():
            if name in state:
                held.const_value = onnx_ir.tensor(state[name].numpy(), name=name)
        return torch.onnx.ONNXProgram(model, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", export)
        yield


@pytest.fixture(scope="session")
def network() -> Callable[..., object]:
    """The maker of that network, for another number of findings or another seed."""
    return one_convolution
