"""The engine gives each film the network's own numbers, whatever stands beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from hilum.domain.errors import BundleError, DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState, nih14
from hilum.domain.record import Cohort, Record
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.cohort import score_cohort
from hilum.inference.engine import Engine, Precision

PREPROCESSING = Preprocessing(size=64, channels=1, mean=(0.5,), std=(0.25,))
RASTERS = np.random.default_rng(0).integers(0, 256, (9, 64, 64), np.uint8)


@pytest.fixture
def model(tmp_path: Path, network: Callable[..., onnx.ModelProto]) -> Path:
    onnx.save(network(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def engine(model: Path) -> Engine:
    return Engine(model, PREPROCESSING, nih14())


def by_hand(model: Path, rasters: NDArray[np.uint8]) -> tuple[np.ndarray, np.ndarray]:
    """The network in NumPy, in double precision."""
    drawn = onnx.load(model).graph.initializer
    weights = {tensor.name: numpy_helper.to_array(tensor).astype(float) for tensor in drawn}
    images = (rasters / 255.0 - 0.5) / 0.25
    blocks = images.reshape(-1, 8, 8, 8, 8).transpose(0, 1, 3, 2, 4)
    maps = np.einsum("nijab,kab->nkij", blocks, weights["kernel"][:, 0])
    pooled = np.maximum(maps, 0).mean(axis=(2, 3))
    evidence = np.einsum("nkij,lk->nlij", maps, weights["weight"])
    return pooled @ weights["weight"].T + weights["bias"], np.maximum(evidence, 0)


def test_the_numbers_are_the_network_s(engine: Engine, model: Path) -> None:
    output = engine.run(RASTERS)
    logits, heatmaps = by_hand(model, RASTERS)
    np.testing.assert_allclose(output.logits.values, logits, atol=1e-5)
    np.testing.assert_allclose(output.heatmaps, heatmaps, atol=1e-5)
    assert output.logits.labels == nih14()
    assert output.heatmaps.dtype == np.float32


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_score_does_not_depend_on_the_films_beside_it_nor_on_threads(
    model: Path, engine: Engine, threads: int
) -> None:
    whole = engine.run(RASTERS)
    engine = Engine(model, PREPROCESSING, nih14(), threads=threads)
    order = np.random.default_rng(1).permutation(len(RASTERS))
    for rows in (order, order[:4], order[:1], np.array([3, 3, 3])):
        part = engine.run(RASTERS[rows])
        np.testing.assert_array_equal(part.logits.values, whole.logits.values[rows])
        np.testing.assert_array_equal(part.heatmaps, whole.heatmaps[rows])


@pytest.mark.parametrize("views", [1, 3])
def test_threads_that_ask_at_once_get_what_one_gets(engine: Engine, views: int) -> None:
    engine = engine.augmented(views)
    whole = engine.run(RASTERS)
    rows = np.random.default_rng(2).integers(0, len(RASTERS), 200)
    with ThreadPoolExecutor(8) as threads:
        for row, output in zip(rows, threads.map(engine.ask, RASTERS[rows]), strict=True):
            np.testing.assert_array_equal(output.logits.values, whole.of(row).logits.values)
            np.testing.assert_array_equal(output.heatmaps, whole.of(row).heatmaps)


def test_a_film_asked_while_a_cohort_runs_gets_its_own_answer(engine: Engine) -> None:
    whole = engine.run(RASTERS)
    seen: list[np.ndarray] = []
    engine.run(RASTERS, lambda done, _: seen.append(engine.ask(RASTERS[done - 1]).logits.values[0]))
    np.testing.assert_array_equal(seen, whole.logits.values)


def test_an_interrupt_ends_a_cohort(engine: Engine) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run(RASTERS, stop)
    assert engine.ask(RASTERS[0]).logits.values.shape == (1, 14)


def test_no_film_gives_no_row(engine: Engine) -> None:
    output = engine.run(RASTERS[:0])
    assert output.logits.values.shape == (0, 14)
    assert output.heatmaps.shape == (0, 14, 8, 8)


def test_progress_counts_every_film(engine: Engine) -> None:
    told: list[tuple[int, int]] = []
    engine.run(RASTERS, lambda done, total: told.append((done, total)))
    assert told == [(done, 9) for done in range(1, 10)]


def test_bfloat16_moves_scores_a_little_and_is_refused_where_there_is_none(model: Path) -> None:
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        low = Engine(model, PREPROCESSING, nih14(), Precision.BF16).run(RASTERS)
        logits, heatmaps = by_hand(model, RASTERS)
        np.testing.assert_allclose(low.logits.values, logits, atol=0.05)
        np.testing.assert_allclose(low.heatmaps, heatmaps, atol=0.05 * heatmaps.max())
    else:
        with pytest.raises(UsageError, match="use f32 here"):
            Engine(model, PREPROCESSING, nih14(), Precision.BF16)


def test_what_computes_is_named(engine: Engine) -> None:
    assert engine.runtime == f"openvino {version('openvino')} cpu"


SMALL = (
    "import sys; from pathlib import Path; from hilum.domain.findings import nih14;"
    "from hilum.imaging.preprocess import Preprocessing;"
    "from hilum.inference.engine import Engine;"
    "small = Preprocessing(size=64, channels=1, mean=(0.5,), std=(0.25,));"
)
"""What a process of its own needs before it makes the engine of `sys.argv[1]`."""


def test_a_library_s_converters_and_their_telemetry_are_not_loaded(model: Path) -> None:
    code = SMALL + (
        "Engine(Path(sys.argv[1]), small, nih14());"
        "print([name for name in sys.modules if 'telemetry' in name]);"
        "from openvino.tools.ovc import convert_model"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_onnxruntime_does_not_report(model: Path, tmp_path: Path) -> None:
    """Where it does it first numbers the machine, in a file of the home folder."""
    code = SMALL + (
        "engine = Engine(Path(sys.argv[1]), small, nih14(), library='onnxruntime');"
        "print(engine.runtime.split()[0])"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.defpath}  # CI would silence it as well
    done = subprocess.run(
        [sys.executable, "-c", code, model],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "onnxruntime"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(model: Path, threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads must be 1 or more; got {threads}"):
        Engine(model, PREPROCESSING, nih14(), threads=threads)


def test_f05_weights_that_are_no_numbers_are_refused(model: Path) -> None:
    poked(model, "kernel", np.nan)
    refused(model, "weights must be finite; .* has NaN or infinity in ")
    poked(model, "kernel", np.inf)
    refused(model, "weights must be finite")


def test_f05_an_answer_that_is_no_number_is_refused(model: Path) -> None:
    poked(model, "weight", 3e38)
    engine = Engine(model, PREPROCESSING, nih14())
    for ask in (engine.ask, lambda raster: engine.run(raster[None])):
        with pytest.raises(BundleError, match="must answer with finite numbers"):
            ask(RASTERS[0])


def poked(model: Path, name: str, value: float) -> None:
    """Overwrite one row of a weight."""
    graph = onnx.load(model)
    tensor = next(tensor for tensor in graph.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values[0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    onnx.save(graph, model)


def refused(model: Path, message: str, labels: LabelSet | None = None, **changes: object) -> None:
    preprocessing = PREPROCESSING.model_copy(update=changes)
    with pytest.raises(BundleError, match=message) as caught:
        Engine(model, preprocessing, labels or nih14())
    assert "\n" not in str(caught.value)


def test_another_number_of_findings_is_refused(model: Path) -> None:
    labels = LabelSet("two", ("Mass", "Edema"))
    message = r"must have one output for each of the 2 findings of two; it has 14"
    refused(model, message, labels)


@pytest.mark.parametrize("text", [b"", b"hello\nthere", b"\x08\x01\xff" * 40])
def test_what_is_no_network_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(text)
    refused(tmp_path / "model.onnx", r"model\.onnx must be a network hilum exported")


def test_a_missing_network_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "must be a network hilum exported")


def test_a_network_without_heatmaps_is_refused(model: Path) -> None:
    graph = onnx.load(model)
    del graph.graph.output[1], graph.graph.node[5:]
    onnx.save(graph, model)
    refused(model, "must have the outputs logits and heatmaps")


def test_a_network_for_other_films_is_refused(model: Path) -> None:
    values = (0.5, 0.5, 0.5)
    refused(model, "must be a network hilum exported", channels=3, mean=values, std=values)


# a cohort


@pytest.fixture
def cohort(toy: Path) -> Cohort:
    paths = sorted((toy / "films" / "images").iterdir())[:4]
    states = (LabelState.NEGATIVE,) * 14
    records = tuple(Record(path.name, path.name[:8], states, path) for path in paths)
    return Cohort("nih", nih14(), records)


def test_a_cohort_is_scored_row_by_row_in_its_order(engine: Engine, cohort: Cohort) -> None:
    told: list[tuple[int, int]] = []
    scored = score_cohort(engine, cohort, lambda done, total: told.append((done, total)))
    back = score_cohort(engine, replace(cohort, records=cohort.records[::-1]))
    assert scored.cohort.image_ids() == cohort.image_ids()
    np.testing.assert_array_equal(scored.logits.values, back.logits.values[::-1])
    assert scored.shapes == ((128, 128),) * 4
    assert told[-1] == (4, 4)
    assert scored.notes == ()


def test_what_could_not_be_scored_is_left_out_and_counted(
    engine: Engine, cohort: Cohort, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"hello")
    first, second, third, fourth = cohort.records
    rows = (replace(first, path=None), second, replace(third, path=tmp_path / "bad.png"), fourth)
    scored = score_cohort(engine, replace(cohort, records=rows))
    assert scored.cohort.records == (second, fourth)
    whole = score_cohort(engine, cohort)
    np.testing.assert_array_equal(scored.logits.values, whole.logits.values[[1, 3]])
    assert scored.notes == (
        "1 rows have no film on disk; left out",
        "1 film could not be used; left out",
    )


def test_a_cohort_without_films_or_of_other_findings_is_refused(
    engine: Engine, cohort: Cohort
) -> None:
    empty = tuple(replace(record, path=None) for record in cohort.records)
    with pytest.raises(DatasetError, match="scoring needs readable films; nih has 4 rows here"):
        score_cohort(engine, replace(cohort, records=empty))
    permuted = LabelSet("permuted", tuple(reversed(nih14().findings)))
    with pytest.raises(DatasetError, match="must be the network's, in order; permuted has Hernia"):
        score_cohort(engine, replace(cohort, labels=permuted))
