"""The stored values of a DICOM film: uncompressed, or out of a compressed picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
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

__all__ = ["Decoded", "check_transfer_syntax", "decode", "read_as_native"]

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


@dataclass(frozen=True, eq=False)
class Decoded:
    """The stored values of a film, and the depth that they have.

    Attributes:
        values: (H, W) or (H, W, 3) of 8 or 16 bits, signed as the header says.
        bits: Bits Stored, or those of the compressed picture where that contradicts the header.
        codes: reasons to warn.
    """

    values: NDArray[np.integer]
    bits: int
    codes: tuple[ReasonCode, ...] = ()


def read_as_native(dataset: FileDataset, native_bytes: int) -> tuple[ReasonCode, ...]:
    """Correct the transfer syntax of pixels that are not compressed though the header says so.

    Args:
        dataset: of a file; its syntax becomes Explicit VR Little Endian.
        native_bytes: size of the pixels uncompressed.

    Returns:
        `TRANSFER_SYNTAX_MISMATCH` where it was corrected.

    Raises:
        FilmError: `DECODE_CORRUPT` (error) for pixels that are neither compressed nor of that size.
    """
    syntax, data = dataset.file_meta.TransferSyntaxUID, dataset.PixelData or b""
    if not syntax.is_encapsulated or data.startswith(_ITEM):
        return ()
    if len(data) not in (native_bytes, native_bytes + 1):
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_CORRUPT,
            f"the header says {syntax.name}, and the pixels are not compressed, nor the "
            f"{native_bytes} bytes of a bare picture but {len(data)}. Fetch the file again",
        )
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return (ReasonCode.TRANSFER_SYNTAX_MISMATCH,)


def decode(dataset: FileDataset) -> Decoded:
    """Return the stored values, with bits above Bits Stored cleared; native byte order.

    A compressed picture's own size is compared with the header and the limits first, since its
    decoder would believe it. Its own depth is believed, as the decoder does, where it has fewer
    bits than the header states, or values that the header's do not hold: `BITS_MISMATCH`.

    Raises:
        FilmError: for pixels that cannot be decoded, or would take too much to be.
    """
    syntax, stored = dataset.file_meta.TransferSyntaxUID, integer(dataset, "BitsStored", 8)
    if not syntax.is_encapsulated:
        decoded = pixel_array(dataset)
        native = np.ascontiguousarray(decoded, decoded.dtype.newbyteorder("="))
        return Decoded(native, stored)
    frame = _only_frame(dataset)
    rows, columns = integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)
    samples, allocated = (
        integer(dataset, "SamplesPerPixel", 1),
        integer(dataset, "BitsAllocated", 0),
    )
    if syntax == RLELossless:
        planes = decode_rle(frame, rows, columns, samples * (allocated // 8))
        values = _in_rgb(_as_stored(_joined(planes, samples), dataset), dataset)
        return Decoded(values, stored)
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
        values = _in_rgb(_as_stored(_lossless(frame, stated), dataset), dataset)
    elif syntax == JPEGExtended12Bit and stated.bits > 8:
        raise _unsupported("JPEG Extended of 12 bits (1.2.840.10008.1.2.4.51)")
    else:
        values = np.ascontiguousarray(pixel_array(dataset))
    bits = _true_bits(values, stored, stated.bits)
    return Decoded(values, bits, () if bits == stored else (ReasonCode.BITS_MISMATCH,))


def _true_bits(values: NDArray[np.integer], stored: int, coded: int) -> int:
    """Return the depth of a compressed picture: a padded one may state more bits than it uses."""
    if coded <= stored:
        return coded
    bound = 1 << (stored - 1 if values.dtype.kind == "i" else stored)
    exceeds = int(values.max()) >= bound or int(values.min()) < -bound
    return coded if exceeds else stored


def _only_frame(dataset: FileDataset) -> bytes:
    """Return the one compressed picture, in however many pieces.

    Raises:
        FilmError: `DECODE_LIMIT` (reject) for very many pieces, `MULTI_FRAME` (reject) where
            several start a picture.
    """
    pieces = dataset.PixelData.count(_ITEM)
    if pieces > _FRAGMENTS_AT_MOST:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"a compressed picture may be in at most {_FRAGMENTS_AT_MOST} pieces; this one is in "
            f"{pieces}",
        )
    offsets, *fragments = _items(dataset.PixelData)
    pictures = max(
        len(offsets) // 4,
        len(dataset.get("ExtendedOffsetTable") or b"") // 8,
        sum(_starts_picture(fragment) for fragment in fragments),
        1 + len(_NEXT_PICTURE.findall(dataset.PixelData)),
    )
    if pictures > 1:
        raise FilmError(
            Status.REJECT,
            ReasonCode.MULTI_FRAME,
            f"a film is one picture; this object has {pictures}, though its header does not say so",
        )
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def _items(encapsulated: bytes) -> list[bytes]:
    """Return the offset table and the fragments of encapsulated pixels."""
    items, place = [], 0
    while encapsulated[place : place + 4] == _ITEM and place + 8 <= len(encapsulated):
        size = int.from_bytes(encapsulated[place + 4 : place + 8], "little")
        items.append(encapsulated[place + 8 : place + 8 + size])
        place += 8 + size
    return items or [b""]


def _starts_picture(fragment: bytes) -> bool:
    """Return whether a fragment starts a JPEG, JPEG-LS, JPEG 2000 or RLE picture."""
    if fragment.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):
        return True
    head = np.frombuffer(fragment[:_RLE_HEADER], "<u4")
    if head.size < _RLE_HEADER // 4 or not 1 <= head[0] < head.size:
        return False
    places, rest = head[1 : 1 + head[0]], head[1 + head[0] :]
    return bool(places[0] == _RLE_HEADER and (np.diff(places) > 0).all() and not rest.any())


_RLE_HEADER = 64
_NEXT_PICTURE = re.compile(rb"\xff\xd9\0?\xff(?:\xd8\xff|\x4f\xff\x51)")
"""End of one picture and start of the next in one fragment: coded data holds no such markers."""


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
