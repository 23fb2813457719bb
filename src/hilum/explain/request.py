"""Heatmaps requested by the user, as a keyword or by finding names, and how to draw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from hilum.domain.documents.results import FindingResult
from hilum.domain.errors import UsageError, suggestion
from hilum.domain.findings import LabelSet, catalog, find
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style

__all__ = ["HeatmapRequest", "Pictures", "Selection"]


class Selection(StrEnum):
    """Findings selected by their results."""

    POSITIVES = "positives"
    """At or above their threshold, most probable first."""
    TOP = "top"
    """The most probable one, positive or not."""
    ALL = "all"
    """Every finding, in the bundle's order."""
    NONE = "none"
    NAMED = "named"
    """The findings that were named, in that order."""


@dataclass(frozen=True)
class HeatmapRequest:
    """Findings whose heatmaps are drawn for each film.

    Attributes:
        selection: by what.
        findings: their names, where they were named.

    >>> HeatmapRequest.parse("positives").selection.value
    'positives'
    >>> str(HeatmapRequest.parse("pleural effusion, Mass"))
    'Effusion,Mass'
    """

    selection: Selection = Selection.POSITIVES
    findings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `positives`, `top`, `all`, `none`, or findings separated by commas.

        Raises:
            UsageError: for a word that is neither, with what was probably meant.

        >>> HeatmapRequest.parse("positive")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: heatmaps must be of positives, top, all, none or of findings
        by name; got 'positive'. Did you mean 'positives'?
        """
        words = [word.strip() for word in text.split(",")]
        known = [choice.value for choice in Selection if choice is not Selection.NAMED]
        if len(words) == 1 and words[0].casefold() in known:
            return cls(Selection(words[0].casefold()))
        names: list[str] = []
        for word in words:
            try:
                names.append(find(word).name)
            except UsageError:
                alone = word.casefold() in known
                near = " Give it alone" if alone else suggestion(word, (*known, *catalog()))
                raise UsageError(
                    f"heatmaps must be of {', '.join(known)} or of findings by name; "
                    f"got '{word}'.{near}"
                ) from None
        return cls(Selection.NAMED, tuple(dict.fromkeys(names)))

    def check(self, labels: LabelSet) -> None:
        """Refuse findings that a bundle does not know, before any film is read.

        Raises:
            UsageError: for such a finding.
        """
        labels.columns(self.findings)

    def select(self, findings: Mapping[str, FindingResult]) -> tuple[str, ...]:
        """Return the findings to draw of one film, in the order to show them.

        Args:
            findings: the result of each finding on the film, in the bundle's order.

        >>> result = FindingResult(probability=0.2, threshold=0.5, positive=False)
        >>> HeatmapRequest.parse("top").select({"Mass": result})
        ('Mass',)
        >>> HeatmapRequest.parse("positives").select({"Mass": result})
        ()
        """
        likely = sorted(findings, key=lambda name: -findings[name].probability)
        if self.selection is Selection.POSITIVES:
            return tuple(name for name in likely if findings[name].positive)
        if self.selection is Selection.TOP:
            return tuple(likely[:1])
        if self.selection is Selection.ALL:
            return tuple(findings)
        return self.findings

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return ",".join(self.findings) or self.selection.value


@dataclass(frozen=True)
class Pictures:
    """The pictures of a batch: a map for each finding drawn, and overlays where requested.

    Attributes:
        which: the findings drawn of each film.
        overlays: whether film and map are also written as one picture of the film's size.
        style: of the overlays.
        panel: film and overlay side by side; a triptych is as it is.
        stored: file format of the overlays.
    """

    which: HeatmapRequest = HeatmapRequest()
    overlays: bool = False
    style: Style = Style.PLASMA
    panel: bool = False
    stored: PictureFormat = PictureFormat.PNG

    def options(self) -> dict[str, str]:
        """Return the options that pictures depend on, for a journal.

        >>> Pictures(panel=True).options()
        {'heatmaps': 'positives'}
        >>> Pictures(overlays=True, panel=True).options()
        {'heatmaps': 'positives', 'overlays': 'yes', 'style': 'plasma', 'panel': 'yes'}
        """
        options = {"heatmaps": str(self.which)}
        if not self.overlays:
            return options
        options |= {"overlays": "yes", "style": self.style.value}
        if self.panel:
            options["panel"] = "yes"
        if self.stored is not PictureFormat.PNG:
            options["pictures"] = self.stored.value
        return options
