"""Requests to a reader that reduces a film, and its answers, checked like a stranger's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter

from hilum.confined.frames import Buffer, Frame
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.limits import MOST_WARNINGS
from hilum.imaging.preprocess import THUMBNAIL_SIDE, Preprocessing

__all__ = [
    "FilmFault",
    "FilmPixels",
    "FilmRaster",
    "FilmThumbnail",
    "PixelFacts",
    "Request",
    "Sha256",
    "pixels_request",
    "raster_request",
    "thumbnail_request",
    "warnings_of",
]

T = TypeVar("T")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Request(Generic[T]):
    """One request to a reader.

    Attributes:
        head: the command, `do`, and its arguments.
        result: turns the answer into its value. It raises `FilmError` when the answer says that
            the film cannot be used, and ValueError or IndexError when the answer makes no sense.
        blobs: raw bytes that the command needs.
    """

    head: dict[str, Any]
    result: Callable[[Frame], T]
    blobs: Sequence[Buffer] = ()


def warnings_of(answer: Frame) -> tuple[tuple[str, str], ...]:
    """Take the decoders' warnings out of an answer: the module and class of each.

    Raises:
        ValueError: for anything that is not a short list of names.
    """
    return _WARNED.validate_python(answer.head.pop("warned", ()))


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]*$", max_length=100)]
_WARNED = TypeAdapter[tuple[tuple[str, str], ...]](
    Annotated[tuple[tuple[_Name, _Name], ...], Field(max_length=MOST_WARNINGS)]
)


class FilmFault(BaseModel):
    """Why a film cannot be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal[Status.REJECT, Status.ERROR, Status.SKIP]
    code: ReasonCode
    message: Annotated[str, Field(max_length=2000)]

    def error(self) -> FilmError:
        """Return the fault as an error."""
        return FilmError(self.status, self.code, self.message)


@dataclass(frozen=True, eq=False)
class FilmRaster:
    """A film reduced to the network's square.

    Attributes:
        pixels: (S, S) uint8 or float32, as the preprocessing has it.
        shape: rows and columns of the film itself.
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32]
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FilmThumbnail:
    """A film reduced for comparison with other films.

    Attributes:
        pixels: (256, 256) uint8, see `hilum.imaging.preprocess`.
        sha256: hash of the file's bytes.
        codes: reasons to warn that were found while reading.
    """

    pixels: NDArray[np.uint8]
    sha256: str
    codes: tuple[ReasonCode, ...]


class PixelFacts(BaseModel):
    """Facts of a film's pixels, for whoever shows them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rows: PositiveInt
    columns: PositiveInt
    bits: Literal[8, 16]
    """Bits of each gray, little-endian; 0 is black, and the largest number white."""
    spacing_mm: tuple[float, float] | None = None
    """(row, column) distance of pixel centers, where the header has it."""
    orientation: Annotated[tuple[Annotated[str, Field(max_length=16)], ...], Field(max_length=2)]
    """Directions in which rows and columns run, such as ("L", "F")."""
    laterality: Annotated[str, Field(max_length=16)] = ""


@dataclass(frozen=True, eq=False)
class FilmPixels:
    """The grays of a film, to be shown elsewhere.

    Attributes:
        facts: size, depth and geometry.
        deflated: zlib stream of the grays, row by row.
    """

    facts: PixelFacts
    deflated: bytes


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[PositiveInt, PositiveInt]


class _Identity(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    codes: tuple[ReasonCode, ...]


def raster_request(path: Path, preprocessing: Preprocessing) -> Request[FilmRaster]:
    """Return the request to read and screen a film, and to reduce it to the network's square.

    Args:
        path: the film's file.
        preprocessing: that the reader was started with.
    """

    def result(answer: Frame) -> FilmRaster:
        pixels = _pixels(answer, preprocessing.size, preprocessing.dtype)
        return FilmRaster(pixels, _Shape.model_validate(answer.head).shape)

    return Request({"do": "raster", "path": str(path)}, result)


def pixels_request() -> Request[FilmPixels]:
    """Return the request for the pixels of the film that was read last."""

    def result(answer: Frame) -> FilmPixels:
        (blob,) = answer.blobs
        return FilmPixels(PixelFacts.model_validate(answer.head), bytes(blob))

    return Request({"do": "pixels"}, result)


def thumbnail_request(path: Path) -> Request[FilmThumbnail]:
    """Return the request to read a film, without screening, and to reduce it to a thumbnail."""

    def result(answer: Frame) -> FilmThumbnail:
        pixels = _pixels(answer, THUMBNAIL_SIDE)
        facts = _Identity.model_validate(answer.head)
        return FilmThumbnail(pixels, facts.sha256, facts.codes)

    return Request({"do": "thumbnail", "path": str(path)}, result)


def _pixels(answer: Frame, side: int, dtype: type[Any] = np.uint8) -> NDArray[Any]:
    """Return the one square of an answer; raise its fault where it has one instead."""
    if "fault" in answer.head:
        raise FilmFault.model_validate(answer.head["fault"]).error()
    (blob,) = answer.blobs
    return np.frombuffer(blob, dtype).reshape(side, side)
