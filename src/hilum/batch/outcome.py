"""Outcome of a batch's films: read anew from its journal each time, never all in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from hilum.batch.journal import Entry, Journal, read_entries
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import ReasonCode, Status

__all__ = ["BatchOutcome"]


class BatchOutcome(Collection[ImageResult]):
    """The results of a batch in the order of their inputs' names, as often as they are requested.

    Two files that claim to be one DICOM object and show different pictures cannot both be right.
    The first by name that was scored keeps its result and each other is rejected, whichever was
    read first, so that the same films give the same reports.

    Args:
        journal: with an entry of every input.
        names: the inputs, as they were listed.
    """

    def __init__(self, journal: Journal, names: Iterable[str]) -> None:
        places = journal.places()
        self._path = journal.path
        self._places = [places[name] for name in sorted(names)]
        self._conflicts = _conflicts(read_entries(self._path, self._places))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, result: object) -> bool:
        return any(result == mine for mine in self)

    def __iter__(self) -> Iterator[ImageResult]:
        for entry in read_entries(self._path, self._places):
            first = self._conflicts.get(entry.result.input)
            yield entry.result if first is None else _rejected(entry.result, first)


def _conflicts(entries: Iterable[Entry]) -> dict[str, str]:
    """Input to the earlier input that was scored and whose identity it claims with other pixels.

    A film that was not scored has no say in what the others are.
    """
    first: dict[str, tuple[str, str]] = {}
    conflicts: dict[str, str] = {}
    for entry in entries:
        pixels, image_id = first.get(entry.sop_instance_uid, (entry.pixels_sha256, ""))
        if pixels != entry.pixels_sha256:
            conflicts[entry.result.input] = image_id
        elif entry.sop_instance_uid and entry.result.status.scored:
            mine = (entry.pixels_sha256, entry.result.image_id)
            first.setdefault(entry.sop_instance_uid, mine)
    return conflicts


def _rejected(result: ImageResult, first: str) -> ImageResult:
    return ImageResult(
        input=result.input,
        image_id=result.image_id,
        sha256=result.sha256,
        status=Status.REJECT,
        codes=(ReasonCode.DUPLICATE_SOP_CONFLICT,),
        message=f"a SOP instance UID belongs to one picture; {first!r} shows another with the same",
        view=result.view,
        threshold_source=result.threshold_source,
        bundle=result.bundle,
        precision=result.precision,
    )
