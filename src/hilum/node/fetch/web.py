"""Films from an archive by QIDO-RS and WADO-RS, in the transfer syntax in which it keeps them."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from hilum.node.dicomweb.client import (
    DicomwebPeer,
    WebAnswerError,
    WebUnreachableError,
    first_value,
)
from hilum.node.dicomweb.parts import DICOM, PartSink
from hilum.node.fetch.folder import FilmFolder, WrongFilmError
from hilum.node.fetch.source import FoundSeries, SourceRefusedError, SourceUnreachableError
from hilum.node.fetch.wanted import KeyKind, StudyKey, StudyQuery
from hilum.node.peers import WebSource

__all__ = ["WebFilmSource"]

_STUDY, _SERIES = "0020000D", "0020000E"
_PATIENT, _DATE, _ACCESSION = "00100020", "00080020", "00080050"
_MODALITY, _BODY_PART = "00080060", "00180015"
_MOST_SERIES = 500
_ANSWERS = 1000
_UID = re.compile(r"[0-9.]{1,64}")


class WebFilmSource:
    """An archive that is searched by QIDO-RS.

    Args:
        source: the server.

    Raises:
        UsageError: for a token or certificates that cannot be read.
    """

    def __init__(self, source: WebSource) -> None:
        self._peer = DicomwebPeer(source)

    def close(self) -> None:
        """Close the connections."""
        self._peer.close()

    def studies(self, key: StudyKey) -> list[str]:
        """Return the UIDs of the studies that a key names; answers that do not match are left."""
        tags = {
            KeyKind.STUDY: _STUDY,
            KeyKind.QUERY: _STUDY,
            KeyKind.ACCESSION: _ACCESSION,
        }
        fields = {tags.get(key.kind, _PATIENT): key.value}
        if key.day:
            fields[_DATE] = key.day
        found = self._search("/studies", {**fields, "limit": str(_ANSWERS)})
        return _unique(
            one for one in found if all(first_value(one, tag) == fields[tag] for tag in fields)
        )

    def search(self, query: StudyQuery) -> list[str]:
        """Return the UIDs of the studies that a query finds, one more than it allows at most."""
        uids: list[str] = []
        for modality in query.modalities:
            fields = {_DATE: query.days, "ModalitiesInStudy": modality}
            found = self._search("/studies", {**fields, "limit": str(query.at_most + 1)})
            uids += _unique(one for one in found)
        return list(dict.fromkeys(uids))[: query.at_most + 1]

    def series(self, study: str) -> list[FoundSeries]:
        """Return the series of a study."""
        fields = {"includefield": f"{_MODALITY},{_BODY_PART}", "limit": str(_MOST_SERIES)}
        return [
            FoundSeries(
                first_value(one, _SERIES),
                first_value(one, _MODALITY),
                first_value(one, _BODY_PART),
            )
            for one in self._search(f"/studies/{study}/series", fields)
            if _UID.fullmatch(first_value(one, _SERIES))
        ]

    def retrieve(self, study: str, series: str, folder: FilmFolder) -> int:
        """Put the films of a series into a folder; return how many did not come or were refused."""
        before = folder.refused
        parts = _Parts(folder)
        try:
            with _translated():
                self._peer.retrieve(f"/studies/{study}/series/{series}", parts.begin)
        finally:
            parts.discard()
        return folder.refused - before

    def _search(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        with _translated():
            return self._peer.search(path, query)


class _Parts:
    """Parts of an answer, each a film."""

    def __init__(self, folder: FilmFolder) -> None:
        self._folder = folder
        self._film: Any = None

    def begin(self, kind: str) -> PartSink:
        """Return what takes a part; one that is not a DICOM file is left."""
        self._film = self._folder.sink() if kind == DICOM else None
        return self

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._film is not None:
            self._film.write(data)

    def end(self) -> None:
        """Keep the film; one that is not to be kept is counted by the folder."""
        film, self._film = self._film, None
        if film is not None:
            with suppress(WrongFilmError):
                film.end()

    def discard(self) -> None:
        """Remove a film that did not come whole."""
        if self._film is not None:
            self._film.discard()
            self._folder.lost()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except WebUnreachableError as error:
        raise SourceUnreachableError(str(error)) from None
    except WebAnswerError as error:
        raise SourceRefusedError(str(error)) from None


def _unique(found: Any) -> list[str]:
    uids = (first_value(one, _STUDY) for one in found)
    return list(dict.fromkeys(uid for uid in uids if _UID.fullmatch(uid)))
