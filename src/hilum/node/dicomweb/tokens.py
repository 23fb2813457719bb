"""Tokens of those who may send films by HTTP: 256 random bits, kept as their SHA-256 alone."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from hilum.domain.errors import UsageError

__all__ = ["SenderTokens", "add_token"]

_LINE = re.compile(r"([A-Za-z0-9_.-]{1,64}) ([0-9a-f]{64})")
_LONGEST = 64 * 1024


class SenderTokens:
    """Tokens of a file: a line with name and hash for each; a line with `#` is passed over.

    Args:
        path: of the file.

    Raises:
        UsageError: for a file that cannot be read, others can, or that holds anything else.
    """

    def __init__(self, path: Path) -> None:
        self._digests: list[str] = []
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            found = _LINE.fullmatch(line.strip())
            if found is None:
                raise UsageError(
                    f"a line of tokens must be a name and a SHA-256; {path}:{number} is not. Make "
                    "one with `hilum node token NAME`"
                )
            self._digests.append(found[2])
        if not self._digests:
            raise UsageError(
                f"listen.dicomweb needs a token; {path} has none. Make one with "
                "`hilum node token NAME`"
            )

    def knows(self, secret: str) -> bool:
        """Return whether a token is one of them, in a time that says nothing of which."""
        digest = _hash(secret)
        found = False
        for one in self._digests:
            found |= hmac.compare_digest(one, digest)
        return found


def add_token(path: Path, name: str) -> str:
    """Make a token, which is returned once and kept as its hash.

    Raises:
        UsageError: for a name that is not one, and a file that cannot be written.
    """
    secret = f"hilum_{secrets.token_urlsafe(32)}"
    line = f"{name} {_hash(secret)}"
    if not _LINE.fullmatch(line):
        raise UsageError(
            f"a token's name must be 1 to 64 letters, digits, dots or dashes; got {name!r}"
        )
    try:
        number = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"a file of tokens must be writable; {path}: {error.strerror}") from None
    return secret


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode("ascii")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not ASCII"
        raise UsageError(
            f"listen.dicomweb.tokens must be readable; {path}: {reason}. Make one with "
            "`hilum node token NAME`"
        ) from None
    if mode & 0o077:
        raise UsageError(f"a file of tokens must be its owner's alone; chmod 600 {path}")
    return text.splitlines()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
