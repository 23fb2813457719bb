"""ONNX graphs: exact maps where the tail is known, and nothing but operators and tensors."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hilum.cli.import_ import write
from hilum.domain.errors import BundleError, UsageError
from hilum.importing.onnx_file import read_onnx
from hilum.importing.profile import Profile, checked
from hilum.importing.read import read_weights
from hilum.importing.reading import read_graph_confined
from hilum.inference.engine import Engine
from hilum.phantom.film import draw_example
from hilum.runs.folder import RunFolder

TREE: dict[str, Any] = {
    "name": "graph",
    "backbone": "onnx",
    "head": ["as in the file"],
    "findings": ["Edema", "", "Mass"],
    "input": {
        "size": 64,
        "fit": "stretch",
        "channels": 1,
        "mean": [0.5],
        "std": [0.5],
        "resize": "area",
        "depth": "8",
    },
    "seen": [],
    "license": "Apache-2.0",
    "citation": "none",
    "url": "none",
}
RNG = np.random.default_rng(0)
WEIGHTS = {
    "kernel": RNG.normal(0, 0.2, (6, 1, 8, 8)),
    "weight": RNG.normal(0, 1, (3, 6)),
    "bias": RNG.normal(0, 1, 3),
}


def profile(**changes: Any) -> Profile:
    return checked({**TREE, **changes}, "graph", {})


def graph(*tail: Any, output: str = "logits", **more: np.ndarray) -> onnx.ModelProto:
    """images to a map, and whatever stands behind it."""
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["maps"], strides=[8, 8]),
        helper.make_node("Relu", ["maps"], ["active"]),
        *tail,
    ]
    held = {**WEIGHTS, **more}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, 64, 64])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 3])],
            [
                numpy_helper.from_array(
                    value if value.dtype == np.int64 else value.astype(np.float32), name
                )
                for name, value in held.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


NODE = helper.make_node
POOLED = (NODE("GlobalAveragePool", ["active"], ["p"]), NODE("Flatten", ["p"], ["f"]))
GEMM = NODE("Gemm", ["f", "weight", "bias"], ["logits"], transB=1)
TAILS: dict[str, Any] = {
    "gemm": (*POOLED, GEMM),
    "sigmoid": (
        *POOLED,
        NODE("Gemm", ["f", "weight", "bias"], ["z"], transB=1),
        NODE("Sigmoid", ["z"], ["logits"]),
    ),
    "mean": (
        NODE("ReduceMean", ["active"], ["f"], axes=[2, 3], keepdims=0),
        NODE("MatMul", ["f", "turned"], ["z"]),
        NODE("Add", ["z", "bias"], ["logits"]),
    ),
    "max": (NODE("GlobalMaxPool", ["active"], ["p"]), NODE("Flatten", ["p"], ["f"]), GEMM),
}


@pytest.mark.parametrize("name", TAILS)
def test_a_graph_becomes_a_run_with_its_logits_and_exact_maps(name: str, tmp_path: Path) -> None:
    model = graph(*TAILS[name], turned=WEIGHTS["weight"].T)
    onnx.save(model, tmp_path / "net.onnx")
    run: RunFolder = write(tmp_path / "net.onnx", profile(), tmp_path / "run")
    facts = run.facts()
    film = draw_example("Effusion", seed=3).pixels
    raster = np.rint(255 * film[:64, :64]).astype(np.uint8)[None]
    got = Engine(run.model, facts.network.preprocessing, facts.network.outputs).run(raster)
    images = facts.network.preprocessing.normalize(raster)[0, 0]
    # rows and columns of the map, and of each kernel's 8 x 8 pixels
    cells = np.einsum("yhxw,khw->kyx", images.reshape(8, 8, 8, 8), WEIGHTS["kernel"][:, 0])
    active = np.maximum(cells, 0.0)
    pooled = active.max(axis=(1, 2)) if name == "max" else active.mean(axis=(1, 2))
    rows = [0, 2]
    want = WEIGHTS["weight"][rows] @ pooled + WEIGHTS["bias"][rows]
    assert got.logits.values[0] == pytest.approx(want, abs=1e-4)
    if name == "max":
        assert got.heatmaps.shape[2:] == (1, 1)
        assert not got.heatmaps.any()
        assert any("no heatmaps: the graph does not end" in note for note in facts.network.notes)
    else:
        exact = np.maximum(np.einsum("lk,kyx->lyx", WEIGHTS["weight"][rows], active) / 64, 0.0)
        assert got.heatmaps[0] == pytest.approx(exact, abs=1e-5)
        assert not any("no heatmaps" in note for note in facts.network.notes)
    tree = json.loads((run.root / "import.json").read_text("utf-8"))
    assert "kernel" in tree["used"]


def test_other_ends_and_inputs_are_refused(tmp_path: Path) -> None:
    onnx.save(graph(*TAILS["sigmoid"]), tmp_path / "net.onnx")
    with pytest.raises(BundleError, match="one output for each of the 2 findings"):
        write(tmp_path / "net.onnx", profile(findings=["Edema", "Mass"]), tmp_path / "r")
    wide = {**TREE["input"], "size": 96}
    with pytest.raises(BundleError, match=r"must be float32 \(B, 1, 96, 96\)"):
        write(tmp_path / "net.onnx", profile(input=wide), tmp_path / "r")
    two = profile(findings=["none", "Mass"], output="softmax")
    with pytest.raises(BundleError, match=r"ends in a sigmoid, profile graph has softmax"):
        write(tmp_path / "net.onnx", two, tmp_path / "r")
    with pytest.raises(BundleError, match="must have the output that the profile names"):
        write(tmp_path / "net.onnx", profile(head=["output other"]), tmp_path / "r")
    with pytest.raises(BundleError, match="import it with a profile whose backbone is onnx"):
        read_weights(tmp_path / "net.onnx")
    (tmp_path / "no.onnx").write_bytes(b"\x08\x07" + bytes(range(200)))
    with pytest.raises(BundleError, match=r"no\.onnx must be an ONNX graph|1 to 50000 operators"):
        read_graph_confined(tmp_path / "no.onnx")
    with pytest.raises(UsageError):
        read_graph_confined(tmp_path / "absent.onnx")


def outside(model: onnx.ModelProto, **facts: str) -> onnx.ModelProto:
    """The graph with its first tensor in another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in facts.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return model


def test_external_data_is_read_from_beside_the_graph_alone(tmp_path: Path) -> None:
    kernel = WEIGHTS["kernel"].astype("<f4")
    (tmp_path / "data.bin").write_bytes(b"\0" * 16 + kernel.tobytes())
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "data.bin").write_bytes(kernel.tobytes())
    (tmp_path / "link.bin").symlink_to(tmp_path / "data.bin")
    path = tmp_path / "net.onnx"

    def save(**facts: str) -> None:
        path.write_bytes(outside(graph(*TAILS["gemm"]), **facts).SerializeToString())

    save(location="data.bin", offset="16", length=str(kernel.nbytes))
    read = onnx.load_model_from_string(read_graph_confined(path))
    assert np.array_equal(numpy_helper.to_array(read.graph.initializer[0]), kernel)
    for facts, word in (
        ({"location": "../data.bin"}, "must be in a file beside the graph"),
        ({"location": "below/data.bin"}, "must be in a file beside the graph"),
        ({"location": str(tmp_path / "data.bin")}, "must be in a file beside the graph"),
        ({"location": ".."}, "must be in a file beside the graph"),
        ({}, "must be in a file beside the graph"),
        ({"location": "absent.bin"}, "needs the file absent.bin"),
        ({"location": "link.bin"}, "needs the file link.bin"),
        ({"location": "data.bin", "offset": "20", "length": str(kernel.nbytes)}, "must lie inside"),
        ({"location": "data.bin", "offset": "-4"}, "must lie inside"),
        ({"location": "data.bin", "length": "many"}, "as numbers"),
    ):
        save(**facts)
        with pytest.raises(BundleError, match=word):
            read_onnx(path)


def test_a_graph_is_operators_and_tensors_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    branch = graph(*TAILS["gemm"]).graph
    odd: dict[str, Any] = {
        "custom": (NODE("Mine", ["active"], ["logits"], domain="com.mine"), "ONNX's own; Mine"),
        "subgraph": (
            NODE("If", ["active"], ["logits"], then_branch=branch, else_branch=branch),
            "has a graph inside",
        ),
        "chance": (NODE("RandomNormalLike", ["active"], ["logits"]), "the same answer twice"),
    }
    for node, word in odd.values():
        path.write_bytes(graph(node).SerializeToString())
        with pytest.raises(BundleError, match=word):
            read_onnx(path)
    model = graph(*TAILS["gemm"])
    model.functions.add().name = "f"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="has functions"):
        read_onnx(path)


def survive(path: Path, count: int) -> int:
    """Read mutations of a sound graph; only typed errors may come. Return how many were refused."""
    rng = random.Random(0)
    sound = graph(*TAILS["gemm"]).SerializeToString()
    refused = 0
    for _ in range(count):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 2, 8))):
            at = rng.randrange(len(data) if rng.random() < 0.3 else 400)
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                del data[at : at + rng.randrange(1, 32)]
        path.write_bytes(data)
        try:
            read_onnx(path)
        except BundleError as error:
            refused += "\n" not in str(error)
    return refused


def test_mutations_give_typed_errors(tmp_path: Path) -> None:
    assert survive(tmp_path / "net.onnx", 100) > 20


@pytest.mark.slow
@pytest.mark.exhaustive
def test_three_thousand_mutations(tmp_path: Path) -> None:
    assert survive(tmp_path / "net.onnx", 3000) > 600
