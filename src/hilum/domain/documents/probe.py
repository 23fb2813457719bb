"""probe.json: what a bundle's scores do when a film is altered in ways that are no finding."""

from __future__ import annotations

from enum import StrEnum

from hilum.domain.documents import Document, Interval, SplitFacts
from hilum.domain.notice import NOT_A_DEVICE

__all__ = [
    "PROBE",
    "AlterationKind",
    "AlterationResult",
    "ContextRanking",
    "FindingChanges",
    "ProbeRun",
    "RankingVerdict",
]

PROBE = "probe.json"
"""File name of the result."""


class AlterationKind(StrEnum):
    """Kind of an alteration, which says what a change of scores means."""

    SHORTCUT = "shortcut"
    """Something that goes with findings and is none: a letter, a line."""
    LUNGS = "lungs covered"
    """All that a finding of the lungs could be seen in is gone."""
    ROBUSTNESS = "robustness"
    """What happens to films on their way: collimation, compression, contrast, position."""


class FindingChanges(Document):
    """Change of one finding's logits, the altered film less the film as it is."""

    change: Interval
    """Mean change of the logit."""
    control: Interval
    """The same for the matched control."""
    apart: Interval
    """Mean of the one less the other, film by film."""
    in_spread: float | None
    """`apart` in standard deviations of the finding's logits over the films; null where those do
    not vary."""
    moved: bool
    """Whether `apart` and `change` are both shown to be more than the limit, the same way."""
    flips: Interval
    """Share of films whose call flips, of those with an operating point."""
    control_flips: Interval


class AlterationResult(Document):
    """One alteration with its control."""

    name: str
    kind: AlterationKind
    words: str
    """What was altered."""
    control_words: str
    """What was altered in the control."""
    films: int
    """Films that it could be done on: a letter is wiped only where one is found."""
    patients: int
    findings: dict[str, FindingChanges]


class RankingVerdict(StrEnum):
    """Whether a finding's films are still ranked when the lungs are covered."""

    READS_THROUGH = "reads through"
    """More than half of the ranking beyond chance is shown to be left."""
    NOT_SHOWN = "not shown"
    """That is not shown on these films, which is no proof of the contrary."""
    NOT_LUNGS = "not of the lungs"
    """The finding lies outside the lungs, or is none: it may be read there."""
    NOT_JUDGED = "not judged"
    """There are too few films of a class."""


class ContextRanking(Document):
    """AUROC of one finding on the films as they are, and with parts of them covered."""

    films: int
    positives: int
    whole: Interval
    lungs_covered: Interval
    outside_covered: Interval
    """With an equal area outside the lungs covered."""
    left: Interval
    """`(lungs covered - 0.5) - (whole - 0.5) / 2`: above 0, more than half is left. Its interval
    is at 95 % over all findings together."""
    verdict: RankingVerdict


class ProbeRun(Document):
    """probe.json: one bundle, some films, alterations with their controls."""

    schema_version: int = 1
    notice: str = NOT_A_DEVICE
    model: str
    bundle: str
    precision: str
    films: SplitFacts
    unit: str
    """Unit that is resampled: patient, or film where no patient is known."""
    synthetic: bool = False
    labels: str
    """What a positive film is: the source of the labels, or the bundle's own calls."""
    limit: float
    """Change from which on an alteration counts, in standard deviations of a finding's logits."""
    spread: dict[str, float]
    """Standard deviation of each finding's logits over the films as they are."""
    alterations: tuple[AlterationResult, ...]
    ranking: dict[str, ContextRanking]
    named: tuple[str, ...]
    """Shortcuts that are shown, a sentence each."""
    sensitive: tuple[str, ...]
    """Other alterations that move scores, a sentence each."""
    interval: str
    seed: int
    resamples: int
    notes: tuple[str, ...] = ()
