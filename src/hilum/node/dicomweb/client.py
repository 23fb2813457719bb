"""Another server by DICOMweb: search, retrieve and store, each with limits and without redirects.

An address comes from the configuration alone. A redirect is not followed, so that a token and a
film go nowhere else; what an answer says of places is not looked at.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum import __version__
from hilum.domain.errors import UsageError
from hilum.node.dicomweb.parts import MultipartError, PartReader, PartSink, boundary_of, joined
from hilum.node.peers import WebPeer

if TYPE_CHECKING:
    import httpx

__all__ = ["DicomwebPeer", "WebAnswerError", "WebUnreachableError", "first_value"]

_JSON = "application/dicom+json"
_FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_LONGEST_ANSWER = 32 * 10**6
"""Bytes of an answer in JSON."""
_LONGEST_TOKEN = 8192
_NO_CONTENT = 204


class WebUnreachableError(Exception):
    """A server that does not answer; the words say nothing of a patient or an address."""


class WebAnswerError(Exception):
    """An answer that is not the one that was wanted.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class DicomwebPeer:
    """A server.

    Args:
        peer: its address and its token.

    Raises:
        UsageError: for a token or certificates that cannot be read.
    """

    def __init__(self, peer: WebPeer) -> None:
        import httpx  # moves the random state, which an import of ours must not

        self._error = httpx.HTTPError
        headers = {"User-Agent": f"hilum/{__version__}"}
        if peer.token_file is not None:
            headers["Authorization"] = f"Bearer {_token(peer.token_file)}"
        self._client = httpx.Client(
            base_url=peer.url,
            headers=headers,
            verify=_trust(peer.ca_file),
            timeout=peer.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def search(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Search (QIDO-RS); return one tree of DICOM JSON for each thing found.

        Args:
            path: such as "/studies".
            query: attribute to value.

        Raises:
            WebUnreachableError: without an answer.
            WebAnswerError: for a different answer.
        """
        with self._answer("GET", path, params=dict(query), headers={"Accept": _JSON}) as answer:
            if answer.status_code == _NO_CONTENT:
                return []
            _need(answer, 200)
            tree = _tree(answer)
        if not isinstance(tree, list):
            raise WebAnswerError(answer.status_code, "the answer to a search is not a list")
        return [one for one in tree if isinstance(one, dict)]

    def retrieve(self, path: str, begin: Callable[[str], PartSink]) -> None:
        """Retrieve files (WADO-RS) in the transfer syntax in which they are stored.

        Args:
            path: such as "/studies/1.2/series/3.4".
            begin: called with the media type of each part; returns what takes its bytes.

        Raises:
            WebUnreachableError: without an answer, or when it ends too early.
            WebAnswerError: for a different answer.
        """
        with self._answer("GET", path, headers={"Accept": _FILES}) as answer:
            _need(answer, 200)
            boundary = boundary_of(answer.headers.get("content-type", ""))
            if boundary is None:
                raise WebAnswerError(answer.status_code, "the answer has no parts")
            reader = PartReader(boundary, begin)
            try:
                for piece in answer.iter_bytes():
                    reader.feed(piece)
                reader.finish()
            except MultipartError as error:
                raise WebUnreachableError(f"a broken answer: {error}") from None

    def store(self, data: bytes, boundary: str) -> tuple[int, Any]:
        """Store a file (STOW-RS); return the status of HTTP and the tree of the answer, if any.

        Raises:
            WebUnreachableError: without an answer.
            WebAnswerError: for a redirect.
        """
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {"Accept": _JSON, "Content-Type": kind}
        body = joined(data, boundary)
        with self._answer("POST", "/studies", content=body, headers=headers) as answer:
            try:
                tree = _tree(answer)
            except WebAnswerError:
                tree = None
            return answer.status_code, tree

    @contextmanager
    def _answer(self, method: str, path: str, **parts: Any) -> Generator[httpx.Response]:
        try:
            with self._client.stream(method, path, **parts) as answer:
                if answer.is_redirect or answer.has_redirect_location:
                    raise WebAnswerError(
                        answer.status_code, "the server redirects, which is not followed"
                    )
                yield answer
        except self._error as error:
            raise WebUnreachableError(_words(error)) from None


def first_value(tree: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an attribute in DICOM JSON as text; empty where there is none.

    >>> first_value({"00080050": {"vr": "SH", "Value": ["A1 "]}}, "00080050")
    'A1'
    >>> first_value({"00080050": {"vr": "SH"}}, "00080050")
    ''
    """
    element = tree.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(values, list) or not values or not isinstance(values[0], str | int | float):
        return ""
    return str(values[0]).strip()


def _need(answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        raise WebAnswerError(answer.status_code, f"HTTP {answer.status_code}")


def _tree(answer: httpx.Response) -> Any:
    data = bytearray()
    for piece in answer.iter_bytes():
        data += piece
        if len(data) > _LONGEST_ANSWER:
            raise WebAnswerError(answer.status_code, "the answer is too long")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise WebAnswerError(answer.status_code, "the answer is not JSON") from None


def _words(error: httpx.HTTPError) -> str:
    """Return what went wrong, without the words of the library, which name addresses."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'failed'}".replace("_", " ").lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "the peer cannot be reached"
    return "the connection broke"


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_TOKEN + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not ASCII"
        raise UsageError(f"a token_file must be readable; {path}: {reason}") from None
    if not text or len(text) > _LONGEST_TOKEN or not text.isprintable() or " " in text:
        raise UsageError(f"a token_file must hold one token and nothing else; {path} does not")
    if path.stat().st_mode & 0o077:
        raise UsageError(f"a token_file must be its owner's alone; chmod 600 {path}")
    return text


def _trust(path: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise UsageError(f"a ca_file must hold certificates (PEM); {path} does not") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
