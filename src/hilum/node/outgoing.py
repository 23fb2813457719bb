"""Objects as a destination gets them: as stored, as a class and syntax that it takes, or anonymous.

What is sent again is the same bytes, since each form depends on the object alone.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID, Comprehensive3DSRStorage, ExplicitVRLittleEndian

from hilum.domain.errors import FilmError
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.interchange.parts.modules import file_bytes
from hilum.interchange.parts.report_class import REPORT_CLASSES, change_class
from hilum.node.outbox import Delivery
from hilum.node.peers import Destination, StowDestination
from hilum.node.research import load_research
from hilum.node.spool import Spool, open_private
from hilum.reading.deidentified import export
from hilum.reading.film import Refusal
from hilum.reading.process import ReaderProcess

__all__ = ["Form", "Outgoing", "UnsendableError"]

_FIELDS = ["SOPClassUID", "SOPInstanceUID"]


class UnsendableError(Exception):
    """An object that a destination can be sent in no form; the words say nothing of a patient."""


@dataclass(frozen=True)
class Form:
    """An object as a destination gets it.

    Attributes:
        path: its file.
        sop_class, sop_instance, syntax: UIDs, which may differ from those in the books.
    """

    path: Path
    sop_class: str
    sop_instance: str
    syntax: str


class Outgoing:
    """The forms that one destination gets.

    Args:
        destination: says which.
        spool: with the objects.

    Raises:
        UsageError: for a file of `deidentify`, or a key, that cannot be used.
    """

    def __init__(self, destination: Destination | StowDestination, spool: Spool) -> None:
        self._spool = spool
        self._report = REPORT_CLASSES[destination.sr]
        self._reader: ReaderProcess | None = None
        if destination.deidentify is not None:
            rules = load_research(destination.deidentify)
            self._options, self._secrets = rules.options(), rules.secrets(spool.root)
            self._reader = ReaderProcess(Preprocessing(size=256), GateRules.labeled())

    def close(self) -> None:
        """End the process that reads objects, where there is one."""
        if self._reader is not None:
            self._reader.close()

    def offers(self, one: Delivery) -> list[tuple[str, str]]:
        """Return the (class, syntax) pairs that an object can be sent as, the best first."""
        sop_class = one.sop_class
        if sop_class == Comprehensive3DSRStorage:
            sop_class = str(self._report)
        found = [(sop_class, one.syntax)]
        if UID(one.syntax).is_compressed:
            found.append((sop_class, str(ExplicitVRLittleEndian)))
        return found

    @contextmanager
    def form(self, one: Delivery, accepted: Collection[tuple[str, str]]) -> Generator[Form]:
        """Yield an object as the destination takes it; a file of its own goes at the end.

        Args:
            one: the object.
            accepted: (class, syntax) pairs that the destination takes.

        Raises:
            UnsendableError: where there is none.
        """
        if not set(self.offers(one)) & set(accepted):
            raise UnsendableError("the peer does not take this kind of object")
        stored = self._spool.object(one.sha256)
        made: list[Path] = []
        try:
            path = stored
            if one.sop_class == Comprehensive3DSRStorage != self._report:
                path = self._kept(self._reclassed(path), made)
            if self._reader is not None:
                path = self._kept(self._deidentified(path, self._reader), made)
            form = _form_of(path)
            if (form.sop_class, form.syntax) not in accepted:
                form = _form_of(self._kept(_plain(path), made))
            if (form.sop_class, form.syntax) not in accepted:
                raise UnsendableError("the peer does not take this kind of object")
            yield form
        finally:
            for path in made:
                path.unlink(missing_ok=True)

    def _kept(self, data: bytes, made: list[Path]) -> Path:
        path = self._spool.arriving()
        made.append(path)
        with open_private(path) as file:
            file.write(data)
        return path

    def _reclassed(self, path: Path) -> bytes:
        report = dcmread(path)
        change_class(report, self._report)
        return file_bytes(report)

    def _deidentified(self, path: Path, reader: ReaderProcess) -> bytes:
        """Return the bytes of an object without the patient.

        Raises:
            UnsendableError: with the code of the refusal.
        """
        try:
            found = export(reader, path, self._options, self._secrets)
        except FilmError as error:
            raise UnsendableError(f"not de-identified: {error.code.value}") from None
        if isinstance(found, Refusal):
            raise UnsendableError(f"not de-identified: {found.code.value}")
        return found.data


def _plain(path: Path) -> bytes:
    """Return a picture of hilum's own with pixels that are not compressed; its UID stays."""
    picture = dcmread(path)
    if picture.file_meta.TransferSyntaxUID.is_compressed:
        picture.decompress(generate_instance_uid=False)
    stream = io.BytesIO()
    picture.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _form_of(path: Path) -> Form:
    head = dcmread(path, stop_before_pixels=True, specific_tags=_FIELDS)
    return Form(
        path,
        str(head.SOPClassUID),
        str(head.SOPInstanceUID),
        str(head.file_meta.TransferSyntaxUID),
    )
