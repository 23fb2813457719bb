"""Options of a batch, apart from its bundle and its films."""

from __future__ import annotations

from dataclasses import dataclass, field

from hilum.batch.inputs import Shard
from hilum.batch.patients import Patients
from hilum.confined.child import Child
from hilum.domain.errors import UsageError
from hilum.explain.request import Pictures
from hilum.reading.process import Limits

__all__ = ["BatchRequest"]


@dataclass(frozen=True)
class BatchRequest:
    """Options for scoring films and writing their outputs.

    Attributes:
        pictures: which heatmaps to draw, and how; None for tables alone: no heatmap and no preview.
        threshold: one threshold for every finding, in place of the bundle's operating points.
        patients: what the outputs may say of the patients.
        limits: of reading one film.
        early: a reader that was begun while the bundle was loading, so that a first film need not
            wait for it; ended by the batch.
        lanes: films on their way at a time, each read by a process of its own; None for two more
            than the bundle's network has threads. Results do not depend on it.
        shard: the part of the films to score; None for all. The folders of all parts are put
            together by `hilum.batch.merge`.

    Raises:
        UsageError: for a threshold outside [0, 1], or no lane.
    """

    pictures: Pictures | None = field(default_factory=Pictures)
    threshold: float | None = None
    patients: Patients = field(default_factory=Patients)
    limits: Limits = field(default_factory=Limits)
    lanes: int | None = None
    early: Child | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise UsageError(f"a threshold must be a number in [0, 1]; got {self.threshold:g}")
        if self.lanes is not None and self.lanes < 1:
            raise UsageError(f"there must be a lane or more; got {self.lanes}")

    def options(self) -> dict[str, str]:
        """Return the options that change results or pictures, to identify the batch in a journal.

        >>> BatchRequest(pictures=None, threshold=0.4).options()
        {'heatmaps': 'tables alone', 'threshold': '0.4', 'patients': 'none'}
        """
        pictures = self.pictures
        options = {"heatmaps": "tables alone"} if pictures is None else pictures.options()
        if self.threshold is not None:
            options["threshold"] = repr(self.threshold)
        return {**options, "patients": self.patients.fingerprint}
