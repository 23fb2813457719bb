"""Sanity checks: they pass honest maps, and fail maps that ignore weights or finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as op
from torchmetrics.functional.image import structural_similarity_index_measure

from hilum.domain.documents import SplitFacts
from hilum.domain.documents.heatmaps import Sanity
from hilum.explain.layers import Layer, cascade, layers, write_untrained
from hilum.explain.sanity import (
    CheckedMap,
    SanityRun,
    check_sanity,
    normalized,
    rank_correlation,
    structural_similarity,
)
from hilum.report.evaluation.heatmaps import sanity_table

FINDINGS, CHANNELS, SIDE = 3, 6, 12
FILMS = np.random.default_rng(0).random((8, 1, SIDE, SIDE)).astype(np.float32)


def network(path: Path, kind: str) -> Path:
    """One convolution, a batch norm, pooling and a head; maps honest, blind or all the same."""
    rng = np.random.default_rng(1)

    def weight(shape: tuple[int, ...], name: str) -> openvino.Node:
        made = op.constant(rng.normal(size=shape).astype(np.float32))
        made.set_friendly_name(f"network.backbone.extractor.{name}")
        return made

    images = op.parameter([-1, 1, SIDE, SIDE], np.float32, name="images")
    conv = op.convolution(
        images, weight((CHANNELS, 1, 3, 3), "conv.weight"), [1, 1], [1, 1], [1, 1], [1, 1]
    )
    norm = [np.abs(rng.normal(size=CHANNELS)).astype(np.float32) for _ in range(4)]
    parts = [op.constant(values) for values in norm]
    for part, name in zip(parts, ("weight", "bias", "running_mean", "running_var"), strict=True):
        part.set_friendly_name(f"network.backbone.extractor.norm.{name}")
    features = op.batch_norm_inference(conv, *parts, 1e-5)
    head = weight((FINDINGS, CHANNELS), "head.weight")
    head.set_friendly_name("network.head.weight")
    means = op.reduce_mean(features, np.array([2, 3]), False)
    logits = op.matmul(means, head, False, True)
    flat = op.reshape(features, np.array([0, CHANNELS, -1]), True)
    row = op.constant(np.tile(rng.normal(size=(1, CHANNELS)), (FINDINGS, 1)).astype(np.float32))
    sources = {"honest": head, "same": row}
    if kind == "blind":  # edges of the film itself, whatever the weights
        maps = op.concat([images] * FINDINGS, 1)
    else:
        maps = op.relu(op.matmul(sources[kind], flat, False, False))
        maps = op.reshape(maps, np.array([0, FINDINGS, SIDE, SIDE]), True)
    outputs = [op.result(logits), op.result(maps)]
    for output, name in zip(outputs, ("logits", "heatmaps"), strict=True):
        output.output(0).set_names({name})
    openvino.save_model(openvino.Model(outputs, [images]), path, compress_to_fp16=False)
    return path


def maps_of(file: Path) -> np.ndarray:
    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled({"images": FILMS})["heatmaps"])


def checked(path: Path, kind: str, seed: int = 0) -> Sanity:
    asked = [CheckedMap(row, column, f"p{row}") for row in range(8) for column in (0, 1)]
    split = SplitFacts(name="drawn", sha256="0" * 64, images=8, patients=8)
    run = SanityRun(network(path, kind), kind, FINDINGS, "f32", {}, split, ("a note",), seed)
    return check_sanity(run, maps_of, asked)


def test_honest_maps_pass_and_every_number_has_its_interval(tmp_path: Path) -> None:
    sanity = checked(tmp_path / "net.xml", "honest")
    assert sanity.passed
    assert sanity.depends_on_weights
    assert sanity.depends_on_finding
    assert [step.down_to for step in sanity.steps] == ["head", "norm", "conv"]
    assert [step.layers for step in sanity.steps] == [1, 2, 3]
    told = [sanity.baseline, *(step.likeness for step in sanity.steps), sanity.two_findings]
    for likeness in told:
        assert likeness is not None
        assert likeness.ssim.low is not None
        assert likeness.spearman.low is not None
    text = sanity_table(sanity)
    assert "passed" in text
    assert "not a medical device" in text
    assert "a note" in text
    assert text.count("[") > 8


def test_maps_of_the_film_alone_fail_both(tmp_path: Path) -> None:
    """Edge detection looks convincing and passes no check: the reason these checks exist."""
    sanity = checked(tmp_path / "net.xml", "blind")
    assert not sanity.passed
    assert not sanity.depends_on_weights
    assert sanity.depends_on_finding is False
    assert all(step.likeness.ssim.value == pytest.approx(1.0) for step in sanity.steps)
    assert "FAILED" in sanity_table(sanity)


def test_one_map_for_all_findings_fails(tmp_path: Path) -> None:
    sanity = checked(tmp_path / "net.xml", "same")
    assert sanity.depends_on_finding is False
    assert not sanity.passed


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    first = checked(tmp_path / "a.xml", "honest", seed=3)
    assert first == checked(tmp_path / "b.xml", "honest", seed=3)
    assert first != checked(tmp_path / "c.xml", "honest", seed=4)


def test_without_two_patients_there_is_nothing_to_compare(tmp_path: Path) -> None:
    split = SplitFacts(name="drawn", sha256="0" * 64, images=1, patients=1)
    path = network(tmp_path / "net.xml", "honest")
    run = SanityRun(path, "one", FINDINGS, "f32", {}, split, (), 0)
    with pytest.raises(ValueError, match="two patients"):
        check_sanity(run, maps_of, [CheckedMap(0, 0, "p"), CheckedMap(1, 0, "p")])


# layers


def test_layers_stand_from_the_head_down(tmp_path: Path) -> None:
    found = layers(network(tmp_path / "net.xml", "honest"), FINDINGS)
    assert [layer.name for layer in found] == ["head", "norm", "conv"]
    assert len(found[1].weights) == 4


def read(file: Path) -> dict[str, np.ndarray]:
    return {
        node.get_friendly_name(): np.array(node.data)
        for node in openvino.Core().read_model(file).get_ordered_ops()
        if node.get_type_name() == "Constant" and node.output(0).get_element_type().is_real()
    }


def test_untraining_draws_kernels_and_resets_norms_of_the_layers_named(tmp_path: Path) -> None:
    file = network(tmp_path / "net.xml", "honest")
    found = {layer.name: layer for layer in layers(file, FINDINGS)}
    write_untrained(file, [found["norm"]], 0, tmp_path / "norm.xml")
    before, after = list(read(file).values()), list(read(tmp_path / "norm.xml").values())
    flat = [values.ravel().tolist() for values in after if values.shape == (CHANNELS,)]
    assert sorted(flat) == [[0.0] * CHANNELS] * 2 + [[1.0] * CHANNELS] * 2
    kernels = [values for values in before if values.ndim == 4]
    assert any(np.array_equal(kernels[0], values) for values in after)
    write_untrained(file, list(found.values()), 0, tmp_path / "all.xml")
    drawn = [values for values in read(tmp_path / "all.xml").values() if values.ndim == 4]
    assert not np.array_equal(kernels[0], drawn[0])
    assert 0.2 < drawn[0].std() / np.sqrt(2 / 9) < 2.0


@given(count=st.integers(1, 30), steps=st.integers(1, 10))
@settings(max_examples=25, deadline=None)
def test_a_cascade_takes_every_layer_once_in_order(count: int, steps: int) -> None:
    found = [Layer(str(number), (str(number),)) for number in range(count)]
    parts = cascade(found, steps)
    assert [layer for part in parts for layer in part] == found
    assert len(parts[0]) == 1
    assert all(parts)
    assert len(parts) <= max(2, steps)


# similarity


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    one, two = (np.maximum(rng.normal(size=(7, 7)), 0).astype(np.float32) for _ in range(2))
    return one, two


@pytest.mark.parametrize("seed", range(4))
def test_ssim_is_torchmetrics(seed: int) -> None:
    one, two = pair(seed)
    oracle = structural_similarity_index_measure(
        *(torch.from_numpy(normalized(heat))[None, None].double() for heat in (one, two)),
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=11,
        data_range=1.0,
    )
    assert structural_similarity(one, two) == pytest.approx(float(oracle), abs=0.02)
    assert structural_similarity(one, two) == pytest.approx(structural_similarity(two, one))


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlation_is_scipys(seed: int) -> None:
    from scipy.stats import spearmanr

    one, two = pair(seed)
    assert rank_correlation(one, two) == pytest.approx(spearmanr(one, two, axis=None).statistic)


@pytest.mark.parametrize("alike", [structural_similarity, rank_correlation])
def test_a_map_is_most_like_itself(alike: Callable[..., float]) -> None:
    one, two = pair(9)
    assert alike(one, one) == pytest.approx(1.0)
    assert alike(one, two) < 0.9
    nothing = np.zeros((7, 7), np.float32)
    assert alike(one, nothing) < 0.6
