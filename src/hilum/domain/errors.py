"""The errors a user can meet, as one tree.

::

    HilumError
    ├── UsageError        a wrong argument, option, name or configuration        exit 2
    ├── DatasetError      a dataset that is not what its format promises         exit 2
    │   └── LeakError     the same patient, or film, on both sides of a split    exit 2
    ├── BundleError       a bundle or run that is incomplete, edited or foreign  exit 2
    └── FilmError         one film that cannot be scored; carries a ReasonCode   one row

Every message says what must hold, what came, where, and what to do, in one line.
Our own broken invariants are not here: they are ordinary Python errors, and exit 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

__all__ = [
    "BundleError",
    "DatasetError",
    "FilmError",
    "HilumError",
    "LeakError",
    "ReasonCode",
    "Status",
    "UsageError",
    "choice",
    "counted",
    "suggestion",
]

E = TypeVar("E", bound=StrEnum)


class Status(StrEnum):
    """The outcome of one input. Every input ends with exactly one of these."""

    OK = "ok"
    """Scored."""
    WARN = "warn"
    """Scored, with a reason that the reader must see next to the score."""
    REJECT = "reject"
    """Read, but outside what the bundle is meant for; not scored."""
    ERROR = "error"
    """Could not be read; not scored."""
    SKIP = "skip"
    """Not an image at all; not scored."""

    @property
    def scored(self) -> bool:
        """Whether an input of this status carries probabilities.

        >>> Status.WARN.scored, Status.REJECT.scored
        (True, False)
        """
        return self in (Status.OK, Status.WARN)


class ReasonCode(StrEnum):
    """Reasons why an input is not simply `ok`. The words are stable; programs may compare them."""

    # error: could not be read
    EMPTY_FILE = "EMPTY_FILE"
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_AN_IMAGE = "NOT_AN_IMAGE"
    DECODE_TRUNCATED = "DECODE_TRUNCATED"
    DECODE_CORRUPT = "DECODE_CORRUPT"
    PIXEL_LENGTH_MISMATCH = "PIXEL_LENGTH_MISMATCH"
    PALETTE_MISSING = "PALETTE_MISSING"
    CHANGED_WHILE_READING = "CHANGED_WHILE_READING"
    READ_FAILED = "READ_FAILED"
    DICOM_TOO_DEEP = "DICOM_TOO_DEEP"
    DECODER_CRASHED = "DECODER_CRASHED"
    IDENTIFIER_LEFT = "IDENTIFIER_LEFT"
    TIMEOUT = "TIMEOUT"
    # reject: read, but outside the intended use
    FORMAT_NOT_ALLOWED = "FORMAT_NOT_ALLOWED"
    TRANSFER_SYNTAX_NOT_SUPPORTED = "TRANSFER_SYNTAX_NOT_SUPPORTED"
    MODALITY_NOT_SUPPORTED = "MODALITY_NOT_SUPPORTED"
    FOR_PROCESSING = "FOR_PROCESSING"
    NO_PIXEL_DATA = "NO_PIXEL_DATA"
    MULTI_FRAME = "MULTI_FRAME"
    BITS_INVALID = "BITS_INVALID"
    RESCALE_INVALID = "RESCALE_INVALID"
    RANGE_AMBIGUOUS = "RANGE_AMBIGUOUS"
    DIMENSIONS_EXCEED_LIMIT = "DIMENSIONS_EXCEED_LIMIT"
    DECODE_LIMIT = "DECODE_LIMIT"
    TOO_SMALL = "TOO_SMALL"
    CONSTANT_IMAGE = "CONSTANT_IMAGE"
    LOW_DYNAMIC_RANGE = "LOW_DYNAMIC_RANGE"
    NONFINITE_PIXELS = "NONFINITE_PIXELS"
    VIEW_NOT_FRONTAL = "VIEW_NOT_FRONTAL"
    BODY_PART_NOT_CHEST = "BODY_PART_NOT_CHEST"
    AGE_OUT_OF_SCOPE = "AGE_OUT_OF_SCOPE"
    INVERTED_SUSPECTED = "INVERTED_SUSPECTED"
    ORIENTATION_SUSPECTED = "ORIENTATION_SUSPECTED"
    COLLAGE_SUSPECTED = "COLLAGE_SUSPECTED"
    OOD = "OOD"
    DUPLICATE_SOP_CONFLICT = "DUPLICATE_SOP_CONFLICT"
    SYMLINK_OUTSIDE_ROOT = "SYMLINK_OUTSIDE_ROOT"
    # warn: scored all the same
    EXT_MISMATCH = "EXT_MISMATCH"
    NAME_NOT_UTF8 = "NAME_NOT_UTF8"
    RANGE_INFERRED = "RANGE_INFERRED"
    RANGE_UNUSED = "RANGE_UNUSED"
    BITS_MISMATCH = "BITS_MISMATCH"
    COLOR_CONVERTED = "COLOR_CONVERTED"
    COLOR_ANNOTATION = "COLOR_ANNOTATION"
    EXIF_ORIENTATION_APPLIED = "EXIF_ORIENTATION_APPLIED"
    WINDOW_INVALID = "WINDOW_INVALID"
    VOI_LUT_INVALID = "VOI_LUT_INVALID"
    RESCALE_APPLIED = "RESCALE_APPLIED"
    ASPECT_APPLIED = "ASPECT_APPLIED"
    ASPECT_INVALID = "ASPECT_INVALID"
    VIEW_UNKNOWN = "VIEW_UNKNOWN"
    VIEW_CONTRADICTED = "VIEW_CONTRADICTED"
    AGE_UNKNOWN = "AGE_UNKNOWN"
    ONE_SIDE_STATED = "ONE_SIDE_STATED"
    MIRRORED_SUSPECTED = "MIRRORED_SUSPECTED"
    LUNG_FIELD_INCOMPLETE = "LUNG_FIELD_INCOMPLETE"
    CLIPPED_HISTOGRAM = "CLIPPED_HISTOGRAM"
    OOD_SCORE_HIGH = "OOD_SCORE_HIGH"
    SOP_UID_MISSING = "SOP_UID_MISSING"
    SOP_UID_MISMATCH = "SOP_UID_MISMATCH"
    DICOM_NO_PREAMBLE = "DICOM_NO_PREAMBLE"
    PREAMBLE_FOREIGN = "PREAMBLE_FOREIGN"
    HEADER_INCOMPLETE = "HEADER_INCOMPLETE"
    TRANSFER_SYNTAX_MISMATCH = "TRANSFER_SYNTAX_MISMATCH"
    TRAILING_BYTES = "TRAILING_BYTES"
    ALPHA_IGNORED = "ALPHA_IGNORED"
    SECONDARY_CAPTURE = "SECONDARY_CAPTURE"
    BURNED_IN_ANNOTATION = "BURNED_IN_ANNOTATION"
    BURNED_IN_TEXT = "BURNED_IN_TEXT"
    EMPTY_HEATMAP = "EMPTY_HEATMAP"
    HEATMAP_FAILED = "HEATMAP_FAILED"
    # skip: no image to score
    NOT_AN_IMAGE_OBJECT = "NOT_AN_IMAGE_OBJECT"
    DICOMDIR = "DICOMDIR"
    NOT_REGULAR_FILE = "NOT_REGULAR_FILE"
    SYMLINK_LOOP = "SYMLINK_LOOP"


class HilumError(Exception):
    """Any mistake of the user's or fault of an input that hilum reports in one line."""


class UsageError(HilumError):
    """An argument, option, finding name or configuration that cannot be used."""


class DatasetError(HilumError):
    """A dataset, split or predictions table that is not what its format promises."""


class LeakError(DatasetError):
    """The same patient or film stands on both sides of a split."""


class BundleError(HilumError):
    """A bundle or run folder that is incomplete, edited, or not written by hilum."""


class FilmError(HilumError):
    """One film that cannot be scored; the batch writes its row and goes on.

    Args:
        status: `REJECT`, `ERROR` or `SKIP`.
        code: the stable reason.
        message: one sentence for the reader of the report. What it quotes of the film may hold
            anything: characters that cannot be seen become escapes, so that it stays on one line.

    Example:
        >>> raise FilmError(Status.ERROR, ReasonCode.EMPTY_FILE, "the file has 0 bytes")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: the file has 0 bytes
    """

    def __init__(self, status: Status, code: ReasonCode, message: str) -> None:
        message = "".join(
            seen if seen.isprintable() else seen.encode("unicode_escape").decode("ascii")
            for seen in message
        )
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def suggestion(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the end of an error message: the nearest known word, or nothing.

    Args:
        word: as it was written.
        known: words that it may be meant for.
        cutoff: least likeness in [0, 1], as `difflib` measures it.

    >>> suggestion("Efusion", ["Effusion", "Edema"])
    " Did you mean 'Effusion'?"
    >>> suggestion("xyz", ["Effusion"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" Did you mean '{near[0]}'?" if near else ""


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, which is in the plural unless there is one.

    >>> counted(1, "film"), counted(1200, "film"), counted(0, "study"), counted(2, "batch")
    ('1 film', '1,200 films', '0 studies', '2 batches')
    """
    if number == 1:
        return f"1 {noun}"
    stem, end = (noun[:-1], "ies") if noun.endswith("y") else (noun, "s")
    return f"{number:,} {stem}{'es' if noun.endswith('ch') else end}"


def choice(kind: type[E], word: str, argument: str) -> E:
    """Return the member of an enumeration that an argument or option names.

    Raises:
        UsageError: when there is none.

    >>> choice(Status, "okay", "status")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: status must be one of ok, warn, reject, error, skip; got 'okay'.
    Did you mean 'ok'?
    """
    known = [member.value for member in kind]
    if word not in known:
        raise UsageError(
            f"{argument} must be one of {', '.join(known)}; got '{word}'.{suggestion(word, known)}"
        )
    return kind(word)
