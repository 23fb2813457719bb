"""A folder that `hilum predict` wrote, opened for review without its bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import UsageError
from hilum.report.batch.results_jsonl import result_lines
from hilum.report.single_file import read_picture
from hilum.service.store.films import FilmRow, NewFilm, NewResult, StoredFilms
from hilum.service.summaries import summarize

__all__ = ["FolderFacts", "FolderPictures", "load_folder"]

_LOADED = "results.jsonl"
"""Setting with the stamp of the file that was loaded last, and its findings."""


@dataclass(frozen=True)
class FolderFacts:
    """What a folder of results says of its bundle.

    Attributes:
        bundle: its short id.
        thresholds: finding to threshold, in the order of the results.
    """

    bundle: str
    thresholds: dict[str, float | None]


def load_folder(folder: Path, films: StoredFilms) -> FolderFacts:
    """Bring the results of a folder into the store; a second time only if they changed.

    Raises:
        UsageError: for a folder without results, or a line that is not one.
    """
    path = folder / "results.jsonl"
    if not path.is_file():
        raise UsageError(
            f"a folder of results must hold results.jsonl; {folder} has none. Name the folder "
            "that `hilum predict -o` wrote"
        )
    stamp = f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    known = json.loads(films.setting(_LOADED) or "{}")
    if known.get("stamp") == stamp:
        return FolderFacts(known["bundle"], known["thresholds"])
    loaded = _Loaded()
    films.load(_entries(path, loaded))
    facts = FolderFacts(loaded.bundle, loaded.thresholds)
    films.set(_LOADED, json.dumps({"stamp": stamp, **vars(facts)}))
    return facts


class _Loaded:
    """What the lines of a file say beside each film."""

    def __init__(self) -> None:
        self.bundle = ""
        self.thresholds: dict[str, float | None] = {}


def _entries(path: Path, loaded: _Loaded) -> Iterator[tuple[NewFilm, NewResult]]:
    for line, result in result_lines(path):
        loaded.bundle = result.bundle
        if result.findings and not loaded.thresholds:
            found = result.findings.items()
            loaded.thresholds = {name: one.threshold for name, one in found}
        film = NewFilm(
            id=_id(result),
            sha256=result.sha256,
            name=result.image_id,
            suffix="",
            size=0,
            bundle=result.bundle,
            place=result.input,
        )
        yield film, summarize(result, line)


def _id(result: ImageResult) -> str:
    """Return the film's id: of the input and its bytes, so that readings stay with both."""
    text = f"{result.input}\0{result.sha256 or ''}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class FolderPictures:
    """The pictures in a folder of results, as they were drawn.

    Args:
        folder: that `hilum predict` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def offers(self, film: FilmRow) -> Mapping[str, bool]:
        """Return which of `preview`, `pixels` and `maps` a film has."""
        return {"preview": _film_of(film) is not None, "pixels": False, "maps": False}

    def overlays(self, film: FilmRow) -> tuple[str, ...]:
        """Return the findings that were drawn."""
        return tuple(_heatmaps_of(film))

    def layers(self, film: FilmRow) -> tuple[str, ...]:
        """Return the findings whose map was written."""
        return tuple(_maps_of(film))

    def layer(self, film: FilmRow, finding: str) -> bytes | None:
        """Return the PNG of a finding's map."""
        return self._picture(_maps_of(film).get(finding))

    def preview(self, film: FilmRow) -> bytes | None:
        """Return the film's small JPEG."""
        return self._picture(_film_of(film))

    def pixels(self, film: FilmRow) -> bytes | None:
        """Return None: the film itself is not in the folder."""
        del film

    def maps(self, film: FilmRow) -> bytes | None:
        """Return None: the folder holds drawn maps alone."""
        del film

    def overlay(self, film: FilmRow, finding: str) -> bytes | None:
        """Return the picture of a finding's map."""
        return self._picture(_heatmaps_of(film).get(finding))

    def close(self) -> None:
        """Do nothing: pictures are files."""

    def _picture(self, name: str | None) -> bytes | None:
        """Return a picture that hilum wrote, and nothing else that a line may name."""
        return None if name is None else read_picture(self._folder, name)


def _film_of(film: FilmRow) -> str | None:
    return film.facts.get("film")


def _heatmaps_of(film: FilmRow) -> dict[str, str]:
    return film.facts.get("heatmaps", {})


def _maps_of(film: FilmRow) -> dict[str, str]:
    return film.facts.get("maps", {})
