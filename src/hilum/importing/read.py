"""The one way from a file or folder of weights to its tensors."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.errors import BundleError
from hilum.importing.kinds import WeightKind, kind_of
from hilum.importing.records import WeightFile
from hilum.importing.safetensors_file import read_safetensors, read_shards
from hilum.importing.torch_file import read_torch_file

__all__ = ["file_of", "read_weights"]

_INDEX = "model.safetensors.index.json"
_IN_FOLDER = (_INDEX, "model.safetensors", "pytorch_model.bin")


def read_weights(path: Path) -> WeightFile:
    """Read the tensors of a file by its content, whatever its name says; nothing of it is run.

    Raises:
        UsageError: when it cannot be read.
        BundleError: when it is not a file of weights, or a damaged or hostile one.
    """
    file = file_of(path)
    if file.name == _INDEX:
        return read_shards(file)
    match kind_of(file):
        case WeightKind.TORCH:
            return read_torch_file(file)
        case WeightKind.SAFETENSORS:
            return read_safetensors(file)
        case WeightKind.KERAS_ZIP | WeightKind.HDF5:
            from hilum.importing.keras_file import read_keras

            return read_keras(file)
        case WeightKind.FOLDER:
            raise BundleError(f"weights must be a file; {file} is a folder")


def file_of(path: Path) -> Path:
    """Return the file that holds the tensors: the file itself, or that of a folder.

    Raises:
        BundleError: for a folder without one.
    """
    if not path.is_dir():
        return path
    for name in _IN_FOLDER:
        if (path / name).is_file():
            return path / name
    raise BundleError(
        f"a folder of weights must have one of {', '.join(_IN_FOLDER)}; {path} has none"
    )
