"""Patient identity in the outputs: none, a pseudonym, or in full."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from typer import get_app_dir

from hilum.domain.errors import UsageError
from hilum.domain.radiograph import DicomHeader, Sex

__all__ = [
    "Described",
    "Patients",
    "Phi",
    "ShownIdentity",
    "default_key",
    "load_patients",
    "read_key",
]

KEY_BYTES = 32
_INSTEAD = "Name another file with --phi-key (one that is missing is made), or take --phi none"
_OLDEST = 90
"""Ages above 89 are shown as 90: so few people are so old that the age alone can name one."""


class Phi(StrEnum):
    """Amount of patient identity in the outputs."""

    NONE = "none"
    """Nothing: no id, no age, no sex."""
    PSEUDONYM = "pseudonym"
    """A pseudonym, which is the same for the same patient id and key; age up to 90, and sex. UIDs
    of study, series and object, and the accession number, in the same way."""
    FULL = "full"
    """The patient id, age, sex, UIDs and accession number as the file says them."""


class Described(Protocol):
    """Patient facts in a film's header, such as those of a radiograph."""

    @property
    def patient_id(self) -> str:
        """Patient id as in the header; empty where there is none."""
        ...

    @property
    def age_years(self) -> float | None:
        """None where it is not known."""
        ...

    @property
    def sex(self) -> Sex:
        """Sex as recorded."""
        ...

    @property
    def sop_instance_uid(self) -> str:
        """Identifier of the DICOM object; empty for other files."""
        ...

    @property
    def header(self) -> DicomHeader | None:
        """The DICOM identity; None where it was not read."""
        ...


@dataclass(frozen=True)
class ShownIdentity:
    """Patient identity that outputs may show. The fields are those of `ImageResult`."""

    patient: str = ""
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    accession_number: str = ""


@dataclass(frozen=True)
class Patients:
    """Turns what a film's header says of its patient into what the outputs may say.

    A pseudonym is the first 16 hexadecimal digits of HMAC-SHA256(key, patient id). Without the key
    nobody can try ids against it, as can be done with a plain hash: ids are short numbers. Who has
    the key can; so it lies outside the output folder and never enters an output. It is no
    anonymity: films, and the names of their files, can still tell who it is.

    Attributes:
        mode: how much of the identity is shown.
        key: of the pseudonyms; 32 bytes or more. Only a pseudonym needs it.

    Raises:
        UsageError: when a pseudonym is requested without such a key.

    >>> patients = Patients(Phi.PSEUDONYM, bytes(32))
    >>> patients.shown("CANARY-8812"), patients.shown(" "), Patients(Phi.NONE).shown("CANARY-8812")
    ('9d06b36e7c1ca45c', '', '')
    """

    mode: Phi = Phi.NONE
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.mode is Phi.PSEUDONYM and len(self.key) < KEY_BYTES:
            raise UsageError(
                f"a pseudonym needs a key of {KEY_BYTES} bytes or more; got {len(self.key)}"
            )

    def shown(self, patient_id: str) -> str:
        """Return a patient, or a UID or number, as requested; empty for an empty one.

        Blanks around an id are padding of its file format, and count for nothing.
        """
        patient_id = patient_id.strip(" \0")
        if not patient_id or self.mode is Phi.NONE:
            return ""
        if self.mode is Phi.FULL:
            return patient_id
        encoded = patient_id.encode("utf-8", "surrogatepass")
        return hmac.new(self.key, encoded, hashlib.sha256).hexdigest()[:16]

    def of(self, film: Described) -> ShownIdentity:
        """Return everything that may be shown of a film's patient."""
        if self.mode is Phi.NONE:
            return ShownIdentity()
        age = film.age_years
        if age is not None and self.mode is Phi.PSEUDONYM:
            age = min(age, float(_OLDEST))
        header = film.header or DicomHeader()
        return ShownIdentity(
            patient=self.shown(film.patient_id),
            age_years=age,
            sex=film.sex,
            study_instance_uid=self.shown(header.study_instance_uid),
            series_instance_uid=self.shown(header.series_instance_uid),
            sop_instance_uid=self.shown(film.sop_instance_uid),
            accession_number=self.shown(header.accession_number),
        )

    @property
    def fingerprint(self) -> str:
        """Fingerprint of mode and key, which must stay the same when a batch is resumed.

        It is a hash of a random key, from which the key cannot be found.

        >>> Patients(Phi.FULL).fingerprint
        'full'
        """
        if self.mode is not Phi.PSEUDONYM:
            return self.mode.value
        # the word before it keeps this apart from every pseudonym
        mark = hashlib.sha256(b"hilum key fingerprint\0" + self.key).hexdigest()[:16]
        return f"{self.mode.value} {mark}"


def load_patients(mode: Phi, key: Path, out: Path) -> Patients:
    """Load the patient settings; only a pseudonym reads a key.

    Args:
        mode: how much of the identity is shown.
        key: the file of the key, such as `default_key()`.
        out: the output folder.

    Raises:
        UsageError: when a pseudonym is requested and the key cannot be used.
    """
    return Patients(mode, read_key(key, out)) if mode is Phi.PSEUDONYM else Patients(mode)


def default_key() -> Path:
    """Return the user's key file in the system's settings, such as `~/.config/hilum/phi.key`."""
    return Path(get_app_dir("hilum"), "phi.key")


def read_key(path: Path, out: Path) -> bytes:
    """Read the key in a file; a missing one is made: 32 random bytes, for its owner alone.

    Args:
        path: of the key.
        out: the output folder, which is passed on with the pseudonyms, so the key must not be in
            it.

    Raises:
        UsageError: for a key inside the output folder, that everybody may read, that is too short,
            or that can be neither read nor made.
    """
    if not path.is_absolute() and path.parts[:1] == ("~",):
        raise UsageError(
            f"the key of the pseudonyms must lie somewhere; there is no home. {_INSTEAD}"
        )
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(out)):
        raise UsageError(
            f"the key of the pseudonyms must lie outside the output folder; {path} lies in {out}. "
            f"{_INSTEAD}"
        )
    try:
        if not path.exists():
            _make(path)
        mode, key = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the key of the pseudonyms must be a file that can be read, or made; {path}: "
            f"{error.strerror or error}. {_INSTEAD}"
        ) from None
    if os.name == "posix" and mode & 0o007:
        raise UsageError(
            f"the key of the pseudonyms must not be open to everybody; {path} has mode "
            f"{mode & 0o777:03o}. Run: chmod 600 {path}"
        )
    if len(key) < KEY_BYTES:
        raise UsageError(
            f"the key of the pseudonyms must have {KEY_BYTES} bytes or more; {path} has "
            f"{len(key)}. {_INSTEAD}"
        )
    return key


def _make(path: Path) -> None:
    """Make a key whole or not at all, and leave the one that another run makes at this moment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        opened = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(opened)
        if not path.exists():
            _link(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _link(there: Path, path: Path) -> None:
    try:
        path.hardlink_to(there)
    except FileExistsError:
        return
