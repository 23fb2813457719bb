"""The bundle for developers: any source, any thread, explained; and what it refuses to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from PIL import Image

from hilum import Bundle
from hilum.bundle.analysis import ScreenedFilm, judge
from hilum.bundle.bundle import Explanation, Prediction
from hilum.bundle.golden import check_golden, write_golden
from hilum.domain.errors import BundleError, FilmError, ReasonCode, UsageError
from hilum.domain.radiograph import Radiograph
from hilum.explain.region import regions
from hilum.imaging.preprocess import Preprocessing
from hilum.imaging.read import read
from hilum.inference.engine import Engine, Precision
from hilum.phantom.film import draw_example

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md"
FENCED = re.compile(r"^(?:<!-- ([^\n]*) -->\n)?```(\w*)\n(.*?)^```$", re.M | re.S)
HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def bundle(toy: Path) -> Bundle:
    return Bundle.load(toy / "bundle")


@pytest.fixture(scope="module")
def films(toy: Path) -> list[Path]:
    return sorted((toy / "films" / "images").iterdir())


def same(one: Prediction, other: Prediction) -> None:
    assert one.findings == other.findings
    for finding in one.findings:
        np.testing.assert_array_equal(one.heatmap(finding), other.heatmap(finding))


# the page about it


@pytest.mark.slow
def test_the_examples_of_the_page_run_and_print_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = FENCED.findall(PAGE.read_text("utf-8"))
    written = [text for mark, _, text in blocks if mark.startswith("not run: writes the film")]
    assert len(written) == 1
    exec(written[0], {})
    printed, shown = "", 0
    for mark, language, text in blocks:
        if mark == "printed":
            assert [line for line in text.splitlines() if line not in printed.splitlines()] == []
            shown += 1
        elif language == "python" and not mark:
            exec(text, {})
            printed = capsys.readouterr().out
    assert shown == 6


# threads


@pytest.mark.parametrize("views", [1, 2])
def test_t13_eight_threads_get_the_bytes_that_one_gets(
    toy: Path, films: list[Path], views: int
) -> None:
    bundle = Bundle.load(toy / "bundle", views=views)
    wanted = [films[number % len(films)] for number in range(40)]
    alone = [bundle.predict(path) for path in wanted]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(bundle.predict, wanted))
        judged = threads.map(lambda path: raw(bundle, path), wanted)
        for one, other, findings in zip(alone, together, judged, strict=True):
            same(one, other)
            assert findings == one.findings


def raw(bundle: Bundle, path: Path) -> object:
    """The parts of `predict`, as a batch puts them together."""
    film = read(path)
    raster = bundle.manifest.preprocessing.raster(film)
    return bundle.analyze(ScreenedFilm(raster, film.shape, film.view)).findings


def test_films_are_judged_one_by_one(bundle: Bundle) -> None:
    rasters = np.zeros((2, 64, 64), np.uint8)
    with pytest.raises(ValueError, match="films are judged one by one; got logits of 2"):
        judge(bundle.engine.run(rasters).logits, bundle.manifest.calibration)
    assert bundle.predict_many([]) == []


# sources


def test_an_array_is_the_film_of_a_file_with_its_pixels(bundle: Bundle, films: list[Path]) -> None:
    gray = np.asarray(Image.open(films[0]))
    assert gray.dtype == np.uint8
    want = bundle.predict(films[0])
    wide = gray.astype(np.uint16) * 257
    exact = gray / 255.0
    for array in (gray, wide, exact, exact.astype(np.float32), np.asfortranarray(gray)):
        same(bundle.predict(array), want)


def test_a_12_bit_film_in_16_bits_is_taken_for_one_and_says_so(bundle: Bundle) -> None:
    drawn = np.rint(draw_example(None, seed=3).pixels * 4095).astype(np.uint16)
    drawn[0, 0] = 4095
    said = bundle.predict(drawn)
    assert ReasonCode.RANGE_INFERRED in said.film.codes
    assert said.film.pixels.max() == 1.0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((130, 130, 3), np.uint8), r"must be a film of \(H, W\) gray pixels; got \(130"),
        (np.zeros((0, 130), np.uint8), r"gray pixels; got \(0, 130\)"),
        (np.zeros((130, 130), np.int16), "must be of uint8, uint16 or float; got int16"),
        (np.zeros((130, 130), np.bool_), "must be of uint8, uint16 or float; got bool"),
        (np.zeros((130, 130), np.complex64), "must be of uint8, uint16 or float; got complex64"),
        (np.full((130, 130), 255.0), r"must lie in \[0, 1\], black to white; got \[255, 255\]"),
        (np.full((130, 130), -0.1), r"must lie in \[0, 1\]"),
        (np.full((130, 130), np.nan), r"must lie in \[0, 1\], .* got \[nan, nan\]"),
    ],
)
def test_an_array_that_is_no_film_is_refused(
    bundle: Bundle, array: np.ndarray, message: str
) -> None:
    for ask in (bundle.predict, bundle.explain):
        with pytest.raises(UsageError, match=message) as caught:
            ask(array)
        assert "\n" not in str(caught.value)


def test_an_array_outside_its_use_is_refused_as_a_file_is(bundle: Bundle) -> None:
    with pytest.raises(FilmError) as caught:
        bundle.predict(np.zeros((200, 200), np.uint8))
    assert caught.value.code is ReasonCode.CONSTANT_IMAGE


# explanations


def test_an_explanation_is_the_map_the_picture_and_the_words(
    bundle: Bundle, films: list[Path]
) -> None:
    prediction = bundle.predict(films[3])
    told = bundle.explain(films[3], "all")
    assert list(told) == list(bundle.labels)
    for name, one in told.items():
        assert isinstance(one, Explanation)
        np.testing.assert_array_equal(one.heatmap, prediction.heatmap(name))
        assert one.picture.shape == (*prediction.film.shape, 3)
        assert one.picture.dtype == np.uint8
        assert one.regions == one.result.regions == regions(one.heatmap, prediction.film.view)
        assert one.empty == (one.heatmap.max() == 0.0) == (not one.regions)
        assert one.result.probability == prediction.findings[name].probability
    assert any(not one.empty for one in told.values())


def test_which_findings_and_how_is_asked_in_words(bundle: Bundle, films: list[Path]) -> None:
    predictions = [bundle.predict(path) for path in films[:8]]
    for prediction in predictions:
        assert list(bundle.explain(prediction)) == prediction.positives
        (top,) = bundle.explain(prediction, "top")
        assert prediction.findings[top].probability == max(
            finding.probability for finding in prediction.findings.values()
        )
    one = predictions[0]
    assert list(bundle.explain(one, "Pleural Effusion")) == ["Effusion"]
    assert list(bundle.explain(one, ["Mass", "Edema"])) == ["Mass", "Edema"]
    wide = bundle.explain(one, "Mass", style="triptych")["Mass"].picture
    assert wide.shape[1] > 2 * one.film.shape[1]


@pytest.mark.parametrize(
    ("findings", "style", "message"),
    [
        ("Efusion", "hot", "got 'Efusion'. Did you mean 'Effusion'?"),
        ("Enlarged Cardiomediastinum", "hot", "no finding 'Enlarged Cardiomediastinum' in NIH-14"),
        (
            "top",
            "hott",
            "style must be one of plasma, hot, jet, triptych; got 'hott'. Did you mean 'hot'?",
        ),
    ],
)
def test_what_cannot_be_explained_is_refused(
    bundle: Bundle, films: list[Path], findings: str, style: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        bundle.explain(films[0], findings, style=style)
    assert message in str(caught.value)


def test_an_empty_map_says_so(bundle: Bundle, films: list[Path]) -> None:
    said = bundle.predict(films[0])
    nothing = np.zeros((14, 8, 8), np.float32)
    one = replace(said, analysis=replace(said.analysis, maps=nothing)).explain("Mass")
    assert one.empty
    assert one.regions == ()


# precision, runtime, views: chosen, and told


def test_what_computed_is_told(toy: Path, bundle: Bundle, films: list[Path]) -> None:
    said = bundle.predict(films[0])
    assert (said.precision, said.views) == (Precision.F32, 1)
    assert said.runtime == bundle.engine.runtime
    assert bundle.calibrated_in is bundle.precision is Precision.F32
    many = Bundle.load(toy / "bundle", views=4)
    moved = many.predict(films[0])
    assert (many.views, moved.views) == (4, 4)
    assert moved.findings["Mass"].probability != said.findings["Mass"].probability


def test_no_finding_is_calibrated_for_views(toy: Path, bundle: Bundle, films: list[Path]) -> None:
    many = Bundle.load(toy / "bundle", views=2)
    assert any(finding.calibrated for finding in bundle.predict(films[0]).findings.values())
    assert not any(finding.calibrated for finding in many.predict(films[0]).findings.values())


@pytest.mark.skipif(not HAS_BF16, reason="needs a processor that computes in bf16")
def test_another_precision_is_asked_for_by_name(
    toy: Path, bundle: Bundle, films: list[Path]
) -> None:
    low = Bundle.load(toy / "bundle", precision="bf16")
    assert low.precision is low.predict(films[0]).precision is Precision.BF16
    assert low.calibrated_in is Precision.F32
    assert low.id == bundle.id
    for path in films[:5]:
        one, other = bundle.predict(path).findings, low.predict(path).findings
        gaps = [abs(one[name].probability - other[name].probability) for name in one]
        assert 0.0 < max(gaps) < 0.05


@pytest.mark.skipif(HAS_BF16, reason="this processor computes in bf16")
def test_a_precision_the_processor_lacks_is_refused(toy: Path) -> None:
    with pytest.raises(UsageError, match="use f32 here"):
        Bundle.load(toy / "bundle", precision="bf16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp32"}, "precision must be one of f32, bf16, int8, int8-bf16; got 'fp32'"),
        ({"runtime": "onnx"}, "runtime must be one of openvino, onnxruntime; got 'onnx'"),
        ({"threads": 0}, "threads must be 1 or more; got 0"),
        ({"views": 0}, "views must be 1 to 64; got 0"),
    ],
)
def test_options_that_are_none_are_refused(
    toy: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Bundle.load(toy / "bundle", **options)


# the self-test


def golden(folder: Path, network: object, preprocessing: Preprocessing, bundle: Bundle) -> Engine:
    """A network's engine, its self-test written beside it."""
    onnx.save(network, folder / "model.onnx")
    engine = Engine(folder / "model.onnx", preprocessing, bundle.labels)
    pixels = np.random.default_rng(0).random((2, 64, 64), np.float32)
    write_golden(engine, [Radiograph(film, source="noise") for film in pixels], folder / "g.npz")
    return engine


def test_f06_a_dead_head_is_refused_though_the_self_test_agrees_with_it(
    bundle: Bundle, tmp_path: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    engine = golden(tmp_path, network(), bundle.manifest.preprocessing, bundle)
    arrays = dict(np.load(tmp_path / "g.npz"))
    graph = network()
    for tensor in graph.graph.initializer:
        if tensor.name in ("weight", "pointwise"):
            nothing = 0 * onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(nothing, tensor.name))
    onnx.save(graph, tmp_path / "dead.onnx")
    dead = Engine(tmp_path / "dead.onnx", engine.preprocessing, engine.labels)
    answers = dead.run(arrays["rasters"])
    arrays |= {"logits": answers.logits.values, "heatmaps": answers.heatmaps}
    np.savez(tmp_path / "g.npz", **arrays)
    with pytest.raises(BundleError, match=r"must tell films apart; .* Its head is dead"):
        check_golden(dead, tmp_path / "g.npz")


def test_heatmaps_are_tested_on_their_own_scale(
    bundle: Bundle, tmp_path: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    """Their peak is far below 1 in a trained network, and so must be what they may be off by."""

    def scaled(by: float) -> onnx.ModelProto:
        graph = network()
        for tensor in graph.graph.initializer:
            if tensor.name == "pointwise":
                smaller = np.float32(by) * onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(smaller, tensor.name))
        return graph

    engine = golden(tmp_path, scaled(0.01), bundle.manifest.preprocessing, bundle)
    check_golden(engine, tmp_path / "g.npz")
    onnx.save(scaled(0.0101), tmp_path / "other.onnx")
    other = Engine(tmp_path / "other.onnx", engine.preprocessing, engine.labels)
    with pytest.raises(BundleError, match="the network must give the self-test's heatmaps"):
        check_golden(other, tmp_path / "g.npz")


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ((0.5,) * 3, (1 / 2048,) * 3),
        ((0.5,) * 3, (0.2,) * 3),
    ],
    ids=["ImageNet", "-1024 to 1024", "another std"],
)
def test_f08_another_normalization_is_refused(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    bundle = Bundle.load("starter")
    other = bundle.manifest.preprocessing.model_copy(update={"mean": mean, "std": std})
    for precision in (Precision.F32, Precision.BF16)[: 1 + HAS_BF16]:
        engine = Engine(bundle.root / "model.onnx", other, bundle.labels, precision)
        with pytest.raises(BundleError, match="the network must give the self-test's logits"):
            check_golden(engine, bundle.root / "golden.npz")


def test_f05_a_nan_in_a_bundle_s_weights_is_refused(
    bundle: Bundle, tmp_path: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    graph = network()
    tensor = next(one for one in graph.graph.initializer if one.name == "kernel")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0, 0, 0] = np.nan  # the ReLU behind it makes a zero of it
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, "kernel"))
    with pytest.raises(BundleError, match="weights must be finite"):
        golden(tmp_path, graph, bundle.manifest.preprocessing, bundle)
