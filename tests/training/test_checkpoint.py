"""What is on disk is whole, is read back before it counts, and executes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hilum.domain.errors import BundleError
from hilum.domain.findings import LabelSet
from hilum.files.atomic import atomic_file
from hilum.model import weights
from hilum.model.backbones import Features
from hilum.model.classifier import Classifier
from hilum.training import checkpoint
from hilum.training.checkpoint import State, read_state, save_weights, write_state


def network() -> Classifier:
    return Classifier(Features(nn.Conv2d(1, 2, 3), 2), LabelSet("one", ("Mass",)))


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors = {
        "network.a": torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last),
        "network.count": torch.tensor(7),
        "optimizer.0.step": torch.tensor(2.5),
    }
    facts = {"progress": {"loss": 0.1 + 0.2, "big": 1e300, "none": None, "names": ["Ö", "x"]}}
    path = tmp_path / "deep" / "state.safetensors"
    write_state(path, State(tensors, facts))
    found = read_state(path)
    assert found is not None
    assert found.facts == facts
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(found.tensors[name], tensor, rtol=0, atol=0)
    assert list(found.part("network")) == ["a", "count"]
    assert [path.name for path in path.parent.iterdir()] == ["state.safetensors"]
    assert read_state(tmp_path / "none") is None


@pytest.mark.parametrize("content", [b"", b"x" * 100, "foreign"])
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "state.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(BundleError, match="must be as hilum wrote it"):
        read_state(path)


def test_an_error_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def fail(unfinished: Path) -> None:
        unfinished.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_file(path) as unfinished:
        fail(unfinished)
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_the_disk_has_a_file_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append("sync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda *a: (events.append("name"), replace(*a)))
    with atomic_file(tmp_path / "file") as unfinished:
        unfinished.write_text("all of it")
    assert events == ["sync", "name", "sync"]  # the file, its name, the folder


def test_saved_weights_load_and_say_their_epoch(tmp_path: Path) -> None:
    path, saved, loaded = tmp_path / "best.safetensors", network(), network()
    save_weights(saved, path, {"epoch": "3"})
    weights.load(loaded, path)
    assert weights.digest(loaded) == weights.digest(saved)
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode
    (tmp_path / "any").unlink()
    header = path.read_bytes()[8:].decode("utf-8", "replace")
    assert json.dumps({"epoch": "3", "labels": ["Mass"]}).replace('"', '\\"') in header
    assert [found.name for found in tmp_path.iterdir()] == ["best.safetensors"]


def test_weights_that_are_no_numbers_do_not_replace_those_that_are(tmp_path: Path) -> None:
    path, broken = tmp_path / "best.safetensors", network()
    save_weights(broken, path, {})
    before = path.read_bytes()
    with torch.no_grad():
        broken.head.weight[0, 0] = torch.nan
    with pytest.raises(BundleError, match=r"must be numbers, .*; head\.weight in .* does not"):
        save_weights(broken, path, {})
    assert path.read_bytes() == before


def test_a_disk_that_gives_back_other_weights_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = checkpoint.load_file
    monkeypatch.setattr(
        checkpoint, "load_file", lambda path: {n: t + 1 for n, t in load(path).items()}
    )
    with pytest.raises(BundleError, match="read back as they were written"):
        save_weights(network(), tmp_path / "best.safetensors", {})
    assert list(tmp_path.iterdir()) == []
