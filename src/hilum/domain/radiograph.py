"""One film in memory: pixels in a fixed meaning, and what its header said."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode

__all__ = ["Radiograph", "Sex", "ViewPosition"]


class ViewPosition(StrEnum):
    """How the beam went through the patient."""

    PA = "PA"
    """Frontal, back to front: the standing standard film."""
    AP = "AP"
    """Frontal, front to back: mostly bedside films; the heart looks larger."""
    FRONTAL = "frontal"
    """Frontal, the direction not recorded."""
    LL = "LL"
    """Lateral."""
    OTHER = "other"
    """Neither frontal nor lateral, such as oblique, lordotic or of the ribs."""
    UNKNOWN = "unknown"

    @property
    def frontal(self) -> bool:
        """Whether the view is known to be frontal."""
        return self in (ViewPosition.PA, ViewPosition.AP, ViewPosition.FRONTAL)


class Sex(StrEnum):
    """Patient sex as the source recorded it."""

    FEMALE = "F"
    MALE = "M"
    UNKNOWN = "unknown"


_BITS_OF_ONE = int(np.float32(1.0).view(np.uint32))


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A film with one meaning for its pixels, whatever file it came from.

    Attributes:
        pixels: (H, W) float32 in [0, 1], row 0 at the top; bright is dense (MONOCHROME2).
        source: the name to show a reader: the file name, never a full path.
        sha256: of the bytes it was read from, hex; empty for a film made in memory.
        view: view position from the header.
        spacing_mm: (row, column) distance of pixel centres, where the header has it.
        age_years: patient age, where known.
        sex: patient sex.
        codes: reasons to warn that were met while reading.
        patient_id: as the header has it, control characters and all; "" where there is none. It
            identifies a person, so it is left out of `repr`.
        laterality: "L", "R" or "B", where the header says which side or sides are shown.
        body_part: Body Part Examined in upper case, such as "CHEST".
        sop_instance_uid: the DICOM object's own name, unique in the world where it is well made.
        pixels_sha256: of a DICOM's stored values, as they are before any window or inversion.

    Raises:
        ValueError: for pixels of another shape, type or range.

    Example:
        >>> film = Radiograph(np.zeros((4, 3), np.float32), source="a.png")
        >>> film.shape
        (4, 3)
    """

    pixels: NDArray[np.float32]
    source: str
    sha256: str = ""
    view: ViewPosition = ViewPosition.UNKNOWN
    spacing_mm: tuple[float, float] | None = None
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    codes: tuple[ReasonCode, ...] = ()
    patient_id: str = field(default="", repr=False)
    laterality: str = ""
    body_part: str = ""
    sop_instance_uid: str = ""
    pixels_sha256: str = ""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32 or self.pixels.size == 0:
            raise ValueError(
                "a radiograph's pixels must be a non-empty (H, W) float32 array; "
                f"got {self.pixels.shape} {self.pixels.dtype}"
            )
        # As whole numbers, the bits of 0 to 1 are in order, and those of anything else are larger:
        # one look at each pixel in place of two
        if int(self.pixels.view(np.uint32).max()) <= _BITS_OF_ONE:
            return
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"a radiograph's pixels must lie in [0, 1]; got [{low}, {high}]")

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.pixels.shape
        return int(rows), int(columns)
