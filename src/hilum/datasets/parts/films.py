"""Films of a dataset: found by name in its folders, drawn for examples."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_dicom", "draw_film", "film_index", "is_synthetic"]


def film_index(folders: Iterable[Path], suffix: str | tuple[str, ...]) -> dict[str, Path]:
    """Map file name to path of the films in some folders; absent folders are skipped.

    Where two folders hold the same name, the first folder's film counts.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.lower().endswith(suffix)]
        # macOS leaves a "._name" beside each file that it copies to a foreign disk
        found |= {
            name: folder / name
            for name in sorted(names)
            if not name.startswith(".") and name not in found
        }
    return found


def is_synthetic(root: Path) -> bool:
    """Return whether the folder declares its films synthetic: it holds a `SYNTHETIC.txt`."""
    return (root / "SYNTHETIC.txt").is_file()


def draw_film(path: Path, shade: int) -> None:
    """Write a gray ramp of 64 by 64 px: it stands for a film in `write_example`, no more."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_ramp(shade)).save(path)


def draw_dicom(path: Path, shade: int) -> None:
    """Write the ramp of `draw_film` as a DICOM film."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    film.Modality, film.PhotometricInterpretation = "CR", "MONOCHROME2"
    film.Rows = film.Columns = 64
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.PixelData = _ramp(shade).tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(path, enforce_file_format=True)


def _ramp(shade: int) -> NDArray[np.uint8]:
    return (np.add.outer(np.arange(64), np.arange(64)) + shade).astype(np.uint8)
