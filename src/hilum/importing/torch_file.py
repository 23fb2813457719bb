"""PyTorch's files, zip and legacy, state dicts and whole models, to their tensors."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import BundleError
from hilum.importing.pickle_names import is_known
from hilum.importing.pickles import Machine
from hilum.importing.records import DTYPES, Made, Name, Storage, WeightFile, view_of

__all__ = ["read_torch_file"]

_MAGIC = 0x1950A86A20F9469CFC6C
_MOST_PICKLED = 256 * 1024**2
_DEPTH = 64
_FUNCTIONS = frozenset(
    {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
    }
)
_ARGUMENTS = 4
_PARAMETERS = frozenset(
    {
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch.nn.parameter.Parameter",
        "torch.nn.Parameter",
    }
)


class _Pointer:
    """A tensor whose bytes are not fetched yet."""

    def __init__(self, storage: Storage, geometry: Any) -> None:
        self.storage = storage
        self.geometry = geometry


def read_torch_file(path: Path) -> WeightFile:
    """Read the tensors of a `.pt`, `.pth`, `.ckpt` or `.tar`, whatever its name says.

    Raises:
        BundleError: for a damaged file, a TorchScript archive, a name that only an attack needs, or
            tensors inside an object of a package that is not known.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if bytes(data[:4]) == b"PK\x03\x04":
        root, fetch = _zip(path, data)
        form = "pytorch-zip"
    else:
        root, fetch = _legacy(path, data)
        form = "pytorch-legacy"
    return _collected(root, fetch, str(path), form)


class _Fetch:
    """Bytes of each storage, by key; tensors are views of them."""

    def __init__(self, blobs: Mapping[str, memoryview]) -> None:
        self.blobs = blobs

    def tensor(self, pointer: _Pointer, where: str) -> NDArray[Any]:
        blob = self.blobs.get(pointer.storage.key)
        if blob is None:
            raise BundleError(f"{where}: its storage {pointer.storage.key[:40]} is missing")
        width = 2 if pointer.storage.dtype == "bf16" else np.dtype(pointer.storage.dtype).itemsize
        if len(blob) < pointer.storage.count * width:
            raise BundleError(
                f"{where}: its storage must have {pointer.storage.count} numbers; the file has "
                f"{len(blob) // width}. Fetch the file again"
            )
        return view_of(
            blob[: pointer.storage.count * width], pointer.storage.dtype, pointer.geometry, where
        )


def _machine(file: io.BytesIO, where: str) -> Machine:
    return Machine(file, where, _tensor, _storage)


def _tensor(name: str, arguments: tuple[Any, ...]) -> Any:
    if name in _PARAMETERS:
        return arguments[0] if arguments and isinstance(arguments[0], _Pointer) else None
    if name == "torch._tensor._rebuild_from_type_v2" and len(arguments) > 2:
        called, _, inner = arguments[:3]
        if isinstance(called, Name) and isinstance(inner, tuple):
            return _tensor(called.dotted, inner)
    if name not in _FUNCTIONS:
        return None
    if len(arguments) < _ARGUMENTS:
        raise ValueError("a tensor must have a storage and a geometry")
    storage, offset, shape, strides = (arguments[place] for place in range(_ARGUMENTS))
    if not isinstance(storage, Storage):
        raise ValueError("a tensor must have a storage")
    whole = all(
        isinstance(part, tuple) and all(type(value) is int for value in part)
        for part in (shape, strides, (offset,))
    )
    if not whole:
        raise ValueError("a tensor's shape must be whole numbers")
    return _Pointer(storage, (offset, tuple(shape), tuple(strides)))


def _storage(pid: Any) -> Any:
    if not isinstance(pid, tuple) or len(pid) < 2:
        raise ValueError("a persistent id must be a storage")
    if pid[0] == "module":  # legacy files keep the source of each class beside it
        return pid[1]
    if pid[0] != "storage" or len(pid) < 5 or (len(pid) > 5 and pid[5] is not None):
        raise ValueError("a persistent id must be a storage")
    kind, key, _, count = pid[1:5]
    word = kind.name if isinstance(kind, Name) else ""
    if word not in DTYPES or type(count) is not int or count < 0 or not isinstance(key, str):
        raise ValueError(f"a storage must be of known numbers; got {word[:40] or 'none'}")
    return Storage(key, DTYPES[word], count)


def _zip(path: Path, data: memoryview) -> tuple[Any, _Fetch]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error) as error:
        raise BundleError(f"{path} begins as a zip and is none: {error}. Fetch it again") from None
    tops = {name.partition("/")[0] for name in infos}
    top = next((name.rpartition("/")[0] for name in infos if name.endswith("/data.pkl")), "")
    if not top:
        from hilum.importing.kinds import describe_zip

        raise BundleError(f"weights must be a file of tensors; {path} is {describe_zip(infos)}")
    if any(name.startswith((f"{top}/code/", f"{top}/constants.pkl")) for name in infos):
        raise BundleError(
            f"weights must be tensors; {path} is a TorchScript archive, which is a program. Export "
            "its state_dict() instead"
        )
    if len(tops) > 1:
        raise BundleError(f"a PyTorch file has one folder; {path} has {len(tops)}")
    blobs = {
        name.removeprefix(f"{top}/data/"): _entry(path, data, info)
        for name, info in infos.items()
        if name.startswith(f"{top}/data/") and not name.endswith("/")
    }
    order = infos.get(f"{top}/byteorder")
    if order is not None and bytes(_entry(path, data, order)) != b"little":
        raise BundleError(f"a file's numbers must be little-endian; {path} has others")
    entry = _entry(path, data, infos[f"{top}/data.pkl"])
    if len(entry) > _MOST_PICKLED:
        raise BundleError(f"{path}: data.pkl must be smaller than {_MOST_PICKLED} bytes")
    root = _machine(io.BytesIO(entry), f"{path} (data.pkl)").read()
    return root, _Fetch(blobs)


def _entry(path: Path, data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """Return a view of an entry's bytes, once its sum agrees."""
    at = info.header_offset
    head = bytes(data[at : at + 30]) if at >= 0 else b""
    where = f"{path} ({info.filename[:60]})"
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise BundleError(f"{where} has no header at byte {at}. Fetch the file again")
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise BundleError(
            f"{where} must be stored as it is, as PyTorch writes it; it is compressed"
        )
    names, extra = struct.unpack("<HH", head[26:30])
    start = at + 30 + names + extra
    blob = data[start : start + info.file_size]
    if len(blob) != info.file_size or zlib.crc32(blob) != info.CRC:
        raise BundleError(f"{where} at byte {start} is not what was written. Fetch the file again")
    return blob


def _legacy(path: Path, data: memoryview) -> tuple[Any, _Fetch]:
    file = io.BytesIO(data)
    machine = _machine(file, str(path))
    if machine.read() != _MAGIC:
        raise BundleError(f"{path} is a pickle, but not PyTorch's. Save the network's state_dict()")
    machine.read()
    system = machine.read()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise BundleError(f"a file's numbers must be little-endian; {path} has others")
    keeper = _Keeper()
    root = Machine(file, str(path), _tensor, keeper.storage).read()
    keys = machine.read()
    if not isinstance(keys, list):
        raise BundleError(f"{path} must list its storages; it does not. Fetch it again")
    blobs: dict[str, memoryview] = {}
    at = file.tell()
    for key in keys:
        storage = keeper.found.get(key) if isinstance(key, str) else None
        if storage is None:
            raise BundleError(f"{path} lists a storage at byte {at} that no tensor has")
        width = 2 if storage.dtype == "bf16" else np.dtype(storage.dtype).itemsize
        stated = bytes(data[at : at + 8])
        if len(stated) < 8 or struct.unpack("<q", stated)[0] != storage.count:
            raise BundleError(f"{path}: the storage at byte {at} is not as long as its tensors say")
        blobs[key] = data[at + 8 : at + 8 + storage.count * width]
        at += 8 + storage.count * width
    return root, _Fetch(blobs)


class _Keeper:
    """All storages that a pickle names."""

    def __init__(self) -> None:
        self.found: dict[str, Storage] = {}

    def storage(self, pid: Any) -> Any:
        """Make a storage, as `_storage` does, and keep it."""
        made = _storage(pid)
        if isinstance(made, Storage) and self.found.setdefault(made.key, made) != made:
            raise ValueError(f"storage {made.key[:40]} has two descriptions")
        return made


def _collected(root: Any, fetch: _Fetch, where: str, form: str) -> WeightFile:
    holders: dict[str, dict[str, NDArray[Any]]] = {}
    carried: list[str] = []
    texts: dict[str, tuple[str, ...]] = {}
    for key, tree in _levels(root, "", 0):
        named = tree if isinstance(tree, dict) else dict(_state(tree, "", 0, where))
        own = {
            name: fetch.tensor(value, f"{where}: tensor {name[:80]}")
            for name, value in named.items()
            if isinstance(name, str) and isinstance(value, _Pointer)
        }
        if own:
            holders[key] = own
        if isinstance(tree, Made):
            texts |= _texts(tree)
        else:
            carried += [
                f"{key}.{name}".lstrip(".")
                for name, value in named.items()
                if isinstance(name, str)
                and not isinstance(value, _Pointer | dict)
                and not _is_module(value)
            ]
    if not holders:
        raise BundleError(
            f"weights must have tensors; {where} has none"
            + (f", but {', '.join(carried[:6])}" if carried else "")
        )
    return WeightFile(form, holders, tuple(carried), texts)


_LEVELS = 4
_BESIDE = frozenset({"optimizer", "optimizer_states", "optimizer_state_dict", "lr_schedulers"})
"""Keys whose tensors are not a network's, and are carried unread."""


def _levels(tree: Any, key: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield every level that may hold named tensors, with its dotted key."""
    if _is_module(tree):
        yield key, tree
    elif isinstance(tree, dict) and depth < _LEVELS:
        yield key, tree
        for name, below in tree.items():
            if isinstance(name, str) and name not in _BESIDE:
                yield from _levels(below, f"{key}.{name}".lstrip("."), depth + 1)


def _is_module(value: Any) -> bool:
    return isinstance(value, Made) and isinstance(value.state, dict) and "_modules" in value.state


def _state(module: Made, prefix: str, depth: int, where: str) -> Iterator[tuple[str, _Pointer]]:
    """Yield what a module's `state_dict` would hold."""
    if depth > _DEPTH:
        raise BundleError(f"modules may be nested {_DEPTH} deep; {where} goes deeper")
    state = module.state
    skipped = state.get("_non_persistent_buffers_set")
    skipped = skipped if isinstance(skipped, list) else []
    parts: list[tuple[str, _Pointer]] = []
    for part in ("_parameters", "_buffers"):
        held = state.get(part)
        for name, value in (held if isinstance(held, dict) else {}).items():
            if isinstance(value, _Pointer) and not (part == "_buffers" and name in skipped):
                parts.append((f"{prefix}{name}", value))
    if parts and not is_known(module.kind):
        _refuse_unknown(module.kind, where)
    yield from parts
    below = state.get("_modules")
    for name, value in (below if isinstance(below, dict) else {}).items():
        if _is_module(value):
            found = list(_state(value, f"{prefix}{name}.", depth + 1, where))
            if found and not is_known(module.kind):
                _refuse_unknown(module.kind, where)
            yield from found


def _refuse_unknown(kind: Name, where: str) -> None:
    raise BundleError(
        "tensors may be held by torch, torchvision, torchxrayvision, timm and collections; "
        f"{where} has some in {kind.dotted[:80]}. Save the network's state_dict() instead"
    )


def _texts(module: Made) -> dict[str, tuple[str, ...]]:
    """Return lists of words among a module's attributes, such as its findings."""
    return {
        name: tuple(value)
        for name, value in module.state.items()
        if isinstance(name, str) and isinstance(value, list | tuple) and _are_words(value)
    }


def _are_words(values: Sequence[Any]) -> bool:
    short = 0 < len(values) < 100
    return short and all(isinstance(word, str) and len(word) < 60 for word in values)
