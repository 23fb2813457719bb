"""The stored values of a DICOM film: uncompressed, or out of a compressed picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.dicom.codestream import Stated, check_stated, jpeg2000_states, jpeg_states
from hilum.imaging.dicom.dataset import integer, text
from hilum.imaging.dicom.lossless_jpeg import LOSSLESS, decode_lossless
from hilum.imaging.dicom.rle import decode_rle

__all__ = ["check_transfer_syntax", "decode"]

_LOSSLESS_JPEG = (JPEGLossless, JPEGLosslessSV1)
_END_OF_IMAGE = b"\xff\xd9"
_ITEM = b"\xfe\xff\x00\xe0"
_FRAGMENTS_AT_MOST = 10_000
_JPEGS = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)


def check_transfer_syntax(syntax: UID) -> None:
    """Return whether there is a decoder.

    Raises:
        FilmError: `TRANSFER_SYNTAX_NOT_SUPPORTED` (reject), which names the syntax.
    """
    if syntax in _LOSSLESS_JPEG:
        return
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise _unsupported(f"the transfer syntax {syntax.name} ({syntax})")


def decode(dataset: FileDataset) -> NDArray[np.integer]:
    """Return the stored values, with bits above Bits Stored cleared; native byte order.

    A compressed picture's own size is compared with the header and the limits first, since its
    decoder would believe it.

    Returns:
        (H, W) or (H, W, 3) of 8 or 16 bits, signed as the header says.

    Raises:
        FilmError: for pixels that cannot be decoded, or would take too much to be.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        decoded = pixel_array(dataset)
        return np.ascontiguousarray(decoded, decoded.dtype.newbyteorder("="))
    fragments = dataset.PixelData.count(_ITEM)
    if fragments > _FRAGMENTS_AT_MOST:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"a compressed picture may be in at most {_FRAGMENTS_AT_MOST} pieces; this one is in "
            f"{fragments}",
        )
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    rows, columns = integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)
    samples, allocated = (
        integer(dataset, "SamplesPerPixel", 1),
        integer(dataset, "BitsAllocated", 0),
    )
    if syntax == RLELossless:
        planes = decode_rle(frame, rows, columns, samples * (allocated // 8))
        return _in_rgb(_as_stored(_joined(planes, samples), dataset), dataset)
    stated = jpeg_states(frame) if syntax in _JPEGS else jpeg2000_states(frame)
    check_stated(stated, rows, columns, samples, allocated)
    if syntax in JPEGLSTransferSyntaxes and _END_OF_IMAGE not in frame:
        # CharLS goes on reading zeros, for seconds; inside, no coded bits look like this marker.
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_TRUNCATED,
            "the file ends before its picture does: the JPEG-LS has no end; fetch it again",
        )
    if syntax in _LOSSLESS_JPEG:
        return _in_rgb(_as_stored(_lossless(frame, stated), dataset), dataset)
    if syntax == JPEGExtended12Bit and stated.bits > 8:
        raise _unsupported("JPEG Extended of 12 bits (1.2.840.10008.1.2.4.51)")
    return np.ascontiguousarray(pixel_array(dataset))


def _lossless(frame: bytes, stated: Stated) -> NDArray[np.uint16]:
    if stated.process != LOSSLESS:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_CORRUPT,
            "the header says JPEG Lossless, and the compressed picture is another JPEG",
        )
    decoded = decode_lossless(frame, stated)
    return decoded[..., 0] if stated.samples == 1 else decoded


def _joined(planes: NDArray[np.uint8], samples: int) -> NDArray[np.uint16]:
    """Join byte planes, the highest of each sample first, to (H, W) or (H, W, samples)."""
    each = len(planes) // samples
    values = planes[::each].astype(np.uint16)
    if each == 2:
        values = values << np.uint16(8) | planes[1::2]
    return values[0] if samples == 1 else np.moveaxis(values, 0, -1)


def _as_stored(values: NDArray[np.unsignedinteger], dataset: FileDataset) -> NDArray[np.integer]:
    """Convert unsigned values to the header's type; clear or sign-extend the bits above."""
    allocated, stored = integer(dataset, "BitsAllocated", 8), integer(dataset, "BitsStored", 8)
    spare = allocated - stored
    wide = values.astype(f"u{allocated // 8}") << spare
    if integer(dataset, "PixelRepresentation", 0) == 1:
        wide = wide.view(f"i{allocated // 8}")
    return np.ascontiguousarray(wide >> spare)


def _in_rgb(values: NDArray[np.integer], dataset: FileDataset) -> NDArray[np.integer]:
    if text(dataset, "PhotometricInterpretation") != "YBR_FULL":
        return values
    return convert_color_space(values, "YBR_FULL", "RGB")


def _unsupported(what: str) -> FilmError:
    return FilmError(
        Status.REJECT,
        ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED,
        f"no decoder is installed for {what}; convert the film to Explicit VR Little Endian",
    )
