"""DICOM objects from the results of one film: one kind of object a file, named as its file.

Pure functions of a film's header and of its results: no file is read, no network and no clock
is used. Each file of this folder defines `OBJECT: ObjectKind`. Adding one touches that file and a
line of the changelog; `object_kind()` finds it.

What is made here is aligned with IHE AI Results (AIR, Rev. 1.3, Trial Implementation), which was
not checked line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import FindingResult
from hilum.domain.errors import ReasonCode, UsageError
from hilum.domain.members import member, members
from hilum.domain.radiograph import DicomHeader

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

__all__ = [
    "Algorithm",
    "FilmResults",
    "ObjectKind",
    "Outline",
    "Sheet",
    "check_kinds",
    "object_kind",
    "object_kinds",
    "usual_kinds",
]


@dataclass(frozen=True)
class Algorithm:
    """The bundle that scored a film, as every object names it.

    Attributes:
        name: of the bundle.
        id: short id of the bundle, which covers network, calibrator and thresholds.
        software: version of hilum.
        precision: the type the network computed in.
        calibrator: method, such as "platt".
        targets: finding to what its threshold was chosen for, such as "sensitivity 0.90".
    """

    name: str
    id: str
    software: str
    precision: str
    calibrator: str
    targets: Mapping[str, str]


@dataclass(frozen=True)
class Outline:
    """A closed polygon round the hottest part of a heatmap, on the stored picture.

    Attributes:
        points: (column, row) of each corner, (0, 0) being the outer corner of the first pixel; the
            last point is the first.
        level: share of the map's peak that the part lies above.
    """

    points: tuple[tuple[float, float], ...]
    level: float


@dataclass(frozen=True, eq=False)
class Sheet:
    """The picture of a secondary capture.

    Attributes:
        rows, columns: of the picture.
        data: RGB pixels, row by row; or a JPEG file where `jpeg` says so.
        jpeg: whether `data` is JPEG baseline.
    """

    rows: int
    columns: int
    data: bytes = field(repr=False)
    jpeg: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class FilmResults:
    """Everything that the objects of one film are made from.

    Attributes:
        header: the film's identity, with the UIDs of object, series and study.
        sha256: of the film's bytes.
        findings: finding to result, in the bundle's order.
        codes: reasons to be careful with the film.
        algorithm: what computed them.
        kinds: the objects that are made of this film.
        key: of the UIDs.
        outlines: finding to the outline of its heatmap: positive findings that have one.
        sheet: picture of the secondary capture.
        map_of: finding to its heatmap at the size of the stored picture, (rows, columns) float32.
        revision: 1, and one more for each change that the caller sends after it.
        predecessor: SOP instance UID of the report that this one replaces.
        predecessor_series: its series.
        refusal: why the film was not scored, as a sentence; empty for a film that was.
    """

    header: DicomHeader
    sha256: str
    findings: Mapping[str, FindingResult]
    codes: tuple[ReasonCode, ...]
    algorithm: Algorithm
    kinds: tuple[str, ...]
    key: bytes
    outlines: Mapping[str, Outline] = field(default_factory=dict)
    sheet: Sheet | None = None
    map_of: Callable[[str], NDArray[np.float32]] | None = None
    revision: int = 1
    predecessor: str = ""
    predecessor_series: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class ObjectKind:
    """One kind of DICOM object.

    Attributes:
        build: makes the object; None where there is nothing to say, such as no region.
        series: number of its series.
        usual: whether it is made where no kind is named.
        package: what it needs beyond the base install; brought by `hilum[dicom]`.
    """

    build: Callable[[FilmResults], FileDataset | None]
    series: int
    usual: bool = True
    package: str = ""


def object_kind(name: str) -> ObjectKind:
    """Return the kind of object of that name.

    Raises:
        UsageError: when there is none.
    """
    return member(__name__, name, ObjectKind, "DICOM object")


def object_kinds() -> tuple[str, ...]:
    """Return the names of all kinds.

    >>> object_kinds()
    ('ko', 'pr', 'region', 'sc', 'seg', 'sr')
    """
    return members(__name__)


def usual_kinds() -> tuple[str, ...]:
    """Return the kinds that are made where none is named, in order of their series."""
    kinds = {name: object_kind(name) for name in object_kinds()}
    usual = [name for name, kind in kinds.items() if kind.usual]
    return tuple(sorted(usual, key=lambda name: kinds[name].series))


def check_kinds(words: str) -> tuple[str, ...]:
    """Return the kinds that a list names; the usual ones for "usual".

    Args:
        words: names with commas between them.

    Raises:
        UsageError: for an unknown kind, or one whose package is not installed.

    >>> check_kinds("sr, pr"), check_kinds("usual")
    (('sr', 'pr'), ('sr', 'region', 'sc', 'pr'))
    """
    names = [word.strip() for word in words.split(",") if word.strip()]
    if names == ["usual"]:
        return usual_kinds()
    for name in names:
        package = object_kind(name).package
        if package and find_spec(package) is None:
            raise UsageError(
                f"DICOM results of kind {name} need {package}, which is not installed. "
                "Install hilum[dicom]"
            )
    if not names:
        raise UsageError(f"DICOM results must be of a kind; there are: {', '.join(object_kinds())}")
    return tuple(dict.fromkeys(names))
