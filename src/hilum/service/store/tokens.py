"""Tokens, one-time links and sessions: 256 random bits each, kept as their SHA-256 alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hilum.domain.errors import UsageError, choice
from hilum.files.database import Database, Row
from hilum.service.store.events import Happening, append_event

__all__ = ["OWNER", "AccessToken", "Scope", "StoredTokens", "scopes_of"]

OWNER = "owner"
"""Name of whoever starts the service, to whom the one-time link belongs."""
_ONCE_S = 900.0
"""Seconds in which a one-time link must be opened."""
_SESSION_S = 12 * 3600.0
"""Seconds that a session lasts: a working day."""
_LONGEST_NAME = 64


class Scope(StrEnum):
    """What a token may do."""

    SUBMIT = "submit"
    """Send films, and get the result of each with the answer."""
    READ = "read"
    """See films, results and readings."""
    REVIEW = "review"
    """Read, and give readings and export them."""
    ADMIN = "admin"
    """Everything, deleting films too."""


_INCLUDED = {
    Scope.SUBMIT: (Scope.SUBMIT,),
    Scope.READ: (Scope.READ,),
    Scope.REVIEW: (Scope.REVIEW, Scope.READ),
    Scope.ADMIN: tuple(Scope),
}


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these words, with those that each includes.

    Raises:
        UsageError: for an unknown word, or none.

    >>> sorted(scopes_of(["review"]))
    [<Scope.READ: 'read'>, <Scope.REVIEW: 'review'>]
    """
    named = [choice(Scope, word, "a scope") for word in words]
    if not named:
        raise UsageError(f"a token must have a scope; choose from {', '.join(Scope)}")
    return frozenset(scope for word in named for scope in _INCLUDED[word])


@dataclass(frozen=True)
class AccessToken:
    """Whoever a request comes from.

    Attributes:
        id: of the token in the store; of a session, that of the token it stands for.
        name: as it was given when the token was made.
        reader: pseudonym, the same for all tokens of one name.
        scopes: with those that are included.
        created: seconds since 1970.
        revoked: it is no longer taken.
    """

    id: int
    name: str
    reader: str
    scopes: frozenset[Scope]
    created: float
    revoked: bool

    @classmethod
    def of(cls, row: Row) -> AccessToken:
        """Return the token of a row."""
        return cls(
            row["id"],
            row["name"],
            row["reader"],
            scopes_of(row["scopes"].split()),
            row["created"],
            row["revoked"] is not None,
        )


class StoredTokens:
    """Tokens, one-time links and sessions.

    Args:
        database: of the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, scopes: Sequence[str]) -> str:
        """Make a token, which is returned once and kept as its hash.

        Raises:
            UsageError: for an unknown scope, or a name that is blank, long or not printable.
        """
        scopes_of(scopes)
        if not (name.strip() and name.isprintable() and len(name) <= _LONGEST_NAME):
            raise UsageError(
                f"a token's name must be 1 to {_LONGEST_NAME} printable characters; got {name!r}"
            )
        secret = f"hilum_{secrets.token_urlsafe(32)}"

        def work(connection: sqlite3.Connection) -> None:
            _insert(connection, "token", _Owner(name, " ".join(scopes)), secret)

        self._database.write(work)
        return secret

    def once(self) -> str:
        """Make the secret of a one-time link for the owner, who may do everything."""
        secret = secrets.token_urlsafe(32)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM token WHERE expires<?", (time.time(),))
            row = connection.execute(
                "SELECT id FROM token WHERE kind='owner' AND revoked IS NULL"
            ).fetchone()
            owner = _Owner(OWNER, Scope.ADMIN.value)
            parent = row["id"] if row else _insert(connection, "owner", owner, _unknown())
            lasting = time.time() + _ONCE_S
            _insert(connection, "once", owner, secret, parent, lasting)

        self._database.write(work)
        return secret

    def session(self, secret: str) -> tuple[str, AccessToken] | None:
        """Trade a token, or the secret of a one-time link, for a session; None for neither."""

        def work(connection: sqlite3.Connection) -> tuple[str, AccessToken] | None:
            row = _found(connection, secret, ("token", "once"))
            if row is None:
                return None
            if row["kind"] == "once":
                connection.execute("DELETE FROM token WHERE id=?", (row["id"],))
            parent = row["parent"] or row["id"]
            made, lasting = secrets.token_urlsafe(32), time.time() + _SESSION_S
            owner = _Owner(row["name"], row["scopes"])
            _insert(connection, "session", owner, made, parent, lasting)
            return made, AccessToken.of(row)

        return self._database.write(work)

    def find(self, secret: str, session: bool = False) -> AccessToken | None:
        """Return whose token or session this is; None where it is none, or no longer one."""
        kinds = ("session",) if session else ("token",)
        digest = _hash(secret)
        row = self._database.one(
            "SELECT t.*, p.revoked AS parent_revoked FROM token t "
            "LEFT JOIN token p ON p.id=t.parent WHERE t.sha256=?",
            (digest,),
        )
        return None if row is None or not _valid(row, digest, kinds) else AccessToken.of(row)

    def end(self, secret: str) -> None:
        """End a session."""
        query = "DELETE FROM token WHERE sha256=? AND kind='session'"
        self._database.write(lambda connection: connection.execute(query, (_hash(secret),)))

    def all(self) -> list[AccessToken]:
        """Return the tokens that were made, revoked ones too."""
        query = "SELECT * FROM token WHERE kind='token' ORDER BY id"
        return [AccessToken.of(row) for row in self._database.all(query)]

    def names(self) -> dict[str, str]:
        """Return the name behind each pseudonym."""
        rows = self._database.all("SELECT DISTINCT reader, name FROM token")
        return {row["reader"]: row["name"] for row in rows}

    def revoke(self, name: str) -> int:
        """Revoke all tokens of a name, and their sessions; return how many tokens."""

        def work(connection: sqlite3.Connection) -> int:
            now = time.time()
            done = connection.execute(
                "UPDATE token SET revoked=? WHERE name=? AND kind='token' AND revoked IS NULL",
                (now, name),
            )
            if done.rowcount:
                reader = _reader(connection, name)
                append_event(connection, Happening(now, OWNER, "token.revoked", "", {"of": reader}))
            return done.rowcount

        return self._database.write(work)


@dataclass(frozen=True)
class _Owner:
    name: str
    scopes: str


def _insert(
    connection: sqlite3.Connection,
    kind: str,
    owner: _Owner,
    secret: str,
    parent: int | None = None,
    expires: float | None = None,
) -> int:
    now, reader = time.time(), _reader(connection, owner.name)
    row = connection.execute(
        "INSERT INTO token (kind, parent, name, reader, scopes, sha256, created, expires) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (kind, parent, owner.name, reader, owner.scopes, _hash(secret), now, expires),
    )
    if kind in ("token", "owner"):
        detail = {"of": reader, "scopes": owner.scopes}
        append_event(connection, Happening(now, OWNER, "token.added", "", detail))
    return int(row.lastrowid or 0)


def _reader(connection: sqlite3.Connection, name: str) -> str:
    """Return the pseudonym of a name, a new one for a new name."""
    row = connection.execute("SELECT reader FROM token WHERE name=? LIMIT 1", (name,)).fetchone()
    if row is not None:
        return row["reader"]
    last = connection.execute(
        "SELECT MAX(CAST(substr(reader, 2) AS INTEGER)) AS n FROM token"
    ).fetchone()
    return f"R{(last['n'] or 0) + 1}"


def _found(connection: sqlite3.Connection, secret: str, kinds: Sequence[str]) -> Row | None:
    digest = _hash(secret)
    row = connection.execute(
        "SELECT t.*, p.revoked AS parent_revoked FROM token t LEFT JOIN token p ON p.id=t.parent "
        "WHERE t.sha256=?",
        (digest,),
    ).fetchone()
    return None if row is None or not _valid(row, digest, kinds) else row


def _valid(row: Row, digest: str, kinds: Sequence[str]) -> bool:
    current = row["expires"] is None or row["expires"] > time.time()
    kept = row["revoked"] is None and row["parent_revoked"] is None
    same = hmac.compare_digest(row["sha256"], digest)
    return same and current and kept and row["kind"] in kinds


def _unknown() -> str:
    return secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
