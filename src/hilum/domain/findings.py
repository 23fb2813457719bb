"""Findings by name, never by position: the catalog, label states and label sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from hilum.domain.errors import UsageError, suggestion

__all__ = [
    "NO_FINDING",
    "SUPPORT_DEVICES",
    "Code",
    "Finding",
    "LabelSet",
    "LabelState",
    "catalog",
    "display_name",
    "find",
    "label_set",
    "label_sets",
    "nih14",
]

NO_FINDING = "No Finding"
"""A label of its own in some datasets: none of the others is there."""
SUPPORT_DEVICES = "Support Devices"
"""Tubes, lines, pacemakers: the one label that does not contradict `No Finding`."""


class LabelState(IntEnum):
    """The label of one finding on one film, stored as int8.

    Blank is not negative, and uncertain is neither: what each counts as is a named policy of the
    stage that uses it.
    """

    NEGATIVE = 0
    POSITIVE = 1
    UNCERTAIN = -1
    UNLABELLED = -2


@dataclass(frozen=True)
class Code:
    """One code of a finding in a public terminology, with the source it was read from."""

    scheme: str
    value: str
    meaning: str
    source: str


@dataclass(frozen=True)
class Finding:
    """Something a radiologist may report on a film.

    Attributes:
        name: hilum's spelling, that of NIH ChestX-ray14 where it has the finding. It is the key of
            every column and every JSON object.
        text: what it is, in a few words.
        aliases: other spellings seen in datasets.
        codes: terminology codes that have a source.
        display: the name that people read on pages and in print; the name itself unless given.
    """

    name: str
    text: str
    aliases: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    display: str = ""

    def __post_init__(self) -> None:
        if not self.display:
            object.__setattr__(self, "display", self.name)


def _read(name: str) -> Any:
    """Return one of this folder's tables."""
    text = files("hilum.domain").joinpath(name).read_text("utf-8")
    # libyaml takes a quarter of the time; PyYAML may have been built without it
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


@cache
def catalog() -> dict[str, Finding]:
    """Return every finding hilum knows, by name.

    >>> catalog()["Effusion"].aliases
    ('Pleural Effusion',)
    """
    rows = _read("findings.yaml")
    found = [
        Finding(
            name=row["name"],
            text=row["text"],
            display=row.get("display", ""),
            aliases=tuple(row.get("aliases", ())),
            codes=tuple(Code(**code) for code in row.get("codes", ())),
        )
        for row in rows
    ]
    return {finding.name: finding for finding in found}


def _folded(word: str) -> str:
    return " ".join(word.replace("_", " ").split()).casefold()


@cache
def _spellings() -> dict[str, Finding]:
    return {
        _folded(word): finding
        for finding in catalog().values()
        for word in (finding.name, *finding.aliases)
    }


def find(name: str) -> Finding:
    """Return the finding of that name or alias; case, blanks and underscores do not matter.

    Raises:
        UsageError: when no finding has the name.

    >>> find("pleural effusion").name
    'Effusion'
    >>> find("Efusion")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.UsageError: no finding 'Efusion' in the catalog. Did you mean 'Effusion'?
    """
    finding = _spellings().get(_folded(name))
    if finding is None:
        near = suggestion(name, catalog())
        raise UsageError(f"no finding '{name}' in the catalog.{near}")
    return finding


def display_name(name: str) -> str:
    """Return the name of a finding that people read; of a word that is no finding, the word.

    Files and columns keep the finding's own name.

    >>> display_name("Pleural_Thickening"), display_name("Mass"), display_name("sum")
    ('Pleural thickening', 'Mass', 'sum')
    """
    finding = _spellings().get(_folded(name))
    return name if finding is None else finding.display


@dataclass(frozen=True)
class LabelSet:
    """An ordered set of findings: the names of the columns of every array that carries it.

    The order is data, kept with the array. Code asks for a finding by name.

    >>> labels = LabelSet("two", ("Effusion", "Mass"))
    >>> labels.index("Pleural Effusion"), len(labels), "Mass" in labels
    (0, 2, True)
    """

    name: str
    findings: tuple[str, ...]

    def __post_init__(self) -> None:
        known = tuple(find(name).name for name in self.findings)
        if len(set(known)) != len(known):
            raise UsageError(f"label set '{self.name}' names a finding twice: {', '.join(known)}")
        object.__setattr__(self, "findings", known)

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        finding = _spellings().get(_folded(name))
        return finding is not None and finding.name in self.findings

    def index(self, name: str) -> int:
        """Return the column of a finding.

        Raises:
            UsageError: when the set does not have it.

        >>> LabelSet("one", ("Mass",)).index("Efusion")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: no finding 'Efusion' in one. Did you mean 'Effusion'?
        """
        finding = _spellings().get(_folded(name))
        if finding is None:
            near = suggestion(name, (*self.findings, *catalog()))
            raise UsageError(f"no finding '{name}' in {self.name}.{near}")
        if finding.name not in self.findings:
            raise UsageError(
                f"no finding '{name}' in {self.name}, which has {', '.join(self.findings)}"
            )
        return self.findings.index(finding.name)

    def columns(self, names: Iterable[str]) -> list[int]:
        """Return the columns of several findings, in the requested order."""
        return [self.index(name) for name in names]


@cache
def label_sets() -> dict[str, LabelSet]:
    """Return the label sets of the public datasets, by name.

    >>> list(label_sets())[:3]
    ['NIH-14', 'NIH-13+NF', 'CheXpert-14']
    """
    rows = _read("label_sets.yaml")
    return {name: LabelSet(name, tuple(findings)) for name, findings in rows.items()}


def label_set(name: str) -> LabelSet:
    """Return the label set of that name.

    Raises:
        UsageError: when there is none.

    >>> label_set("CheXpert-5").findings
    ('Atelectasis', 'Cardiomegaly', 'Consolidation', 'Edema', 'Effusion')
    """
    known = label_sets()
    if name not in known:
        raise UsageError(
            f"no label set '{name}'; there are {', '.join(known)}.{suggestion(name, known)}"
        )
    return known[name]


def nih14() -> LabelSet:
    """Return the 14 findings of NIH ChestX-ray14, in the order of Wang et al. 2017.

    >>> list(nih14())[:3]
    ['Atelectasis', 'Cardiomegaly', 'Effusion']
    """
    return label_set("NIH-14")
