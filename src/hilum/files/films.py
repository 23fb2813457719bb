"""Films among the files of a folder: known by suffix or first bytes, and found by a foreign name.

Also which folders hold results of hilum, whose pictures are not films.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from hilum.domain.film_names import stem_of

__all__ = [
    "DICOM_FOLDER",
    "FIGURES",
    "RESULT_FOLDERS",
    "FilmFiles",
    "begins_as_film",
    "counts_as_film",
    "film_beside",
    "film_paths",
    "holds_results",
    "is_film",
    "is_object_folder",
    "is_result",
    "suffix_of",
]

RESULT_FOLDERS = ("films", "maps", "overlays")
"""Folders of a batch's results: previews, maps, and films with their maps."""

DICOM_FOLDER = "dicom"
"""Folder of a batch's DICOM objects. Films may lie in a folder of this name too: only what is in a
folder below it that is named by a hash is a result."""
_OF_FILM = re.compile("[0-9a-f]{32}")

FIGURES = {
    "check.png": "check.json",
    "evaluation.png": "evaluation.json",
    "calibration_effect.png": "evaluation.json",
}
"""Figures that hilum draws beside a report, and the report."""

_HEAD = 144
_SURE = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
"""Suffixes that a dataset's films have; the bytes of other files tell."""
_STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"GIF87a", b"GIF89a"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
)
"""First bytes of PNG, JPEG, TIFF, GIF and JPEG 2000."""


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in small letters, with its dot; empty where it has none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of millions is slow)


def begins_as_film(head: bytes) -> bool:
    r"""Return whether the first bytes of a file are those of DICOM or of a picture.

    DICOM is known by `DICM` at byte 128 or, where it has no preamble (ACR-NEMA), by a first
    element of group 2 or 8.

    >>> begins_as_film(bytes(128) + b"DICM"), begins_as_film(b"\x89PNG\r\n\x1a\n")
    (True, True)
    """
    if head[128:132] == b"DICM" or head.startswith(_STARTS):
        return True
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return True
    return len(head) > 8 and head[:2] in (b"\2\0", b"\x08\0") and head[3] == 0 and _element(head)


def _element(head: bytes) -> bool:
    """Return whether an element of DICOM begins here: with a VR, or a length that is short."""
    length = int.from_bytes(head[4:8], "little")
    return (head[4:6].isalpha() and head[4:6].isupper()) or length <= 64


def is_film(path: str | Path) -> bool:
    """Return whether a file begins as a film.

    Raises:
        OSError: when it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of millions is slow)
        return begins_as_film(file.read(_HEAD))


def holds_results(folder: str | Path) -> bool:
    """Return whether a folder holds results of hilum: the journal or the table of a batch."""
    return any(
        _begins(os.path.join(folder, name), mark)  # noqa: PTH118
        for name, mark in (("journal.jsonl", b'"bundle":'), ("results.jsonl", b'"image_id":'))
    )


def _begins(path: str, mark: bytes) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(4096)
    except OSError:
        return False
    return b'"schema_version"' in head and mark in head


def is_result(path: Path) -> bool:
    """Return whether hilum wrote a picture: in the folders of a batch, or a figure of a report."""
    folder = path.parent
    if folder.name in RESULT_FOLDERS:
        return holds_results(folder.parent)
    if is_object_folder(folder):
        return True
    return path.name in FIGURES and _begins(str(folder / FIGURES[path.name]), b'"hilum"')


def is_object_folder(folder: Path) -> bool:
    """Return whether a folder holds the DICOM objects that a batch made of one film."""
    above = folder.parent
    if above.name != DICOM_FOLDER or not _OF_FILM.fullmatch(folder.name):
        return False
    return holds_results(above.parent)


def film_paths(root: Path) -> Iterator[Path]:
    """Yield the films below a folder, in order of their folders and names.

    Files count by suffix, others by their first bytes. Hidden files do not count, nor what macOS
    leaves beside each file on a foreign disk (`._film.png`), nor pictures that hilum wrote.
    """
    for folder, folders, names in os.walk(root):
        if not set(folders).isdisjoint(RESULT_FOLDERS) and holds_results(folder):
            folders[:] = [name for name in folders if name not in RESULT_FOLDERS]
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if counts_as_film(path):
                yield path


def counts_as_film(path: Path) -> bool:
    """Return whether a file of a dataset's folder is a film, by suffix or else by its bytes."""
    if path.name.startswith(".") or is_result(path):
        return False
    if suffix_of(path.name) in _SURE:
        return True
    try:
        return path.is_file() and is_film(path)
    except OSError:
        return False


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class FilmFiles(Mapping[str, Path]):
    """Films on disk by name, found under other suffixes and capitals as well.

    `films[name]` is the film of exactly that name; `find` also takes `A_1.PNG` or `a_1.jpg` for
    `a_1.png`, where one film alone is so called.

    >>> films = FilmFiles({"a_1.PNG": Path("images/a_1.PNG")})
    >>> films.find("a_1.png"), films.find("b.png"), "a_1.png" in films
    (PosixPath('images/a_1.PNG'), None, False)
    """

    def __init__(self, films: Mapping[str, Path]) -> None:
        self._films = dict(films)
        self._keys: tuple[Callable[[str], str], ...] = (
            stem_of,
            _alike,
            lambda name: _alike(stem_of(name)),
        )
        self._found: list[dict[str, Path | None]] = []

    def __getitem__(self, name: str) -> Path:
        return self._films[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._films)

    def __len__(self) -> int:
        return len(self._films)

    def find(self, name: str) -> Path | None:
        """Return the film of a name; None where there is none, or more than one fits."""
        path = self._films.get(name)
        if path is not None or not self._films:
            return path
        name = name.replace("\\", "/").rpartition("/")[2]
        path = self._films.get(name)
        if path is not None:
            return path
        if not self._found:
            self._found = [_by(key, self._films) for key in self._keys]
        for key, found in zip(self._keys, self._found, strict=True):
            if (word := key(name)) in found:
                return found[word]
        return None


def _by(key: Callable[[str], str], films: Mapping[str, Path]) -> dict[str, Path | None]:
    """Map a key of each name to its film; to None where several have it."""
    found: dict[str, Path | None] = {}
    for name, path in films.items():
        word = key(name)
        found[word] = None if word in found else path
    return found


def film_beside(path: Path) -> Path | None:
    """Return the film at a path, or one beside it whose name differs in suffix or capitals alone.

    None where there is none, or more than one fits.
    """
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a cell may hold what no file can be called
        return None
    if "\\" in path.name:  # folders of Windows: the caller's to read
        return None
    try:
        modified = path.parent.stat().st_mtime_ns
        return _folder(str(path.parent), modified).find(path.name)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _folder(folder: str, modified_ns: int) -> FilmFiles:
    """Return the files of a folder as it was at a time; read once for all absent films."""
    del modified_ns
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return FilmFiles({name: Path(folder, name) for name in names if not name.startswith(".")})
