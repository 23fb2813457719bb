"""Films by STOW-RS: parts to the disk as they come, then each taken as one by C-STORE is.

Nothing is kept of a request that does not come whole: its parts arrive beside the spool's films,
and are taken when the last byte has come. The answer names each object (PS3.18, 10.5.3).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from hilum.imaging.dicom.identifiers import Identifiers
from hilum.node.arrival import Arrival, film_head
from hilum.node.contexts import FILM_CLASSES, IGNORED_CLASSES, SYNTAXES
from hilum.node.dicomweb.parts import DICOM, MultipartError, PartReader, PartSink, boundary_of
from hilum.node.dicomweb.tokens import SenderTokens
from hilum.node.intake import (
    CLASS_NOT_SUPPORTED,
    SUCCESS,
    SYNTAX_NOT_SUPPORTED,
    Intake,
    RefusedObjectError,
)
from hilum.node.part10 import LONGEST_HEAD, FileHead, file_head
from hilum.node.settings import NodeSettings, WebListener
from hilum.web.problems import PROBLEM_TYPE, ServiceError, problem_body
from hilum.web.rates import RateLimit
from hilum.web.server import BackgroundServer
from hilum.web.settings import (
    GuardRules,
    ListenAddress,
    RequestLimits,
    ServerCertificate,
    names_of,
)

__all__ = ["STUDIES", "FilmReceiver", "film_server"]

STUDIES = "/dicom-web/studies"
_JSON = "application/dicom+json"
_MOST_PARTS = 1000
_WRONG_TOKENS = 10
"""Wrong tokens in a minute from one address."""
_LIMITS = RequestLimits(
    json_bytes=4096, body_s=3600.0, requests=32, requests_per_address=16, connections=128
)


def film_server(settings: NodeSettings, listener: WebListener, intake: Intake) -> BackgroundServer:
    """Return a server that takes films.

    Raises:
        UsageError: for tokens that cannot be used, or an address that is not free.
    """
    receiver = FilmReceiver(settings, intake, SenderTokens(listener.tokens))
    rules = GuardRules(
        hosts=names_of(listener.host, listener.names),
        limits=_LIMITS,
        names_option="listen.dicomweb.names",
        marked=False,
        secure=listener.tls is not None,
        larger={("POST", STUDIES): listener.max_request_mb * 10**6},
    )
    tls = listener.tls
    certificate = None if tls is None else ServerCertificate(tls.certificate, tls.key)
    remedy = "Give another with listen.dicomweb"
    address = ListenAddress(listener.host, listener.port, certificate, remedy)
    return BackgroundServer(receiver.application(), rules, address)


class FilmReceiver:
    """Takes films by STOW-RS.

    Args:
        settings: of the node.
        intake: takes each object.
        tokens: of those who may send.
    """

    def __init__(self, settings: NodeSettings, intake: Intake, tokens: SenderTokens) -> None:
        self._most = settings.listen.dicom.max_object_mb * 10**6
        self._intake = intake
        self._tokens = tokens
        self._wrong = RateLimit(_WRONG_TOKENS)
        films = [FILM_CLASSES[word] for word in settings.accept.sop_classes]
        self._classes = frozenset(map(str, (*films, *IGNORED_CLASSES)))

    def application(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[Route(STUDIES, self._store, methods=["POST"])],
            exception_handlers={ServiceError: _problem},
        )

    async def _store(self, request: Request) -> Response:
        self._admit(request)
        boundary = boundary_of(request.headers.get("content-type", ""))
        if boundary is None:
            raise ServiceError(
                415,
                "NOT_MULTIPART",
                'films must come as multipart/related; type="application/dicom", with a boundary',
            )
        upload = _Upload(self._intake, self._most)
        try:
            reader = PartReader(boundary, upload.begin)
            async for piece in request.stream():
                await run_sync(reader.feed, piece)
            reader.finish()
            answer = await run_sync(self._enter, upload.films)
        except MultipartError as error:
            raise ServiceError(400, "PARTS_BROKEN", str(error)) from None
        except ClientDisconnect:
            raise ServiceError(400, "PARTS_BROKEN", "the sender went away") from None
        finally:
            await run_sync(upload.discard)
        return answer

    def _admit(self, request: Request) -> None:
        """Refuse a request without a token that is known.

        Raises:
            ServiceError: 401; 429 for too many wrong ones.
        """
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        secret = secret.strip()
        if kind.lower() == "bearer" and secret and self._tokens.knows(secret):
            return
        if secret:
            wait = self._wrong.wait_s(request.client.host if request.client else "")
            if wait:
                headers = {"Retry-After": str(wait)}
                raise ServiceError(429, "TOO_MANY_WRONG_TOKENS", "wait before another try", headers)
        raise ServiceError(
            401,
            "TOKEN_UNKNOWN" if secret else "TOKEN_MISSING",
            "a request must carry a token (Authorization: Bearer ...); see `hilum node token`",
            {"WWW-Authenticate": "Bearer"},
        )

    def _enter(self, films: Sequence[_FilmPart]) -> Response:
        """Take the films of a request, and return what it is answered with."""
        if not films:
            raise ServiceError(400, "PARTS_BROKEN", "a request must have a film")
        stored: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for film in films:
            head, arrival = film.whole()
            status = self._one(head, arrival)
            item = {
                "00081150": {"vr": "UI", "Value": [head.sop_class]},
                "00081155": {"vr": "UI", "Value": [head.sop_instance]},
            }
            if status == SUCCESS:
                stored.append(item)
            else:
                failed.append({**item, "00081197": {"vr": "US", "Value": [status]}})
        found = {"00081199": stored, "00081198": failed}
        tree = {tag: {"vr": "SQ", "Value": items} for tag, items in found.items() if items}
        number = 200 if not failed else 202 if stored else 409
        return Response(json.dumps(tree), number, media_type=_JSON)

    def _one(self, head: FileHead, arrival: Arrival) -> int:
        stated = Identifiers(sop_class=head.sop_class, sop_instance=head.sop_instance)
        refusal = None
        if head.sop_class not in self._classes:
            refusal = RefusedObjectError(CLASS_NOT_SUPPORTED, "CLASS_NOT_ACCEPTED")
        elif head.syntax not in SYNTAXES:
            refusal = RefusedObjectError(SYNTAX_NOT_SUPPORTED, "SYNTAX_NOT_ACCEPTED")
        if refusal is not None:
            return self._intake.refuse(arrival, stated, head.syntax, refusal)
        return self._intake.take(arrival, stated, head.syntax)


class _Upload:
    """The parts of one request, on the disk and not taken yet."""

    def __init__(self, intake: Intake, most: int) -> None:
        self._intake = intake
        self._most = most
        self.films: list[_FilmPart] = []

    def begin(self, kind: str) -> PartSink:
        """Return what takes the bytes of a part.

        Raises:
            ServiceError: 415 for a part that is not a DICOM file; 413 for one too many.
        """
        if kind not in (DICOM, ""):
            raise ServiceError(415, "PART_NOT_DICOM", f"each part must be {DICOM}")
        if len(self.films) >= _MOST_PARTS:
            raise ServiceError(
                413, "TOO_MANY_PARTS", f"a request may have at most {_MOST_PARTS} films"
            )
        film = _FilmPart(self._intake, self._most)
        self.films.append(film)
        return film

    def discard(self) -> None:
        """Remove what was not taken."""
        for film in self.films:
            film.discard()


class _FilmPart:
    """A film that arrives as a file: its head is read, and what follows is taken as it comes."""

    def __init__(self, intake: Intake, most: int) -> None:
        self._intake = intake
        self._most = most
        self._start = bytearray()
        self._head: FileHead | None = None
        self._arrival: Arrival | None = None
        self._large = False

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            ServiceError: 413 for too many; 400 for what is not a DICOM file.
        """
        if self._arrival is not None:
            self._arrival.write(data)
        else:
            self._start += data
            self._begin()
        if self._large:
            raise ServiceError(
                413, "BODY_TOO_LARGE", f"a film must have at most {self._most:,} bytes"
            )

    def end(self) -> None:
        """Take notice that the part is whole.

        Raises:
            ServiceError: 400 for what is not a DICOM file.
        """
        if self._arrival is None:
            raise _not_dicom()

    def whole(self) -> tuple[FileHead, Arrival]:
        """Return the film."""
        if self._head is None or self._arrival is None:
            raise _not_dicom()
        return self._head, self._arrival

    def discard(self) -> None:
        """Remove what has come."""
        if self._arrival is not None:
            self._arrival.discard()

    def _begin(self) -> None:
        head = file_head(bytes(self._start[:LONGEST_HEAD]))
        if head is None:
            if len(self._start) >= LONGEST_HEAD:
                raise _not_dicom()
            return

        def own_head() -> bytes:
            return film_head(head.sop_class, head.sop_instance, head.syntax)

        self._head = head
        self._arrival = Arrival(self._most, self._intake.spool, own_head, self._overflow)
        rest = bytes(self._start[head.start :])
        self._start.clear()
        if rest:
            self._arrival.write(rest)

    def _overflow(self) -> None:
        self._large = True


def _not_dicom() -> ServiceError:
    return ServiceError(400, "PART_BROKEN", "each part must be a DICOM file, whole")


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return Response(problem_body(error), error.status, error.headers, media_type=PROBLEM_TYPE)
