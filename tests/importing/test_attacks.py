"""Hostile files: nothing of them is run, no other file is opened, the error names the reason."""

from __future__ import annotations

import io
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from hilum.domain.errors import BundleError, HilumError, UsageError
from hilum.importing import reading
from hilum.importing.profile import load_profile, parse_profile
from hilum.importing.read import read_weights
from hilum.importing.reading import read_confined

FLAG = "hilum_attack_ran"


class Calls:
    """An object whose unpickling calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def legacy(root: bytes) -> bytes:
    """A legacy file around a pickle."""
    head = [
        pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    ]
    return b"".join([*head, root, pickle.dumps([], 2)])


def zipped(root: bytes, **entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", root)
        for name, data in entries.items():
            archive.writestr(f"a/data/{name}", data)
    return out.getvalue()


def calls() -> dict[str, bytes]:
    """Pickles that run something where they are unpickled."""
    command = f"touch {FLAG}"
    return {
        "os.system": pickle.dumps({"w": Calls(os.system, command)}, 2),
        "eval": pickle.dumps({"w": Calls(eval, f"open('{FLAG}', 'w')")}, 2),
        "exec": pickle.dumps(Calls(exec, f"open('{FLAG}', 'w')"), 4),
        "getattr": b"\x80\x02cbuiltins\ngetattr\n.",
        "subprocess": pickle.dumps(Calls(subprocess.call, ["touch", FLAG]), 2),
        "nested load": pickle.dumps(
            Calls(pickle.loads, pickle.dumps(Calls(os.system, command))), 2
        ),
        "torch.load": b"\x80\x02ctorch.serialization\nload\n\x8c\x03x.p\x85R.",
        "import": b"\x80\x02cimportlib\nimport_module\n\x8c\x02os\x85R.",
        "dotted": b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93.",
        "memo": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x01x\x85R.",
        "run by name": b"\x80\x02cctypes\nCDLL\n\x8c\x04libc\x85R.",
    }


@pytest.mark.parametrize("name", list(calls()))
@pytest.mark.parametrize("wrap", [legacy, zipped])
def test_a_call_is_refused_by_name(name: str, wrap: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    path.write_bytes(wrap(calls()[name]))
    with pytest.raises(BundleError, match="which no weights need and an attack does"):
        read_weights(path)
    assert [one.name for one in tmp_path.iterdir()] == ["x.pth"]


PICKLES = {
    "build on a name": b"\x80\x02ctorch.nn.modules.linear\nLinear\n}b.",
    "an opcode of old": b"\x80\x02(ctorch\nTensor\no.",
    "INST": b"\x80\x02(itorch\nTensor\n.",
    "extension": b"\x80\x02\x82\x01.",
    "buffers": b"\x80\x05\x97.",
    "a call of what was made": b"\x80\x02ctorch\nTensor\n)R)R.",
    "an unknown persistent id": b"\x80\x02\x8c\x01xQ.",
    "no end": b"\x80\x02}",
    "an empty stack": b"\x80\x02.",
    "a missing mark": b"\x80\x02}u.",
    "a missing memo": b"\x80\x02h\x07.",
    "deep tuples as a key": b"\x80\x02}" + b")" + b"\x85" * 50_000 + b"Ns.",
}


@pytest.mark.parametrize("name", list(PICKLES))
def test_other_tricks_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(zipped(PICKLES[name]))
    with pytest.raises(BundleError, match=r"x\.pth"):
        read_weights(path)


def good(folder: Path) -> dict[str, Path]:
    """Small sound files of each format."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    state = network.state_dict()
    paths = {name: folder / name for name in ("zip.pt", "legacy.pt", "whole.pt", "x.safetensors")}
    torch.save(state, paths["zip.pt"])
    torch.save(
        {"model": state, "epoch": 3}, paths["legacy.pt"], _use_new_zipfile_serialization=False
    )
    torch.save(network, paths["whole.pt"])
    save_file(state, paths["x.safetensors"])
    h5py = pytest.importorskip("h5py")
    paths["x.h5"] = folder / "x.h5"
    listed = ",".join(
        [
            '{"class_name": "Conv2D", "config": {"name": "conv1_conv", "use_bias": false}}',
            '{"class_name": "BatchNormalization", "config": {"name": "conv1_bn"}}',
            '{"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}}',
            '{"class_name": "Dense", "config": {"name": "out"}}',
        ]
    )
    config = '{"class_name": "Sequential", "config": {"layers": [' + listed + "]}}"
    with h5py.File(paths["x.h5"], "w") as file:
        file.attrs["model_config"] = config
        file["model_weights/conv1_conv/conv1_conv/kernel"] = np.ones((3, 3, 1, 4), np.float32)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            file[f"model_weights/conv1_bn/conv1_bn/{name}"] = np.ones(4, np.float32)
        file["model_weights/out/out/kernel"] = np.ones((4, 2), np.float32)
        file["model_weights/out/out/bias"] = np.ones(2, np.float32)
    return paths


def test_sound_files_are_read(tmp_path: Path) -> None:
    for path in good(tmp_path).values():
        assert read_weights(path).holders, path
        assert read_confined(path).holders.keys() == read_weights(path).holders.keys()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with bytes flipped, cut, repeated or moved."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(changed))
        match rng.randrange(5):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at] = rng.randrange(256)
            case 2:
                del changed[at : at + rng.randrange(1, 64)]
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 64)]
            case _:
                changed[at : at + 8] = rng.randbytes(8)
        if not changed:
            return b"\x80"
    return bytes(changed)


def survive(folder: Path, count: int) -> int:
    """Read mutations of good files; only typed errors may come. Return how many were refused."""
    rng = random.Random(0)
    files = {
        path.suffix + path.name: path.read_bytes()
        for path in good(folder).values()
        if path.suffix != ".h5"
    }
    refused = 0
    for number in range(count):
        name = rng.choice(sorted(files))
        path = folder / f"mutation{number % 7}.bin"
        path.write_bytes(mutated(files[name], rng))
        try:
            read_weights(path)
        except HilumError as error:
            refused += "\n" not in str(error)
    return refused


def test_mutations_give_typed_errors(tmp_path: Path) -> None:
    assert survive(tmp_path, 150) > 50


@pytest.mark.slow
@pytest.mark.exhaustive
def test_damaged_hdf5_costs_its_reader_alone(tmp_path: Path, monkeypatch: Any) -> None:
    """HDF5's library never ends on some of these: the process that reads them is ended."""
    monkeypatch.setattr(reading, "_TIMEOUT_S", 2)
    rng = random.Random(0)
    data = good(tmp_path)["x.h5"].read_bytes()
    refused = 0
    for _ in range(40):
        path = tmp_path / "mutation.h5"
        path.write_bytes(mutated(data, rng))
        try:
            read_confined(path)
        except HilumError as error:
            refused += "\n" not in str(error)
    assert refused > 5


@pytest.mark.slow
@pytest.mark.exhaustive
def test_three_thousand_mutations(tmp_path: Path) -> None:
    assert survive(tmp_path, 3000) > 1000


def test_oversize_and_overlapping_storages(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.ones(4)}, path)
    data = path.read_bytes()
    for old, new in ((b"K\x04\x85", b"K\xff\x85"), (b"K\x01\x85", b"K\x7f\x85")):
        assert old in data
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename: archive.read(info) for info in archive.infolist()}
        with zipfile.ZipFile(tmp_path / "y.pt", "w") as archive:
            for name, entry in entries.items():
                archive.writestr(
                    name, entry.replace(old, new) if name.endswith("data.pkl") else entry
                )
        with pytest.raises(BundleError, match="must lie inside its storage"):
            read_weights(tmp_path / "y.pt")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10_000_000))
    with pytest.raises(BundleError, match="it is compressed"):
        read_weights(path)
    with zipfile.ZipFile(tmp_path / "x.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b"[" * 10_000_000)
        archive.writestr("model.weights.h5", b"")
    pytest.importorskip("h5py")
    with pytest.raises(BundleError, match="plausible size"):
        read_weights(tmp_path / "x.keras")


def test_hdf5_does_nothing_but_hold_arrays(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.ones(3)

    def attack(name: str, make: Any, word: str) -> None:
        path = tmp_path / f"{name}.h5"
        shutil.copy(good(tmp_path)["x.h5"], path)
        with h5py.File(path, "a") as file:
            del file["model_weights/out/out/bias"]
            make(file)
        with pytest.raises(BundleError, match=word):
            read_weights(path)

    place = "model_weights/out/out/bias"
    attack("soft", lambda f: f.__setitem__(place, h5py.SoftLink("/x")), "has a link")
    attack(
        "external", lambda f: f.__setitem__(place, h5py.ExternalLink(str(secret), "x")), "a link"
    )
    attack(
        "outside",
        lambda f: f.create_dataset(place, (2,), "f4", external=[(str(secret), 0, 8)]),
        "is in other files",
    )
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
    attack("virtual", lambda f: f.create_virtual_dataset(place, layout), "is in other files")
    attack(
        "filter",
        lambda f: f.create_dataset(place, data=np.ones(2, "f4"), chunks=(2,), compression="lzf"),
        "filter 32000",
    )
    attack(
        "huge",
        lambda f: f.create_dataset(place, (10**12,), "f4", chunks=(1024,)),
        "the file holds 0",
    )


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("Lambda", "a Lambda layer is a program"),
        ("Mine", "its meaning is not known"),
    ],
)
def test_keras_layers_that_run_are_refused(kind: str, word: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = good(tmp_path)["x.h5"]
    with h5py.File(path, "a") as file:
        text = str(file.attrs["model_config"]).replace("GlobalAveragePooling2D", kind)
        file.attrs["model_config"] = text
    with pytest.raises(BundleError, match=word):
        read_weights(path)


def test_a_resnet_of_keras_is_refused_by_name(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = good(tmp_path)["x.h5"]
    with h5py.File(path, "a") as file:
        text = str(file.attrs["model_config"])
        pooling = '{"class_name": "GlobalAveragePooling2D"'
        added = '{"class_name": "Add", "config": {"name": "conv2_block1_add"}}, '
        file.attrs["model_config"] = text.replace(pooling, added + pooling)
    with pytest.raises(BundleError, match="Add layers, as ResNet has"):
        read_weights(path)


def test_a_profile_is_plain_yaml(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be plain YAML"):
        parse_profile("!!python/object/apply:os.system ['true']", "x.yaml", {})
    with pytest.raises(UsageError, match="must be a mapping"):
        parse_profile("[1]", "x.yaml", {})
    with pytest.raises(UsageError, match=r"lacks backbone, head, findings, input, seen, license"):
        parse_profile("name: x", "x.yaml", {})
    with pytest.raises(UsageError, match="Did you mean 'chexnet-jrzech'"):
        load_profile("chexnet-jrzec", {})


TRACED = """
import os, sys
import h5py, hilum.importing.keras_file  # as the child does, before it is confined
from pathlib import Path
from hilum.domain.errors import HilumError
from hilum.importing.onnx_file import read_onnx
from hilum.importing.read import read_weights

def read_all():
    for path in map(Path, sys.argv[1:]):
        try:
            (read_onnx if path.suffix == ".onnx" else read_weights)(path)
        except HilumError:
            pass

for turn in ("first", "second"):
    os.access(f"/{turn}-begins", 0)
    read_all()
    os.access(f"/{turn}-ends", 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_other_file_is_opened_and_nothing_is_run(tmp_path: Path) -> None:
    """Sound and hostile files of each format; the first turn only loads the modules it takes."""
    files = list(good(tmp_path).values())
    for wrap in (legacy, zipped):
        for number, root in enumerate(calls().values()):
            files.append(tmp_path / f"{wrap.__name__}{number}.pth")
            files[-1].write_bytes(wrap(root))
    h5py = pytest.importorskip("h5py")
    for word in ("h5", "onnx"):
        files.append(tmp_path / f"elsewhere.{word}")
    with h5py.File(files[-2], "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(tmp_path / "secret"), "x")
    graph = onnx.helper.make_graph([], "g", [], [])
    tensor = graph.initializer.add(name="w", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="../secret")
    onnx.save(onnx.helper.make_model(graph), files[-1])
    (tmp_path / "secret").write_bytes(b"x" * 4)
    log = tmp_path / "log"
    calls_ = "trace=open,openat,execve,fork,vfork,connect,access,faccessat,faccessat2"
    trace = ["strace", "-f", "-o", str(log), "-e", calls_]
    names = [str(path) for path in files]
    done = subprocess.run(
        [*trace, sys.executable, "-c", TRACED, *names],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    text = log.read_text()
    first, second = (
        text.partition(f"/{turn}-begins")[2].partition(f"/{turn}-ends")[0]
        for turn in ("first", "second")
    )
    assert "secret" not in first
    others = "\n".join(line for line in first.splitlines() if '"/dev/null"' not in line)
    assert not re.search(r"\b(execve|fork|vfork|connect)\(|O_WRONLY|O_RDWR|O_CREAT", others)
    lines = [line for line in second.splitlines()[1:] if "access" not in line and "(" in line]
    assert len(lines) >= len(files)
    assert all(any(name in line for name in names) for line in lines), lines
    assert not (tmp_path / FLAG).exists()


@pytest.mark.slow
def test_a_file_that_fills_the_memory_is_given_up(tmp_path: Path) -> None:
    """Three gigabytes of zeros in three megabytes, within deflate's own ratio."""
    h5py = pytest.importorskip("h5py")
    path = good(tmp_path)["x.h5"]
    numbers, count = 2**24, 48
    packed = zlib.compress(bytes(4 * numbers), 9)
    with h5py.File(path, "a") as file:
        bomb = file.create_dataset(
            "model_weights/bomb", (count * numbers,), "f4", chunks=(numbers,), compression=9
        )
        for number in range(count):
            bomb.id.write_direct_chunk((number * numbers,), packed)
    assert path.stat().st_size < 5_000_000
    with pytest.raises(BundleError, match="needs more memory than a reader may use"):
        read_confined(path)
