"""Types of single values in the configuration of a node."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

__all__ = ["AeTitle", "BaseUrl", "PeerName", "Port", "Seconds"]

_TITLE = re.compile(r"[ !-\[\]-~]{1,16}")
"""An AE title: 1 to 16 characters of ASCII, no backslash."""


def _title(word: str) -> str:
    if not _TITLE.fullmatch(word) or word != word.strip():
        raise ValueError(
            "an AE title must have 1 to 16 characters of ASCII, without a backslash or blanks "
            "around it"
        )
    return word


def _url(text: str) -> str:
    parts = urlsplit(text)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError("an address must begin with https://; http:// is for this machine alone")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address must be a host and a path, without user, password, query or fragment"
        )
    return text.rstrip("/")


AeTitle = Annotated[str, AfterValidator(_title)]
BaseUrl = Annotated[str, AfterValidator(_url)]
PeerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0.0)]
