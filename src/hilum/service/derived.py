"""Pictures that are derived from a film's bytes: preview, pixels, maps and overlays."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hilum.batch.score import FilmScoring
from hilum.bundle.analysis import Analysis, ScreenedFilm
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.explain.caption import Caption
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.film import Reading
from hilum.reading.picture import Picture
from hilum.reading.process import Limits, ReaderProcess
from hilum.reading.requests import pixels_request
from hilum.service.objects import FilmObjects
from hilum.service.store.films import FilmRow

__all__ = ["DerivedPictures", "framed", "maps_kind", "maps_of"]

_NOT_DECODED = frozenset(
    {
        *(ReasonCode.FORMAT_NOT_ALLOWED, ReasonCode.MULTI_FRAME),
        *(ReasonCode.DECODE_LIMIT, ReasonCode.DIMENSIONS_EXCEED_LIMIT),
    }
)
"""Reasons to reject a file before there is a picture of it."""
_ALIGNED = 4
"""Data of a frame begin at a multiple of these bytes, so that a page can view them as floats."""


def framed(head: Mapping[str, Any], data: bytes) -> bytes:
    r"""Return data behind a small JSON head.

    Four bytes with the length of the head (little-endian), the head as JSON in ASCII, padded with
    blanks so that the data begin at a multiple of 4 bytes, and the data.

    >>> framed({"a": 1}, b"xy")
    b'\x08\x00\x00\x00{"a":1} xy'
    """
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNED)
    return struct.pack("<I", len(text)) + text + data


def maps_kind(bundle: str) -> str:
    """Return the word for a film's maps of one bundle, among what is derived from it."""
    return f"maps-{bundle}"


def maps_of(
    film: str, bundle: str, analysis: Analysis, shape: tuple[int, int], way: Preprocessing
) -> bytes:
    """Return the frame with the heatmaps of all findings, on the network's own grid.

    `film_to_grid` holds (scale, offset) of columns, then of rows: cell = scale * pixel + offset,
    both counted from the left, or upper, edge of the first. What lies outside the film is in the
    grid too. Values are >= 0, and maps of two findings share one scale.
    """
    place = way.placement(shape)
    rows, columns = analysis.maps.shape[1:]
    head = {
        "format": "hilum-maps-1",
        "film": film,
        "bundle": bundle,
        "findings": list(analysis.labels),
        "rows": rows,
        "columns": columns,
        "type": "float32le",
        "film_rows": shape[0],
        "film_columns": shape[1],
        "film_to_grid": [
            [place.width * columns / (shape[1] * way.size), place.left * columns / way.size],
            [place.height * rows / (shape[0] * way.size), place.top * rows / way.size],
        ],
        "peaks": [float(one.max()) for one in analysis.maps],
    }
    return framed(head, np.ascontiguousarray(analysis.maps, "<f4").tobytes())


class DerivedPictures:
    """Pictures of films whose bytes the store keeps.

    One confined reader makes them when they are first requested, beside those that score, so that
    looking at a film does not wait for the queue.

    Args:
        objects: the store's files.
        scoring: bundle and options.
    """

    def __init__(self, objects: FilmObjects, scoring: FilmScoring) -> None:
        self._objects = objects
        self._scoring = scoring
        manifest = scoring.bundle.manifest
        limits: Limits = scoring.request.limits
        self._reader = ReaderProcess(manifest.preprocessing, manifest.gate, limits)
        self._lock = threading.Lock()

    def offers(self, film: FilmRow) -> Mapping[str, bool]:
        """Return which of `preview`, `pixels` and `maps` a film can have."""
        facts = film.facts
        looked_at = facts.get("status") == Status.REJECT
        decoded = looked_at and not _NOT_DECODED & set(facts.get("codes", ()))
        scored = film.scored
        seen = scored or decoded
        return {"preview": seen, "pixels": seen, "maps": scored}

    def overlays(self, film: FilmRow) -> tuple[str, ...]:
        """Return the findings whose overlay can be requested: all of a scored film."""
        return tuple(self._scoring.bundle.labels) if film.scored else ()

    def layers(self, film: FilmRow) -> tuple[str, ...]:
        """Return nothing: a page that has the pixels takes the maps of `maps`."""
        del film
        return ()

    def layer(self, film: FilmRow, finding: str) -> bytes | None:
        """Return None, for the same reason."""
        del film, finding

    def preview(self, film: FilmRow) -> bytes | None:
        """Return a small JPEG of the film."""
        return self._cached(film, "preview.jpg")

    def pixels(self, film: FilmRow) -> bytes | None:
        """Return the grays of the film, deflated, behind their head."""
        return self._cached(film, "pixels")

    def maps(self, film: FilmRow) -> bytes | None:
        """Return the maps of the bundle whose result the film has."""
        if not film.scored:
            return None
        return self._cached(film, maps_kind(film.bundle))

    def overlay(self, film: FilmRow, finding: str) -> bytes | None:
        """Return a PNG of the film with one finding's map."""
        if not film.scored or finding not in self._scoring.bundle.labels:
            return None
        number = self._scoring.bundle.labels.index(finding)
        return self._cached(film, f"overlay-{film.bundle}-{number}.png")

    def close(self) -> None:
        """End the reader."""
        self._reader.stop()
        with self._lock:
            self._reader.close()

    def _cached(self, film: FilmRow, kind: str) -> bytes | None:
        path = self._objects.derived(film.id, kind)
        if (data := _bytes_of(path)) is not None:
            return data
        with self._lock:
            if (data := _bytes_of(path)) is None:
                try:
                    self._make(film, kind)
                except FilmError:  # it ended its reader, or has no picture
                    return None
                data = _bytes_of(path)
        return data

    def _make(self, film: FilmRow, kind: str) -> None:
        """Read the film once, and keep what is requested of it; its preview comes along."""
        if film.sha256 is None:
            return
        path = self._objects.lend(film.sha256, film.id, film.suffix)
        try:
            read = self._reader.read(path, with_preview=True)
            if read.preview is not None:
                self._objects.derive(film.id, "preview.jpg", read.preview)
            if kind == "pixels":
                pixels = self._reader.ask(pixels_request())
                head = {"format": "hilum-pixels-1", "film": film.id, "type": "deflate"}
                facts = pixels.facts.model_dump(mode="json")
                data = framed({**head, **facts}, pixels.deflated)
                self._objects.derive(film.id, "pixels", data)
            elif isinstance(read, Reading) and kind.startswith(("maps-", "overlay-")):
                self._explain(film, kind, read)
        finally:
            self._objects.give_back(path)

    def _explain(self, film: FilmRow, kind: str, read: Reading) -> None:
        """Analyze the film again, for its maps."""
        bundle = self._scoring.bundle
        if film.bundle != bundle.id:  # an older bundle's maps cannot be made again
            return
        facts = read.facts
        screened = ScreenedFilm(read.raster, facts.shape, facts.view, facts.codes)
        analysis = bundle.analyze(screened, self._scoring.request.threshold)
        maps = maps_of(film.id, bundle.id, analysis, facts.shape, bundle.manifest.preprocessing)
        self._objects.derive(film.id, maps_kind(bundle.id), maps)
        if kind.startswith("overlay-"):
            name = bundle.labels.findings[int(kind.rpartition("-")[2].removesuffix(".png"))]
            share = analysis.token_shares.get(name)
            caption = Caption.of(name, analysis.findings[name], token_share=share)
            drawn = self._reader.draw(
                Picture(analysis.map_of(name), caption, Style.HOT, False, PictureFormat.PNG)
            )
            self._objects.derive(film.id, kind, drawn)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
