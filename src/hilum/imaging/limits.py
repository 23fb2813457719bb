"""Limits on the size of a film, checked on the header before memory is allocated."""

from __future__ import annotations

from hilum.domain.errors import FilmError, ReasonCode, Status

__all__ = [
    "MAX_DECODED_BYTES",
    "MAX_FILE_BYTES",
    "MAX_INFLATED_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MOST_WARNINGS",
    "check_dimensions",
]

MOST_WARNINGS = 20
"""Decoders' warnings of one film that are recorded; a damaged header can give thousands."""
MAX_FILE_BYTES = 512 * 1024**2
"""Largest file, in bytes; the largest uncompressed radiographs are near 40 MB."""
MAX_INFLATED_BYTES = 128 * 1024**2
"""Largest inflated DICOM data set, in bytes: 1.4 MB of one can inflate to 1.5 GB."""
MAX_SIDE = 12_000
"""Largest side in pixels; detectors end near 4,300 and film digitizers near 6,000."""
MAX_PIXELS = 100_000_000
MAX_DECODED_BYTES = 256 * 1024**2
"""Largest size of the decoded pixels in bytes, all channels."""


def check_dimensions(rows: int, columns: int, bytes_a_pixel: int = 1) -> None:
    """Refuse a film whose header states an impossible or dangerous size.

    Args:
        rows: as the header states them.
        columns: as the header states them.
        bytes_a_pixel: of all its channels, once decoded.

    Raises:
        FilmError: (reject) `DIMENSIONS_EXCEED_LIMIT`, or `DECODE_LIMIT` for more memory than a
            film needs; (error) `DECODE_CORRUPT` below 1 px.

    Example:
        >>> check_dimensions(30_000, 30_000)
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: a film may have at most 12000 px a side and 100 megapixels;
        its header says 30000 rows and 30000 columns
    """
    if rows < 1 or columns < 1:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_CORRUPT,
            f"a film has at least 1 x 1 px; its header says {rows} rows and {columns} columns",
        )
    if max(rows, columns) > MAX_SIDE or rows * columns > MAX_PIXELS:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DIMENSIONS_EXCEED_LIMIT,
            f"a film may have at most {MAX_SIDE} px a side and {MAX_PIXELS // 10**6} megapixels; "
            f"its header says {rows} rows and {columns} columns",
        )
    if rows * columns * bytes_a_pixel > MAX_DECODED_BYTES:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"a film's pixels may take at most {MAX_DECODED_BYTES} bytes; {rows} rows of {columns} "
            f"columns of {bytes_a_pixel} bytes are more",
        )
