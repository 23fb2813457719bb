"""Films of a folder without their identity, one file each, and a row for every input.

The output folder holds nothing that names a patient::

    OUT/
      deidentified.csv     a row for every input, in an order that says nothing
      deidentified.jsonl   the same, as it grew: a run that was stopped goes on from it
      objects/HASH.dcm     the objects
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hilum import __version__
from hilum.batch.export_rows import ExportJournal, ExportRow, write_mapping
from hilum.batch.lanes import lanes_of
from hilum.batch.patients import KEY_BYTES
from hilum.batch.walk import Listed
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError, choice
from hilum.files.atomic import write_atomic
from hilum.files.lock import locked
from hilum.files.rows import write_rows
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.interchange.deidentify.pseudonyms import KeyedSecrets, days_of, name_of, new_uid
from hilum.interchange.deidentify.table import EDITION, Keep
from hilum.reading.deidentified import Exported, ExportOptions, export
from hilum.reading.process import Limits, ReaderProcess
from hilum.report.parts.text import REASONS

__all__ = [
    "OBJECTS",
    "TABLE",
    "ExportRequest",
    "check_places",
    "deidentify_films",
    "options_of",
]

TABLE, JOURNAL, OBJECTS = "deidentified.csv", "deidentified.jsonl", "objects"
_AGAIN = (ReasonCode.TIMEOUT, ReasonCode.DECODER_CRASHED, ReasonCode.READ_FAILED)
"""Codes that may be the machine's fault: such an input is looked at again."""
_FILMS_PER_READER = 32
_WORDS = {
    ReasonCode.BURNED_IN_TEXT: "A line of text stands in the pixels; --clean-pixels blacks it out.",
    ReasonCode.BURNED_IN_ANNOTATION: "The header says that text is burned into the pixels; "
    "--clean-pixels blacks out what is found.",
    ReasonCode.SECONDARY_CAPTURE: "A secondary capture may show a screen with names on it; "
    "--clean-pixels exports it.",
    ReasonCode.FORMAT_NOT_ALLOWED: "The file is not DICOM, or in color; --clean-pixels exports "
    "color.",
    ReasonCode.MODALITY_NOT_SUPPORTED: "The object is not a radiograph, nor a report or a "
    "presentation of one.",
}
"""Reasons in the words of an export; the others are those of a batch."""


@dataclass(frozen=True)
class ExportRequest:
    """How films leave.

    Attributes:
        options: what is kept and cleaned.
        key: of the pseudonyms; 32 bytes or more.
        mapping: where to write which input became which object; None to write it nowhere.
        threads: files read at a time.
        limits: of each file.

    Raises:
        UsageError: for a shorter key.
    """

    options: ExportOptions
    key: bytes = field(repr=False)
    mapping: Path | None = None
    threads: int = 2
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES:
            raise UsageError(
                f"pseudonyms need a key of {KEY_BYTES} bytes or more; got {len(self.key)}. "
                "Name its file with --key"
            )

    @property
    def fingerprint(self) -> str:
        """Options, key and table, which must stay the same when an export is resumed."""
        mark = hashlib.sha256(b"hilum deidentify fingerprint\0" + self.key).hexdigest()[:16]
        words = ",".join(sorted(self.options.kept))
        return f"{__version__} {EDITION} [{words}] {self.options.clean_pixels} {mark}"

    def hashed(self, purpose: str, word: str) -> str:
        """Return a name in place of a path or of a file's hash."""
        text = f"hilum deidentify {purpose}\0{word}".encode("utf-8", "surrogatepass")
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:32]


def options_of(keep: Sequence[str], clean_pixels: bool) -> ExportOptions:
    """Return the options that words name.

    Raises:
        UsageError: for an unknown word, and for dates that are to be kept both as they are and
            shifted.

    >>> options_of(["device,dates"], False).kept
    (<Keep.DATES: 'dates'>, <Keep.DEVICE: 'device'>)
    """
    words = [word.strip() for one in keep for word in one.split(",")]
    kept = {choice(Keep, word, "--keep") for word in words}
    if {Keep.DATES, Keep.DATES_SHIFTED} <= kept:
        raise UsageError("--keep must name dates or dates-shifted, not both")
    return ExportOptions(tuple(one for one in Keep if one in kept), clean_pixels)


def check_places(inputs: Sequence[str], out: Path, mapping: Path | None) -> None:
    """Refuse an output folder among the inputs, and a mapping in the output folder.

    Raises:
        UsageError: naming the two places.
    """
    real = Path(os.path.realpath(out))
    for name in inputs:
        if Path(name).is_dir() and real.is_relative_to(os.path.realpath(name)):
            raise UsageError(
                f"-o must lie outside the films, or its objects would be inputs; {out} lies in "
                f"{name}. Name another folder"
            )
    if mapping is not None and Path(os.path.realpath(mapping)).is_relative_to(real):
        raise UsageError(
            f"--mapping must lie outside the output folder, which is passed on; {mapping} lies in "
            f"{out}. Name another file"
        )


def deidentify_films(
    films: Sequence[Listed],
    out: Path,
    request: ExportRequest,
    advance: Callable[[int, int], None] | None = None,
) -> list[ExportRow]:
    """De-identify films and write the output folder; a bad input never stops the others.

    Args:
        films: the inputs.
        out: the output folder; one that holds an export with the same settings goes on.
        request: how they leave.
        advance: called with (done, total) after each input.

    Returns:
        The rows of these inputs, in their order.

    Raises:
        UsageError: when the folder holds an export with other settings.
        ChildProcessError: when the system does not let a process start.
    """
    with locked(out):
        journal = ExportJournal(out / JOURNAL, request.fingerprint)
        work = _Work(films, out, request, journal)
        rows: list[ExportRow] = []
        for row in work.rows():
            rows.append(row)
            if advance is not None:
                advance(len(rows), len(films))
        everything = sorted(journal.rows.values(), key=lambda row: row.input)
        write_rows(out / TABLE, ExportRow, everything)
        if request.mapping is not None:
            write_mapping(request.mapping, work.mapped)
    return rows


class _Work:
    """One run over some inputs."""

    def __init__(
        self, films: Sequence[Listed], out: Path, request: ExportRequest, journal: ExportJournal
    ) -> None:
        self._films = films
        self._out = out
        self._request = request
        self._journal = journal
        self._secrets = KeyedSecrets(request.key)
        self._written = {
            row.sop_instance_uid: row.object for row in journal.rows.values() if row.file
        }
        self.mapped: list[dict[str, str]] = []

    def rows(self) -> Iterator[ExportRow]:
        """Yield the row of each input, in order; files are read ahead, several at a time."""
        count = max(1, min(self._request.threads, -(-len(self._films) // _FILMS_PER_READER)))
        readers = [
            ReaderProcess(Preprocessing(size=256), GateRules.labeled(), self._request.limits)
            for _ in range(count)
        ]
        waiting: deque[tuple[Listed, Future[ExportRow | Exported]]] = deque()
        with lanes_of(self._read, readers) as begin:
            for film in self._films:
                waiting.append((film, begin(film)))
                if len(waiting) > 2 * count:
                    yield self._finished(*waiting.popleft())
            while waiting:
                yield self._finished(*waiting.popleft())

    def _read(self, film: Listed, reader: ReaderProcess) -> ExportRow | Exported:
        name = self._request.hashed("input", os.path.abspath(film.path))  # noqa: PTH100 (links stay links)
        if film.refusal is not None:
            return _refused(name, "", film.refusal)
        known = self._journal.rows.get(name)
        try:
            if known is not None and self._request.mapping is None:
                sha256 = reader.sha256(film.path)
                if sha256 is not None and self._settled(known, sha256):
                    return known
            exported = export(reader, film.path, self._request.options, self._secrets)
        except FilmError as error:
            return _refused(name, self._object(self._hash(reader, film.path)), error)
        if isinstance(exported, Exported):
            return exported
        return _refused(name, self._object(exported.sha256), exported.error())

    def _hash(self, reader: ReaderProcess, path: Path) -> str | None:
        with suppress(FilmError):
            return reader.sha256(path)
        return None

    def _settled(self, known: ExportRow, sha256: str) -> bool:
        """Return whether an input was finished before, and is still the same."""
        if known.object != self._object(sha256) or known.code in _AGAIN:
            return False
        return not known.file or (self._out / known.file).is_file()

    def _object(self, sha256: str | None) -> str:
        return "" if sha256 is None else self._request.hashed("object", sha256)

    def _finished(self, film: Listed, future: Future[ExportRow | Exported]) -> ExportRow:
        result = future.result()
        row = result if isinstance(result, ExportRow) else self._write(film, result)
        if self._journal.rows.get(row.input) != row:
            self._journal.add(row)
        return row

    def _write(self, film: Listed, exported: Exported) -> ExportRow:
        name = self._request.hashed("input", os.path.abspath(film.path))  # noqa: PTH100
        made = self._object(exported.sha256)
        new = self._new_identity(exported.identity)
        if self._written.setdefault(new["object"], made) != made:
            return ExportRow(
                name,
                made,
                Status.REJECT.value,
                ReasonCode.DUPLICATE_SOP_CONFLICT.value,
                REASONS[ReasonCode.DUPLICATE_SOP_CONFLICT],
            )
        file = f"{OBJECTS}/{made}.dcm"
        write_atomic(self._out / file, exported.data)
        days = days_of(self._secrets, exported.identity["patient"] or exported.identity["study"])
        self.mapped.append(
            {
                "path": str(film.path).encode("utf-8", "backslashreplace").decode(),
                "file": file,
                **{f"{word}_before": exported.identity[word] for word in new},
                **{f"{word}_after": value for word, value in new.items()},
                "days": str(days) if Keep.DATES_SHIFTED in self._request.options.kept else "",
            }
        )
        return ExportRow(
            input=name,
            object=made,
            file=file,
            kind=exported.kind,
            patient=new["patient"],
            study_instance_uid=new["study"],
            sop_instance_uid=new["object"],
            boxes=exported.boxes,
        )

    def _new_identity(self, identity: dict[str, str]) -> dict[str, str]:
        kept = Keep.UIDS in self._request.options.kept

        def uid(word: str) -> str:
            return word if kept or not word else new_uid(self._secrets, word)

        return {
            **{
                word: name_of(self._secrets, identity[word]) if identity[word] else ""
                for word in ("patient", "accession")
            },
            **{word: uid(identity[word]) for word in ("study", "series", "object")},
        }


def _refused(name: str, made: str, error: FilmError) -> ExportRow:
    """Return the row of an input that does not leave; the error's own words may quote a header."""
    words = _WORDS.get(error.code, REASONS[error.code])
    return ExportRow(name, made, error.status.value, error.code.value, words)
