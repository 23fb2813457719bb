"""What a batch gets of a film from a reader: its facts and pixels, or why there is no film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from hilum.domain.errors import ReasonCode
from hilum.domain.radiograph import DicomHeader, Sex, ViewPosition
from hilum.reading.requests import FilmFault, Sha256

__all__ = ["FilmFacts", "Reading", "Refusal"]


class FilmFacts(BaseModel):
    """Facts of a film from a reader; checked, since the film may have taken the reader over."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sha256: Sha256
    shape: tuple[PositiveInt, PositiveInt]
    view: ViewPosition
    codes: tuple[ReasonCode, ...]
    patient_id: str = ""
    """Value in the header: not to be shown before it is made a pseudonym."""
    sop_instance_uid: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    pixels_sha256: str = ""
    """Hash of the stored values, where there is a SOP instance UID."""
    header: DicomHeader | None = Field(default=None, repr=False)
    """The DICOM identity, where it was requested."""


class Refusal(FilmFault):
    """Why a reader has no film to give, with what a batch needs to decide about the file again."""

    sha256: Sha256 | None
    """Hash of the file's bytes; None where there are none, or none that can be read."""
    settled: bool
    """Whether the file was the same after reading as before: a file that is still being copied can
    be cut short when it is read, and complete when it is hashed."""
    sop_instance_uid: str = ""
    pixels_sha256: str = ""
    """The same fact as in `FilmFacts`, for a film that could be read but must not be scored."""
    header: DicomHeader | None = Field(default=None, repr=False)
    """The DICOM identity of a film that could be read, where it was requested."""
    preview: bytes | None = Field(default=None, repr=False)
    """A small JPEG of a film that could be read, where it was requested."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A film that was read and screened.

    Attributes:
        facts: about the film.
        raster: (S, S) uint8 or float32, for the network.
        preview: a small JPEG, where it was requested.
    """

    facts: FilmFacts
    raster: NDArray[Any]
    preview: bytes | None
