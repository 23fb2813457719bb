"""De-identification of a file in a confined process, in two steps, so that it never has the key.

The first request reads the object, looks at its pixels, and answers which words must be hashed; the
second brings the hashes and answers the new file. Both answers are checked like a stranger's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hilum.confined.frames import Frame
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.interchange.deidentify.pseudonyms import Answers, KeyedSecrets, Purpose, Recorder
from hilum.interchange.deidentify.table import Keep
from hilum.reading.film import Refusal
from hilum.reading.process import ReaderProcess
from hilum.reading.requests import FilmFault, Request, Sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import FileDataset

    from hilum.imaging.burned_text import Box
    from hilum.imaging.dicom.pixels import Decoded

__all__ = ["ExportOptions", "Exported", "HeldObject", "export"]

_FILMS = ("CR", "DX", "SC")
_MOST_WORDS = 20_000
_LONGEST_WORD = 1024
_IDENTITY = {
    "patient": "PatientID",
    "accession": "AccessionNumber",
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "object": "SOPInstanceUID",
}


@dataclass(frozen=True)
class ExportOptions:
    """What an export keeps and cleans.

    Attributes:
        kept: options of the standard.
        clean_pixels: black out text instead of refusing the film.
    """

    kept: tuple[Keep, ...] = ()
    clean_pixels: bool = False


_Word = Annotated[str, Field(max_length=_LONGEST_WORD)]


class _Held(BaseModel):
    """Answer to the first request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    kind: Annotated[str, Field(pattern="^[A-Z0-9]{2,4}$")]
    boxes: Annotated[int, Field(ge=0)]
    words: Annotated[tuple[tuple[Purpose, _Word], ...], Field(max_length=_MOST_WORDS)]
    identity: dict[str, _Word]
    """The object's own ids and UIDs; they are written into the mapping alone."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A de-identified object.

    Attributes:
        sha256: of the source file.
        kind: of the object, such as "CR".
        boxes: parts of the picture that were blacked out.
        identity: name to the source's own value: patient, accession, study, series, object.
        data: bytes of the new file.
    """

    sha256: str
    kind: str
    boxes: int
    identity: dict[str, str]
    data: bytes


def export(
    reader: ReaderProcess, path: Path, options: ExportOptions, secrets: KeyedSecrets
) -> Exported | Refusal:
    """De-identify one file, or say why not.

    Args:
        reader: that reads it.
        path: the file.
        options: what is kept and cleaned.
        secrets: of the pseudonyms; the key stays in this process.

    Raises:
        FilmError: `DECODER_CRASHED` or `TIMEOUT` when the file ended the reader.
    """
    held = reader.ask(_hold_request(path, options))
    if isinstance(held, Refusal):
        return held
    digests = [secrets.digest(purpose, word).hex() for purpose, word in held.words]
    try:
        data = reader.ask(_write_request(digests))
    except FilmError as error:
        if error.code in (ReasonCode.DECODER_CRASHED, ReasonCode.TIMEOUT):
            raise
        words = {"status": error.status, "code": error.code, "message": error.message}
        return Refusal.model_validate({**words, "sha256": held.sha256, "settled": True})
    return Exported(held.sha256, held.kind, held.boxes, held.identity, data)


def _hold_request(path: Path, options: ExportOptions) -> Request[_Held | Refusal]:
    def result(answer: Frame) -> _Held | Refusal:
        if "refused" in answer.head:
            return Refusal.model_validate(answer.head["refused"])
        return _Held.model_validate(answer.head)

    head = {
        "do": "hold",
        "path": str(path),
        "kept": list(options.kept),
        "clean": options.clean_pixels,
    }
    return Request(head, result)


def _write_request(digests: Sequence[str]) -> Request[bytes]:
    def result(answer: Frame) -> bytes:
        if "fault" in answer.head:
            raise FilmFault.model_validate(answer.head["fault"]).error()
        (blob,) = answer.blobs
        if blob[:132] != bytes(128) + b"DICM":
            raise ValueError("a file must begin as PS3.10 says, with an empty preamble")
        return bytes(blob)

    return Request({"do": "write", "digests": list(digests)}, result)


class HeldObject:
    """The reader's side: an object whose pixels were looked at, ready to be written.

    Args:
        data: the whole file.
        options: what is kept and cleaned.

    Raises:
        FilmError: for an object that may not leave.
    """

    def __init__(self, data: bytes, options: ExportOptions) -> None:
        from hilum.imaging.dicom.dataset import parse_whole, verbatim
        from hilum.imaging.format import Format, format_of
        from hilum.interchange.deidentify import deidentified, kind_of

        if format_of(data) is not Format.DICOM:
            raise _refused(
                ReasonCode.FORMAT_NOT_ALLOWED,
                "a file must be DICOM; a picture has no header to be de-identified by, and its "
                "name and pixels say what they say",
            )
        self._options = options
        self._source = parse_whole(data)
        self.kind = kind_of(self._source)
        self.boxes = 0
        if self.kind in _FILMS:
            self._look(data)
        elif "PixelData" in self._source:
            raise _refused(ReasonCode.FORMAT_NOT_ALLOWED, "an object without a film has pixels")
        words = Recorder()
        deidentified(self._source, options.kept, words, bool(self.boxes))
        self._words = tuple(words.words)
        self.head: dict[str, Any] = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "kind": self.kind,
            "boxes": self.boxes,
            "words": [(purpose.value, word) for purpose, word in self._words],
            "identity": {
                name: verbatim(self._source, keyword).strip(" \0")[:_LONGEST_WORD]
                for name, keyword in _IDENTITY.items()
            },
        }

    def written(self, digests: Sequence[str]) -> bytes:
        """Return the new file.

        Args:
            digests: of the words in the head, in their order.
        """
        from hilum.interchange.deidentify import deidentified

        known = dict(zip(self._words, map(bytes.fromhex, digests), strict=True))
        return deidentified(self._source, self._options.kept, Answers(known), self._cleaned)

    @property
    def _cleaned(self) -> bool:
        return self._options.clean_pixels and self.kind in _FILMS

    def _look(self, data: bytes) -> None:
        """Refuse a film with text in its pixels, or black the text out."""
        from hilum.imaging.dicom.decode import decoded, shown

        clean = self._options.clean_pixels
        _check_class(self.kind, clean)
        dataset, stored, codes = decoded(data)
        color = stored.values.ndim == 3
        if color and not clean:
            raise _refused(
                ReasonCode.FORMAT_NOT_ALLOWED,
                "a picture in color may be a screen with names on it; --clean-pixels exports it",
            )
        if ReasonCode.BURNED_IN_ANNOTATION in codes and not clean:
            raise _refused(
                ReasonCode.BURNED_IN_ANNOTATION,
                "the header says that text is burned into the pixels; --clean-pixels blacks out "
                "what it finds",
            )
        grays = [_full_range(stored.values)]
        if not color:
            grays.append(shown(dataset, stored)[0])
        if clean:
            self._clean(dataset, stored, grays)
        else:
            _check_text(grays)
            self._keep_pixels(dataset, stored)

    def _clean(
        self, dataset: FileDataset, stored: Decoded, grays: list[NDArray[np.float32]]
    ) -> None:
        from hilum.imaging.burned_text import text_boxes

        boxes = [box for gray in grays for box in text_boxes(gray)]
        values = stored.values.copy()
        black = _black(values, grays[-1])
        for box in boxes:
            values[box.top : box.bottom, box.left : box.right] = black
        _check_text([_full_range(values), *(_blacked(gray, boxes) for gray in grays)])
        self.boxes = len(boxes)
        if boxes:
            self._set_pixels(dataset, values)
        else:
            self._keep_pixels(dataset, stored)

    def _keep_pixels(self, dataset: FileDataset, stored: Decoded) -> None:
        """Keep compressed pixels as they are; of others only what belongs to the picture."""
        if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            order = ">" if self._source.file_meta.TransferSyntaxUID == _BIG_ENDIAN else "<"
            values = stored.values.astype(stored.values.dtype.newbyteorder(order))
            if values.ndim == 3:
                return
            self._source.PixelData = _padded(values.tobytes())

    def _set_pixels(self, dataset: FileDataset, values: NDArray[Any]) -> None:
        """Store pixels without compression."""
        from pydicom.uid import ExplicitVRLittleEndian

        source = self._source
        if source.file_meta.TransferSyntaxUID == _BIG_ENDIAN:
            raise _refused(
                ReasonCode.TRANSFER_SYNTAX_NOT_SUPPORTED,
                "pixels of a big-endian file are not cleaned; convert it to little-endian",
            )
        if source.file_meta.TransferSyntaxUID.is_encapsulated:
            source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if values.ndim == 3:
            source.PhotometricInterpretation, source.PlanarConfiguration = "RGB", 0
        bits = values.dtype.itemsize * 8
        source.BitsAllocated = bits
        source.BitsStored = max(1, min(bits, int(dataset.BitsStored)))
        source.HighBit = source.BitsStored - 1
        source["PixelData"].is_undefined_length = False
        little = values.astype(values.dtype.newbyteorder("<"))
        source.PixelData = _padded(np.ascontiguousarray(little).tobytes())
        source["PixelData"].VR = "OB" if bits == 8 else "OW"
        for keyword in (
            *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
            *("SmallestImagePixelValue", "LargestImagePixelValue"),
        ):
            if keyword in source:
                delattr(source, keyword)


_BIG_ENDIAN = "1.2.840.10008.1.2.2"


def _check_class(kind: str, clean: bool) -> None:
    if kind == "SC" and not clean:
        raise _refused(
            ReasonCode.SECONDARY_CAPTURE,
            "a secondary capture may show a screen with names on it; --clean-pixels exports it",
        )


def _check_text(grays: Sequence[NDArray[np.float32]]) -> None:
    from hilum.imaging.burned_text import has_text

    if any(has_text(gray) for gray in grays):
        raise _refused(
            ReasonCode.BURNED_IN_TEXT,
            "no line of text may stand in the pixels; there is one. Look at it; --clean-pixels "
            "blacks out what it finds",
        )


def _full_range(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored values from the smallest to the largest as grays: a window may hide text."""
    gray = values.astype(np.float32)
    if gray.ndim == 3:
        gray = gray.mean(axis=2)
    low, high = float(gray.min()), float(gray.max())
    return np.asarray((gray - low) / max(high - low, 1.0), np.float32)


def _blacked(gray: NDArray[np.float32], boxes: Sequence[Box]) -> NDArray[np.float32]:
    made = gray.copy()
    for box in boxes:
        made[box.top : box.bottom, box.left : box.right] = 0.0
    return made


def _black(values: NDArray[Any], gray: NDArray[np.float32]) -> Any:
    """Return the stored value of the darkest pixel as shown."""
    if values.ndim == 3:
        return 0
    return values.reshape(-1)[int(np.argmin(gray))]


def _padded(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)


def _refused(code: ReasonCode, message: str) -> FilmError:
    return FilmError(Status.REJECT, code, message)
