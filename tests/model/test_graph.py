"""What is done to a graph changes no answer: onnx's own reference computes both."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from hilum.model.export import pool_first
from hilum.model.graph import drop_zero_biases, let_lists_grow, store_half, store_wide


def listing(*lists: tuple[tuple[str, ...], int]) -> onnx.ModelProto:
    """Inputs a, b, c, d of (1, 2, 2, 2); one output a list: its inputs and its axis."""
    shape = [1, 2, 2, 2]
    nodes = [
        helper.make_node("Concat", list(maps), [f"list{number}"], axis=axis)
        for number, (maps, axis) in enumerate(lists)
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "abcd"]
    outputs = [
        helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, list("nchw"))
        for node in nodes
    ]
    return helper.make_model(helper.make_graph(nodes, "lists", inputs, outputs))


def answers(model: onnx.ModelProto) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = {name: rng.normal(size=(1, 2, 2, 2)).astype(np.float32) for name in "abcd"}
    return [np.asarray(got) for got in ReferenceEvaluator(model).run(None, drawn)]


@pytest.mark.parametrize(
    ("lists", "sizes"),
    [
        ([("ab", 1), ("abc", 1), ("abcd", 1)], [2, 2, 2]),
        ([("ab", 1), ("abcd", 1)], [2, 3]),
        ([("ab", 1), ("abc", 2)], [2, 3]),  # along another axis it is another list
        ([("ab", 1), ("bac", 1)], [2, 3]),
        ([("abc", 1), ("ab", 1)], [3, 2]),  # what comes later cannot be read
        ([("ab", 1), ("ab", 1)], [2, 2]),
        ([("a", 1), ("ab", 1)], [1, 2]),
    ],
)
def test_a_list_begins_with_the_longest_before_it(
    lists: list[tuple[str, int]], sizes: list[int]
) -> None:
    model = listing(*((tuple(maps), axis) for maps, axis in lists))
    before = answers(model)
    let_lists_grow(model)
    assert [len(node.input) for node in model.graph.node] == sizes
    onnx.checker.check_model(model)
    for was, now in zip(before, answers(model), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize(
    ("name", "value", "dropped"),
    [("val_3", 0.0, True), ("val_3", 0.1, False), ("network.stem.bias", 0.0, False)],
)
def test_a_bias_of_zeros_goes_unless_it_is_the_network_s_own(
    name: str, value: float, dropped: bool
) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 2, 1, 1)).astype(np.float32)
    bias = np.array([0.0, value, 0.0], np.float32)
    shape = [1, 2, 2, 2]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Conv", ["a", "kernel", name], ["maps"])],
            "convolution",
            [helper.make_tensor_value_info(letter, TensorProto.FLOAT, shape) for letter in "abcd"],
            [helper.make_tensor_value_info("maps", TensorProto.FLOAT, list("nchw"))],
            [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, name)],
        )
    )
    (before,) = answers(model)
    drop_zero_biases(model)
    onnx.checker.check_model(model)
    assert len(model.graph.node[0].input) == 3 - dropped
    assert len(model.graph.initializer) == 2 - dropped
    np.testing.assert_array_equal(answers(model)[0], before)


def test_what_was_stored_narrow_is_stored_wide_again() -> None:
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["a", "weights"], ["product"])],
            "product",
            [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 2])],
            [helper.make_tensor_value_info("product", TensorProto.FLOAT, [1, 3])],
            [numpy_helper.from_array(weights, "weights")],
        )
    )
    whole = model.SerializeToString(deterministic=True)
    store_half(model)
    assert model.graph.initializer[0].data_type == TensorProto.FLOAT16
    store_wide(model)
    assert model.SerializeToString(deterministic=True) == whole


@pytest.mark.parametrize(
    ("kernel", "padding", "groups", "moved"),
    [(1, 0, 1, True), (3, 0, 1, False), (1, 0, 2, False), (1, 1, 1, False)],
)
def test_pooling_comes_before_what_looks_at_one_pixel(
    kernel: int, padding: int, groups: int, moved: bool
) -> None:
    torch.manual_seed(0)
    block = nn.Sequential()
    block.add_module("relu", nn.ReLU())
    block.add_module("conv", nn.Conv2d(4, 6, kernel, groups=groups))
    block.add_module("pool", nn.AvgPool2d(2, padding=padding))
    network = nn.Sequential(copy.deepcopy(block))
    pool_first(network)
    names = [name for name, _ in network[0].named_children()]
    assert names == (["relu", "pool", "conv"] if moved else ["relu", "conv", "pool"])
    maps = torch.randn(2, 4, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(network(maps), block(maps))
