"""One film in memory: pixels in a fixed meaning, and the metadata of its header."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode

__all__ = [
    "OLDEST_YEARS",
    "DicomDisplay",
    "DicomHeader",
    "DicomTable",
    "Radiograph",
    "Sex",
    "ViewPosition",
    "words_of",
]


class ViewPosition(StrEnum):
    """Direction of the beam through the patient."""

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

    @classmethod
    @lru_cache(maxsize=1024)  # a table of 200,000 rows has a dozen of these words
    def from_words(cls, text: str) -> ViewPosition:
        """Return the view that words name: the one vocabulary of headers and of all tables.

        Words count in any order, case and punctuation; side, posture and place ("LEFT", "ERECT",
        "BEDSIDE") say nothing of the view. The first of these that is named decides: a special
        view (oblique, decubitus, lordotic, axial, swimmer's, cross-table), lateral, PA or AP,
        frontal. So what names a lateral view is never frontal, and what names none is unknown.

        Args:
            text: such as View Position of a DICOM header, or a cell of a table.

        Example:
            >>> for text in ("LAT L", "AP SUPINE", "pa", "XTABLE LATERAL", "LEFT DECUBITUS", "?"):
            ...     print(ViewPosition.from_words(text))
            LL
            AP
            PA
            other
            other
            unknown
        """
        line = _CROSS_TABLE.sub("XTABLE", " ".join(words_of(text)))
        words = line.split()
        negated = bool(_NOT.intersection(words))
        for view, named in _VIEW_WORDS:
            if any(named.fullmatch(word) for word in words):
                return cls.UNKNOWN if negated else view
        directions = [view for view, named in _DIRECTIONS if named.search(line)]
        frontal = any(_FRONTAL.fullmatch(word) for word in words)
        if negated:
            return cls.OTHER if frontal else cls.UNKNOWN
        if len(directions) == 1:
            return directions[0]
        if directions or frontal:  # "AP/PA" is one of the two
            return cls.FRONTAL
        return {"L": cls.LL, "OTHER": cls.OTHER}.get(line, cls.UNKNOWN)

    @classmethod
    def from_orientation(cls, directions: tuple[str, ...]) -> ViewPosition:
        """Return the view in which rows and columns run so; the main direction is the first letter.

        It tells frontal from lateral and from views along the body, and not PA from AP.

        >>> ViewPosition.from_orientation(("P", "F")), ViewPosition.from_orientation(("L", "F"))
        (<ViewPosition.LL: 'LL'>, <ViewPosition.FRONTAL: 'frontal'>)
        """
        axes = {_AXES.get(direction[:1].upper(), "") for direction in directions}
        planes = {"side foot": cls.FRONTAL, "back foot": cls.LL, "back side": cls.OTHER}
        found = [view for plane, view in planes.items() if set(plane.split()) == axes]
        return found[0] if found and len(directions) == 2 else cls.UNKNOWN


_AXES = {"L": "side", "R": "side", "A": "back", "P": "back", "H": "foot", "F": "foot"}


def words_of(text: str) -> list[str]:
    """Return the words of a text: letters only, upper case, without accents; "A.P." is one word.

    >>> words_of("Tórax a.p._1"), words_of("L LAT")
    (['TORAX', 'AP'], ['L', 'LAT'])
    """
    plain = unicodedata.normalize("NFKD", text)
    folded = "".join(letter for letter in plain if not unicodedata.combining(letter)).upper()
    words: list[str] = []
    single = False
    for word in re.findall(r"[^\W\d_]+", folded):
        if len(word) == 1 and single:
            words[-1] += word
        else:
            words.append(word)
        single = len(word) == 1
    return words


# Terms of View Position (DICOM PS3.3 C.8.1.1), of PS3.16 CID 4010, of MIMIC-CXR's, PadChest's and
# covid-chestxray-dataset's tables, and what technologists type. Special views go first: "AP LLD" is
# a decubitus film. A side may stand at either end: LLAT, LATL, LT LAT, LEFTLATERAL.
_VIEW_WORDS = (
    (
        ViewPosition.OTHER,
        re.compile(
            r"[LR]LD|[LR]LO|[LR][AP]O|OBL.*|.*OBLI[CQ].*|SCHRAG.*|.*DECUB.*|SWIM.*|.*LORDO.*|APIC.*"
            r"|.*AXIAL.*|CORONAL|TANGEN.*|COSTAL.*|RIBS?|NONFRONTAL|XT(?:ABLE|LAT)?|CROSSTABLE"
            r"|.*斜.*"
        ),
    ),
    (
        ViewPosition.LL,
        re.compile(
            r"[LR]L|(?:[LR]T?|LEFT|RIGHT|X|AP|PA|HB)?LAT(?:S|[LR]T?|LEFT|RIGHT|ER.*)?"
            r"|PROFILE?|PERFIL|PROFILO|PROFIEL|SEITL.*|SAGITTAL|.*[侧側].*"
        ),
    ),
)
_POSTURE = "SUPINE|ERECT|UPRIGHT|STANDING|SITTING|SEMI.*|PORT(?:ABLE)?|MOBILE|BED.*|CHEST|VIEW|CXR"
_DIRECTIONS = tuple(
    (view, re.compile(rf"\b(?:{_POSTURE})?{view}(?:{_POSTURE}|HORIZONTAL)?\b|{words}"))
    for view, words in (
        (ViewPosition.PA, "POSTER(?:IOR|O)? ?(?:TO ?|A ?)?ANTER|[后後]前"),
        (ViewPosition.AP, "ANTER(?:IOR|O)? ?(?:TO ?|A ?)?POSTER|前[后後]"),
    )
)
_FRONTAL = re.compile(r"FRONT(?:AL.*)?|FRENTE|FACE|.*正[位面].*")
_CROSS_TABLE = re.compile(r"\b(?:X|CROSS) TABLE\b")
_NOT = frozenset({"NOT", "NON", "NO"})


OLDEST_YEARS = 120.0
"""Largest plausible age; above it the age counts as unknown."""


class Sex(StrEnum):
    """Patient sex as the source recorded it."""

    FEMALE = "F"
    MALE = "M"
    UNKNOWN = "unknown"


@dataclass(frozen=True, repr=False)
class DicomTable:
    """A modality or VOI look-up table of a DICOM header, as it travels between processes.

    Attributes:
        first: the first value mapped.
        bits: of an entry.
        entries: base64 of the entries, 16 bits each, low byte first.
    """

    first: int
    bits: int
    entries: str


@dataclass(frozen=True)
class DicomDisplay:
    """How a DICOM film is to be shown, for a presentation state that must not change it.

    Attributes:
        slope, intercept: of the rescaling; 1 and 0 where there is none.
        modality, voi: look-up tables, where they can be used.
        window: center, width and function, where they can be used.
        inverted: whether the lowest value is shown white.
        signed: whether stored values are signed.
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality: DicomTable | None = None
    voi: DicomTable | None = None
    window: tuple[float, float, str] | None = None
    inverted: bool = False
    signed: bool = False


@dataclass(frozen=True, repr=False)
class DicomHeader:
    """The identity of a DICOM film: what result objects need to be filed with it.

    It names a patient. It is read only where DICOM output is requested, and appears in no `repr`,
    log, journal or message. Text is as in the header, without control characters, clipped; empty
    where the header has none.

    Attributes:
        study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid: the identifiers
            of study, series and object, and the kind of object.
        accession_number: of the order.
        study_id: of the study.
        patient_name, patient_id, issuer_of_patient_id: the patient, PS3.10 component groups kept.
        patient_birth_date: YYYYMMDD.
        patient_sex: M, F or O.
        study_date, study_time: YYYYMMDD, HHMMSS.
        rows, columns: of the stored picture.
        pixel_spacing_mm: (row, column) distance in the patient, else at the detector.
        patient_orientation: directions of rows and columns, such as ("L", "F").
        character_set: Specific Character Set, one word a value.
        patient_age: as stated, such as 057Y.
        referring_physician: a person's name.
        modality, body_part: Modality and Body Part Examined.
        procedure: value, scheme and meaning of the first Procedure Code; () where there is none.
        content_date, content_time: of the picture, else of acquisition, series or study.
        display: how the film is to be shown.

    >>> DicomHeader(patient_name="Doe^Jane")
    DicomHeader(...)
    """

    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    accession_number: str = ""
    study_id: str = ""
    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_time: str = ""
    rows: int = 0
    columns: int = 0
    pixel_spacing_mm: tuple[float, float] | None = None
    patient_orientation: tuple[str, ...] = ()
    character_set: tuple[str, ...] = ()
    patient_age: str = ""
    referring_physician: str = ""
    modality: str = ""
    body_part: str = ""
    procedure: tuple[str, ...] = ()
    content_date: str = ""
    content_time: str = ""
    display: DicomDisplay = field(default_factory=DicomDisplay)

    def __repr__(self) -> str:
        return "DicomHeader(...)"


_BITS_OF_ONE = int(np.float32(1.0).view(np.uint32))


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A film with one meaning for its pixels, whatever file it came from.

    Attributes:
        pixels: (H, W) float32 in [0, 1], row 0 at the top; bright is dense (MONOCHROME2).
        source: the name to show a reader: the file name, never a full path.
        sha256: of the bytes it was read from, hex; empty for a film made in memory.
        view: view position from the header.
        spacing_mm: (row, column) distance of pixel centers, where the header has it.
        age_years: patient age, where known.
        sex: patient sex.
        codes: reasons to warn that were met while reading.
        patient_id: as the header has it, control characters and all; "" where there is none. It
            identifies a person, so it is left out of `repr`.
        orientation: Patient Orientation, the directions in which rows and columns run, such as
            ("L", "F") for an upright frontal film; () where the header has none.
        laterality: "L", "R" or "B", where the header says which side or sides are shown.
        body_part: Body Part Examined in upper case, such as "CHEST".
        sop_instance_uid: the DICOM object's own name, unique in the world where it is well made.
        pixels_sha256: of a DICOM's stored values, as they are before any window or inversion.
        header: the DICOM identity, where it was requested; left out of `repr`.

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
    orientation: tuple[str, ...] = ()
    laterality: str = ""
    body_part: str = ""
    sop_instance_uid: str = ""
    pixels_sha256: str = ""
    header: DicomHeader | None = field(default=None, repr=False)

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
