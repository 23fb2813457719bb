"""A bundle that is not what was written says so in one line, however well the edit was covered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from hilum import Bundle
from hilum.bundle import Calibration
from hilum.bundle.golden import write_golden
from hilum.domain.errors import BundleError
from hilum.domain.radiograph import Radiograph
from hilum.files.sealed import file_sha256, seal
from hilum.imaging.preprocess import Preprocessing
from hilum.inference.engine import Engine, Precision
from hilum.runs.folder import RunFolder

Tree = dict[str, Any]

FILES = ("CARD.md", "evaluation.json", "golden.npz", "model.onnx")


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy / "bundle", tmp_path / "bundle"))


def refused(root: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(root)
    assert "\n" not in str(caught.value)


def served(tree: Tree) -> Tree:
    return tree["facts"]["network"]


def permuted(tree: Tree) -> None:
    served(tree)["labels"].sort()


def resealed(root: Path, change: Callable[[Tree], object], name: str = "bundle.json") -> None:
    """Edit a file and make its seal anew, as somebody would who knows how."""
    path = root / name
    tree = json.loads(path.read_text())
    change(tree)
    tree["seal"] = seal(tree)
    path.write_text(json.dumps(tree))


def forged(root: Path, change: Callable[[Tree], object] = dict) -> None:
    """The same, with every hash and the bond made anew too: only the self-test is left.

    The change is made twice, since the evaluation carries the bond and the manifest its hash.
    """

    def everything(tree: Tree) -> None:
        change(tree)
        tree["files"] = {name: file_sha256(root / name) for name in tree["files"]}
        part = tree["calibration"]
        part["model_sha256"] = tree["files"]["model.onnx"]
        preprocessing = Preprocessing(**served(tree)["preprocessing"])
        part["preprocessing_sha256"] = preprocessing.sha256()
        part["bond"] = ""
        tree["calibration"] = Calibration.model_validate(part).model_dump(mode="json")

    resealed(root, everything)
    bond = json.loads((root / "bundle.json").read_text())["calibration"]["bond"]
    resealed(root, lambda tree: tree["provenance"].update(bond=bond), "evaluation.json")
    resealed(root, everything)


def test_a_whole_bundle_loads_and_so_does_one_made_anew(copy: Path) -> None:
    before = Bundle.load(copy).id
    resealed(copy, dict)
    assert Bundle.load(copy).id == before
    forged(copy)
    Bundle.load(copy)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_refused(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    refused(copy, rf"{name} was changed since\. Restore it")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    refused(copy, f"a bundle must be whole; .* lacks {name}")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"threshold": 0.', '"threshold": 1.'), ("Effusion", "Edema"), ('"size": 64', '"size": 65')],
)
def test_an_edited_manifest_is_refused(copy: Path, old: str, new: str) -> None:
    path = copy / "bundle.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    refused(copy, r"bundle\.json must be as hilum wrote it; .* was edited since")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"bundle\.json must be there; .* has none"),
        ("{", r"bundle\.json must be JSON"),
        ("[1]", "must be as hilum wrote it"),
        ("", r"bundle\.json must be JSON"),
    ],
)
def test_a_manifest_that_is_none_is_refused(copy: Path, text: str | None, message: str) -> None:
    path = copy / "bundle.json"
    path.unlink() if text is None else path.write_text(text)
    refused(copy, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: served(tree).pop("labels"), "facts.network.labels: Field required"),
        (lambda tree: tree.update(extra=1), "extra: Extra inputs are not permitted"),
        (
            lambda tree: served(tree)["preprocessing"].update(size=0),
            "network.preprocessing.size: Input should be",
        ),
    ],
)
def test_a_manifest_of_another_make_is_refused(
    copy: Path, change: Callable[[Tree], object], message: str
) -> None:
    resealed(copy, change)
    refused(copy, message)


def test_a_permuted_label_order_is_refused_under_a_fresh_seal(copy: Path) -> None:
    resealed(copy, permuted)
    refused(copy, "label order must be the one the network was tested with; bundle says")


def test_a_permuted_label_order_is_refused_though_every_hash_was_made_anew(copy: Path) -> None:
    forged(copy, permuted)
    refused(copy, "label order must be the one the network was tested with")


def test_a_label_too_few_is_refused(copy: Path) -> None:
    resealed(copy, lambda tree: served(tree).update(labels=served(tree)["labels"][:-1]))
    refused(copy, "must have one output for each of the 13 findings of NIH-14; it has 14")


def test_a_moved_threshold_breaks_the_bond(copy: Path) -> None:
    def move(tree: Tree) -> None:
        points = tree["calibration"]["operating_points"]
        next(point for point in points if point["threshold"] is not None)["threshold"] = 0.999

    resealed(copy, move)
    refused(copy, "operating points must belong to this model, calibrator and preprocessing")


def test_a_calibrator_swapped_alone_breaks_the_bond(copy: Path) -> None:
    def swap(tree: Tree) -> None:
        findings = tree["calibration"]["calibrator"]["findings"]
        findings["Mass"], findings["Edema"] = findings["Edema"], findings["Mass"]

    resealed(copy, swap)
    refused(copy, "their bond is of others")


def test_a_precision_that_was_not_calibrated_breaks_the_bond(copy: Path) -> None:
    resealed(copy, lambda tree: tree["calibration"].update(precision="bf16"))
    refused(copy, "their bond is of others")


@pytest.mark.parametrize(
    ("field", "part"), [("model_sha256", "model.onnx"), ("preprocessing_sha256", "preprocessing")]
)
def test_the_calibration_of_another_model_is_refused(copy: Path, field: str, part: str) -> None:
    def swap(tree: Tree) -> None:
        other = Calibration.model_validate({**tree["calibration"], field: "0" * 64, "bond": ""})
        tree["calibration"] = other.model_dump(mode="json")

    resealed(copy, swap)
    refused(copy, f"must belong to the bundle's {part}; they were fitted on another")


def test_changed_preprocessing_is_refused(copy: Path) -> None:
    resealed(copy, lambda tree: served(tree)["preprocessing"].update(mean=[0.4]))
    refused(copy, "must belong to the bundle's preprocessing")
    forged(copy)
    refused(copy, "the network must give the self-test's logits within")
    forged(copy, lambda tree: served(tree)["preprocessing"].update(mean=[0.5], fit="stretch"))
    refused(copy, "preprocessing must give the self-test's rasters")


def test_another_network_is_refused_though_every_hash_was_made_anew(
    copy: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    onnx.save(network(seed=1), copy / "model.onnx")
    forged(copy)
    refused(copy, r"the network must give the self-test's logits within .*; it is off by")


def test_the_evaluation_of_another_model_is_refused(copy: Path) -> None:
    name = "evaluation.json"
    resealed(copy, lambda tree: tree["provenance"].update(bond="0" * 64), name)
    resealed(copy, lambda tree: tree["files"].update({name: file_sha256(copy / name)}))
    refused(copy, "an evaluation must be of this network with these operating points")


def test_a_self_test_that_is_none_is_refused(copy: Path) -> None:
    golden = copy / "golden.npz"
    arrays = dict(np.load(golden))
    del arrays["labels"]
    for write in (
        lambda: np.savez(golden, **arrays),
        lambda: golden.write_bytes(b"PK"),
        lambda: np.savez(golden, labels=np.array([object()])),
    ):
        write()
        forged(copy)
        refused(copy, r"golden\.npz must be the bundle's self-test")


def test_f06_a_dead_head_makes_no_bundle(
    toy: Path, tmp_path: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    dead = network(seed=1)
    for tensor in dead.graph.initializer:
        nothing = 0 * onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(nothing, tensor.name))
    onnx.save(dead, tmp_path / "dead.onnx")
    run = RunFolder(toy / "run")
    preprocessing = run.config().preprocessing
    engine = Engine(tmp_path / "dead.onnx", preprocessing, run.labels(), Precision.F32)
    pixels = np.random.default_rng(0).random((2, 64, 64), np.float32)
    films = [Radiograph(film, source="noise") for film in pixels]
    with pytest.raises(BundleError, match="must tell films apart"):
        write_golden(engine, films, tmp_path / "golden.npz")
