"""How far readers of the same films agree, with each other and with the model."""

from __future__ import annotations

from hilum.domain.documents import Document, Interval
from hilum.domain.notice import NOT_A_DEVICE

__all__ = ["FindingAgreement", "PairAgreement", "ReaderAgreement"]


class PairAgreement(Document):
    """Two readers, or a reader and the model, on one finding."""

    one: str
    other: str
    """Pseudonyms of readers; `model` for the model."""
    films: int
    """Films that both called. The four numbers below add up to them."""
    patients: int
    both: int
    only_one: int
    only_other: int
    neither: int
    kappa: Interval
    """Cohen's kappa."""


class FindingAgreement(Document):
    """The agreement on one finding."""

    finding: str
    films: int
    """Films on which at least two readers, or a reader and the model, called it."""
    readers: Interval
    """Mean of Cohen's kappas of all pairs of readers (Light's kappa)."""
    model: Interval
    """Mean of Cohen's kappas of the model with each reader."""
    difference: Interval
    """The model's mean less the readers', on the same resamples. Below 0: the model agrees with
    readers less than they do with each other."""
    pairs: tuple[PairAgreement, ...]


class ReaderAgreement(Document):
    """Agreement on all findings."""

    schema_version: int = 1
    bundle: str
    """Bundle whose calls are the model's."""
    readers: tuple[str, ...]
    blinded_only: bool
    """Only readings that were given before the reader saw a score. A reader who has seen one is
    drawn to it."""
    readings: int
    blinded_readings: int
    """How many of the readings were blinded."""
    resamples: int
    """Draws of patients behind each 95 % interval."""
    findings: tuple[FindingAgreement, ...]
    notice: str = NOT_A_DEVICE
