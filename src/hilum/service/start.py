"""A service put together: with a bundle that scores, or around a folder of results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.domain.documents.watch import WATCH_REFERENCE
from hilum.domain.errors import UsageError
from hilum.files.sealed import read_seal
from hilum.service.folder import FolderPictures, load_folder
from hilum.service.parts import BundleOnShow, ServiceParts, Store
from hilum.service.read_films import FINDINGS
from hilum.service.settings import ServiceSettings

if TYPE_CHECKING:
    from hilum.batch.score import BatchRequest
    from hilum.bundle import Bundle
    from hilum.service.watch import ServiceWatch

__all__ = ["ScoringService", "review_service"]


def review_service(store: Store, folder: Path, settings: ServiceSettings) -> ServiceParts:
    """Return a service around a folder that `hilum predict` wrote; it loads no network.

    Raises:
        UsageError: for a folder without results.
    """
    facts = load_folder(folder, store.films)
    shown = BundleOnShow(facts.bundle, "", facts.thresholds)
    _remember(store, shown)
    return ServiceParts(store, settings, shown, FolderPictures(folder))


@dataclass(frozen=True)
class ScoringService:
    """What makes a service that scores.

    Attributes:
        bundle: loaded.
        request: options of scoring, without pictures.
        lanes: films on their way at a time.
    """

    bundle: Bundle
    request: BatchRequest
    lanes: int

    def parts(self, store: Store, settings: ServiceSettings) -> ServiceParts:
        """Return the service, which does not score yet."""
        from hilum.batch.score import FilmScoring
        from hilum.service.derived import DerivedPictures
        from hilum.service.queue import FilmQueue

        bundle = self.bundle
        scoring = FilmScoring(bundle, store.root, self.request)
        points = bundle.manifest.calibration.thresholds()
        numbers = bundle.evaluation()
        shown = BundleOnShow(
            bundle.id,
            bundle.manifest.name,
            {name: points.get(name) for name in bundle.labels},
            numbers,
        )
        _remember(store, shown)
        store.objects.clear_tmp()
        watch = self._watch(store, settings)
        queue = FilmQueue(
            store.films,
            store.objects,
            scoring,
            self.lanes,
            settings.limits.waiting,
            None if watch is None else watch.note,
        )
        pictures = DerivedPictures(store.objects, scoring)
        return ServiceParts(store, settings, shown, pictures, queue, watch)

    def _watch(self, store: Store, settings: ServiceSettings) -> ServiceWatch | None:
        """Return the watch of the bundle's reference; None where it carries none.

        Raises:
            UsageError: for films of a day without a reference.
        """
        reference = self.bundle.reference
        if reference is None:
            if settings.watch_every is not None:
                raise UsageError(
                    "a bundle without a reference is not watched; got --watch-every. Ship one with "
                    "`hilum bundle RUN --watch REFERENCE`"
                )
            return None
        from hilum.service.watch import ServiceWatch

        seal = read_seal(self.bundle.root / WATCH_REFERENCE)
        every = settings.watch_every
        return ServiceWatch(store.database, self.bundle.id, reference, seal, every)


def _remember(store: Store, shown: BundleOnShow) -> None:
    store.films.set(FINDINGS, json.dumps(list(shown.findings)))
