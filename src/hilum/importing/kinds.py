"""What a file is that should hold weights: known by its first bytes, never by its name."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from hilum.domain.errors import BundleError, UsageError

__all__ = ["WeightKind", "describe_zip", "kind_of"]


class WeightKind(StrEnum):
    """Formats of weights that can be read."""

    TORCH = "pytorch"
    SAFETENSORS = "safetensors"
    KERAS_ZIP = "keras"
    HDF5 = "hdf5"
    FOLDER = "folder"


_SIGNS = (
    (rb"\s*(<!doctype html|<html|<\?xml)", "a web page: the download failed. Fetch the file again"),
    (
        rb"version https://git-lfs",
        "a Git LFS pointer, not the file. Fetch the file itself with git lfs pull",
    ),
    (rb"\x1f\x8b", "a gzip file. Unpack it first"),
    (rb"BZh", "a bzip2 file. Unpack it first"),
    (rb"\xfd7zXZ", "an xz file. Unpack it first"),
    (rb"7z\xbc\xaf", "a 7z file. Unpack it first"),
    (rb"Rar!", "a rar file. Unpack it first"),
    (rb"\x93NUMPY", "an array of NumPy's, without names"),
    (rb"\x7fELF|MZ", "a program"),
    (
        rb"\x08[\x01-\x20][\x12\x3a\x42]",
        "an ONNX graph: import it with a profile whose backbone is onnx",
    ),
    (rb"%PDF", "a PDF"),
    (rb"\{", "a JSON file. Give the folder in which it stands"),
    (rb"[\t\r\n\x20-\x7e]{64,}\Z", "a text file"),
)


def kind_of(path: Path) -> WeightKind:
    """Return the format of a file by its content.

    Raises:
        UsageError: when there is no such file.
        BundleError: for a file that is something else, named for what it is.
    """
    if path.is_dir():
        return WeightKind.FOLDER
    try:
        with path.open("rb") as file:
            start = file.read(512)
            file.seek(0, 2)
            size = file.tell()
            file.seek(257)
            is_tar = file.read(5) == b"ustar"
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"weights must be a file that can be read; {path}: {reason}") from None
    if not size:
        raise BundleError(f"weights must be a file of tensors; {path} is empty")
    if is_tar:
        raise BundleError(f"weights must be a file of tensors; {path} is a tar. Unpack it first")
    if start.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return WeightKind.HDF5
    if len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size:
        return WeightKind.SAFETENSORS
    if start.startswith(b"\x80"):
        return WeightKind.TORCH
    if path.name.endswith(".index.json"):
        _refuse_index(path)
    for sign, what in _SIGNS:
        if re.match(sign, start, re.IGNORECASE | re.DOTALL):
            raise BundleError(f"weights must be a file of tensors; {path} is {what}")
    raise BundleError(
        f"weights must be PyTorch, safetensors, Keras or HDF5; {path} begins with "
        f"{start[:8].hex(' ')}, which is none of them"
    )


def _kind_of_zip(path: Path) -> WeightKind:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise BundleError(f"{path} begins as a zip and is none: {error}. Fetch it again") from None
    if {"config.json", "model.weights.h5"} <= names:
        return WeightKind.KERAS_ZIP
    if any(name.endswith("/data.pkl") for name in names):
        return WeightKind.TORCH
    raise BundleError(f"weights must be a file of tensors; {path} is {describe_zip(names)}")


def describe_zip(names: Collection[str]) -> str:
    """Say what a zip is that holds no tensors of PyTorch's.

    >>> describe_zip(["run/best.pth", "run/readme.md"])
    'a zip of a folder with run/best.pth. Unpack it and give that file'
    """
    inside = [
        name
        for name in names
        if name.endswith((".pth", ".pt", ".ckpt", ".safetensors", ".h5", ".keras", ".bin"))
    ]
    if inside:
        return f"a zip of a folder with {inside[0][:80]}. Unpack it and give that file"
    first = next(iter(names), "")
    return f"a zip of {len(names)} files, first {first[:80] or 'none'}, and none has weights"


def _refuse_index(path: Path) -> None:
    try:
        shards = sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        return
    absent = [name for name in shards if not (path.parent / str(name)).is_file()]
    raise BundleError(
        f"{path} is an index of {len(shards)} files of tensors"
        + (f", of which {absent[0]} is missing. Fetch all of them" if absent else "")
        + ". Give the folder in which it stands"
    )
