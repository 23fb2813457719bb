"""De-identification after DICOM PS3.15, Annex E: a data set in, a data set out.

Pure functions: no file is read or written, and no key is known here. The table of the standard,
edition 2026d, is `table.tsv`; what an object needs of an attribute is `types.tsv`; both are made by
`scripts/confidentiality_table.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.interchange.deidentify.codes import METHODS
from hilum.interchange.deidentify.engine import Engine
from hilum.interchange.deidentify.pseudonyms import Secrets
from hilum.interchange.deidentify.table import EDITION, OBJECTS, Keep
from hilum.interchange.parts.codes import item_of
from hilum.interchange.parts.modules import file_bytes, holds, new_file

__all__ = ["Keep", "deidentified", "kind_of"]

_METHOD = f"DICOM PS3.15 {EDITION} Table E.1-1"


def kind_of(source: Dataset) -> str:
    """Return the kind of an object, such as "CR".

    Raises:
        FilmError: `MODALITY_NOT_SUPPORTED` (reject) for one that is not de-identified.
    """
    uid = str(source.get("SOPClassUID", "")).strip(" \0")
    kind = OBJECTS.get(uid)
    if kind is None:
        raise FilmError(
            Status.REJECT,
            ReasonCode.MODALITY_NOT_SUPPORTED,
            "an object must be a CR or DX film, a secondary capture, a presentation state, a "
            f"structured report or a key object selection; this one is of class '{UID(uid).name}'",
        )
    return kind


def deidentified(
    source: FileDataset, kept: Collection[Keep], secrets: Secrets, pixels_cleaned: bool = False
) -> bytes:
    """Return the file of an object without its identity.

    Args:
        source: the object, whose pixels are already as they shall leave.
        kept: the options.
        secrets: hash of the pseudonyms.
        pixels_cleaned: whether text was blacked out.

    Raises:
        FilmError: `MODALITY_NOT_SUPPORTED` (reject), as `kind_of`; `IDENTIFIER_LEFT` (error) where
            a name or number of the patient is still in the bytes, such as in a compressed picture.

    Example:
        >>> from hilum.interchange.deidentify.pseudonyms import KeyedSecrets
        >>> film = new_file()
        >>> film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
        >>> film.PatientName = "Canary^Patient"
        >>> b"Canary" in deidentified(film, (), KeyedSecrets(bytes(32)))
        False
    """
    engine = Engine(source, kind_of(source), kept, secrets)
    made = new_file(source.file_meta.TransferSyntaxUID)
    made.update(engine.made())
    _add_character_set(made, source)
    _say(made, {*engine.cleaned, *(("pixels",) if pixels_cleaned else ()), *kept})
    data = file_bytes(made)
    if engine.identifiers.in_bytes(data):
        raise FilmError(
            Status.ERROR,
            ReasonCode.IDENTIFIER_LEFT,
            "no name or number of the patient may be left in the bytes; one is, perhaps inside "
            "the compressed picture. Nothing was written of it",
        )
    return data


def _say(made: Dataset, done: Collection[str]) -> None:
    """Say in the object what was done to it."""
    from hilum import __version__

    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = [f"hilum {__version__}", _METHOD]
    codes = ("basic", *(word for word in METHODS if word in done))
    made.DeidentificationMethodCodeSequence = Sequence([item_of(METHODS[word]) for word in codes])
    dates = {Keep.DATES: "UNMODIFIED", Keep.DATES_SHIFTED: "MODIFIED"}
    found = [word for option, word in dates.items() if option in done]
    made.LongitudinalTemporalInformationModified = found[0] if found else "REMOVED"
    if "pixels" in done:
        made.BurnedInAnnotation = "NO"


def _add_character_set(made: Dataset, source: Dataset) -> None:
    """Keep the source's character set where it can write what is left, else take Unicode."""
    try:
        stated = source.get("SpecificCharacterSet")
    except Exception:
        stated = None
    words = _texts(made)
    sets = [str(one) for one in ([stated] if isinstance(stated, str) else stated or ())]
    if sets and holds(copy(sets), words):
        made.SpecificCharacterSet = sets if len(sets) > 1 else sets[0]
    elif not all(word.isascii() for word in words):
        made.SpecificCharacterSet = "ISO_IR 192"


def _texts(made: Dataset) -> list[str]:
    words: list[str] = []
    for element in made.iterall():
        if element.VR in ("LO", "LT", "PN", "SH", "ST", "UC", "UT"):
            values = element.value if element.VM > 1 else [element.value]
            words += [str(one) for one in values if one]
    return words
