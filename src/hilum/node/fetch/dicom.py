"""Films from an archive by C-FIND and C-GET or C-MOVE, encoded as the archive sends them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context, build_role

from hilum.files.address import address_taken
from hilum.node.arrival import Arrival, film_head
from hilum.node.calls import PeerError, associate, entity_for
from hilum.node.contexts import FILM_CLASSES, SYNTAXES
from hilum.node.fetch.folder import FilmFolder, WrongFilmError
from hilum.node.fetch.source import FoundSeries, SourceRefusedError, SourceUnreachableError
from hilum.node.fetch.wanted import KeyKind, StudyKey, StudyQuery
from hilum.node.guards import GuardedServer
from hilum.node.peers import DicomSource
from hilum.node.settings import DicomListener, NodeSettings

__all__ = ["DicomFilmSource"]

FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
"""Study Root Query/Retrieve: the information models of C-FIND, C-MOVE and C-GET."""
_SUCCESS, _SOME_FAILED = 0x0000, 0xB000
_PENDING = (0xFF00, 0xFF01)
_OUT_OF_RESOURCES, _DOES_NOT_MATCH = 0xA700, 0xA900
_MOST_SERIES = 500
_ANSWERS = 1000
"""Answers that are read for one key; more come from an archive that does not look at the key."""
ANOTHER = "Stop the node, or give the source an address of its own with move_to"


class DicomFilmSource:
    """An archive that is queried by C-FIND.

    Args:
        source: the peer.
        settings: titles, and the kinds of films that are taken.
        folder: where films of a C-MOVE arrive.

    Raises:
        UsageError: when the address that films are to be moved to cannot be listened on.
    """

    def __init__(self, source: DicomSource, settings: NodeSettings, folder: FilmFolder) -> None:
        self._source = source
        self._folder = folder
        self._classes = [FILM_CLASSES[word] for word in settings.accept.sop_classes]
        listener = _listener(source, settings)
        self._title = listener.ae_title
        self._entity = entity_for(source.timeout_s, listener.ae_title)
        self._server: GuardedServer | None = None
        if source.method == "cmove":
            self._server = self._listen(listener)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop()

    def studies(self, key: StudyKey) -> list[str]:
        """Return the UIDs of the studies that a key names; answers that do not match are left."""
        wanted = Dataset()
        names = {
            KeyKind.STUDY: "StudyInstanceUID",
            KeyKind.QUERY: "StudyInstanceUID",
            KeyKind.ACCESSION: "AccessionNumber",
        }
        fields = {names.get(key.kind, "PatientID"): key.value}
        if key.day:
            fields["StudyDate"] = key.day
        for name, value in {"StudyInstanceUID": "", **fields}.items():
            setattr(wanted, name, value)
        found = self._find("STUDY", wanted, _ANSWERS)
        return _unique(one for one in found if _matches(one, fields))

    def search(self, query: StudyQuery) -> list[str]:
        """Return the UIDs of the studies that a query finds, one more than it allows at most."""
        uids: list[str] = []
        for modality in query.modalities:
            wanted = Dataset()
            wanted.StudyInstanceUID, wanted.StudyDate = "", query.days
            wanted.ModalitiesInStudy = modality
            uids += _unique(self._find("STUDY", wanted, query.at_most + 1))
        return list(dict.fromkeys(uids))[: query.at_most + 1]

    def series(self, study: str) -> list[FoundSeries]:
        """Return the series of a study."""
        wanted = Dataset()
        wanted.StudyInstanceUID, wanted.SeriesInstanceUID = study, ""
        wanted.Modality = wanted.BodyPartExamined = ""
        return [
            FoundSeries(
                str(one.get("SeriesInstanceUID", "")),
                str(one.get("Modality", "") or ""),
                str(one.get("BodyPartExamined", "") or ""),
            )
            for one in self._find("SERIES", wanted, _MOST_SERIES)
            if str(one.get("StudyInstanceUID", study)) == study and one.get("SeriesInstanceUID")
        ]

    def retrieve(self, study: str, series: str, folder: FilmFolder) -> int:
        """Put the films of a series into a folder; return how many did not come or were refused."""
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "SERIES"
        wanted.StudyInstanceUID, wanted.SeriesInstanceUID = study, series
        before = folder.refused
        with self._peer(self._contexts(), folder) as peer:
            if self._server is None:
                answers = peer.send_c_get(wanted, GET)
            else:
                answers = peer.send_c_move(wanted, self._title, MOVE)
            final = _last(answers)
        failed = int(final.get("NumberOfFailedSuboperations", 0) or 0)
        if final.Status not in (_SUCCESS, _SOME_FAILED) and not failed:
            raise SourceRefusedError(f"the retrieval failed with 0x{final.Status:04X}")
        return max(failed, folder.refused - before)

    def _find(self, level: str, wanted: Dataset, most: int) -> list[Dataset]:
        wanted.QueryRetrieveLevel = level
        if not all(str(element.value).isascii() for element in wanted):
            wanted.SpecificCharacterSet = "ISO_IR 192"
        found: list[Dataset] = []
        with self._peer([build_context(FIND)], None) as peer:
            for status, identifier in peer.send_c_find(wanted, FIND):
                code = _status(status)
                if code in _PENDING and identifier is not None:
                    found.append(identifier)
                    if len(found) >= most:
                        peer.abort()  # a cancel need not be obeyed
                        break
                elif code != _SUCCESS:
                    raise SourceRefusedError(f"the search failed with 0x{code:04X}")
        return found

    @contextmanager
    def _peer(
        self, contexts: list[PresentationContext], folder: FilmFolder | None
    ) -> Generator[Association]:
        roles: list[SCP_SCU_RoleSelectionNegotiation] = []
        if folder is not None and self._server is None:
            roles = [build_role(one, scp_role=True) for one in self._classes]
        handlers: list[Any] = [(evt.EVT_C_STORE, self._on_get)]
        try:
            peer = associate(self._entity, self._source, contexts, roles, handlers)
        except PeerError as error:
            raise SourceUnreachableError(str(error)) from None
        try:
            yield peer
        finally:
            if peer.is_established:
                peer.release()

    def _contexts(self) -> list[PresentationContext]:
        """Return a context for each class and syntax, so that no film is encoded anew."""
        if self._server is not None:
            return [build_context(MOVE)]
        films = [build_context(one, syntax) for one in self._classes for syntax in SYNTAXES]
        return [build_context(GET), *films]

    def _on_get(self, event: Any) -> int:
        request = event.request
        data = request.DataSet.getvalue()
        head = film_head(
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
        )
        return self._status_of(lambda: self._folder.keep_bytes((head, data)))

    def _on_move(self, event: Any) -> int:
        arrival = event.request.DataSet
        path = arrival.finish() if isinstance(arrival, Arrival) else None
        return _DOES_NOT_MATCH if path is None else self._status_of(lambda: self._folder.keep(path))

    def _status_of(self, keep: Callable[[], object]) -> int:
        """Keep a film, and return the status that its sender gets."""
        try:
            keep()
        except WrongFilmError:
            return _DOES_NOT_MATCH
        except OSError:
            self._folder.lost()
            return _OUT_OF_RESOURCES
        return _SUCCESS

    def _listen(self, listener: DicomListener) -> GuardedServer:
        entity = entity_for(listener.idle_s, listener.ae_title)
        entity.maximum_pdu_size = listener.max_pdu
        for one in self._classes:
            entity.add_supported_context(one, list(SYNTAXES))
        handlers = [(evt.EVT_C_STORE, self._on_move)]
        try:
            server = GuardedServer(entity, listener, self._folder, handlers, lambda _: None)
        except OSError as error:
            raise address_taken(listener.host, listener.port, ANOTHER, error) from None
        server.start()
        return server


def _listener(source: DicomSource, settings: NodeSettings) -> DicomListener:
    """Return where films of a C-MOVE arrive, and that the archive alone may send them."""
    own = settings.listen.dicom
    if source.move_to is None and (own.calling or source.method == "cget"):
        return own
    place = source.move_to or own
    addresses: set[str] = set()
    try:
        addresses = {str(one[4][0]) for one in socket.getaddrinfo(source.host, None)}
    except OSError:
        addresses = {"127.0.0.1"} if source.host == "localhost" else set()
    return own.model_validate(
        {
            **own.model_dump(),
            "host": place.host,
            "port": place.port,
            "ae_title": place.ae_title,
            "calling": {source.ae_title: sorted(addresses)},
        }
    )


def _matches(found: Dataset, fields: dict[str, str]) -> bool:
    """Return whether an answer has the values that were searched for."""
    return all(str(found.get(name, "") or "").strip() == fields[name] for name in fields)


def _unique(found: Iterator[Dataset] | list[Dataset]) -> list[str]:
    uids = (str(one.get("StudyInstanceUID", "") or "") for one in found)
    return list(dict.fromkeys(uid for uid in uids if uid))


def _last(answers: Iterator[tuple[Dataset, Dataset | None]]) -> Dataset:
    final = Dataset()
    for status, _ in answers:
        final = status
        _status(status)
    if "Status" not in final:
        raise SourceUnreachableError("no answer to the retrieval")
    return final


def _status(status: Dataset) -> int:
    if "Status" not in status:
        raise SourceUnreachableError("no answer in time")
    return int(status.Status)
