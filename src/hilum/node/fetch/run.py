"""A fetch: each line of a list to its study, its chest films to the folder, and a row.

The output folder holds films with the patient's identity, for its owner alone::

    OUT/
      fetched.csv             a row for each line, in their order; nothing of a patient in it
      fetched.jsonl           the same, as it grew: a fetch that was stopped goes on from it
      films/STUDY/FILM.dcm    the films
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.domain.errors import Status, UsageError
from hilum.files.lock import locked
from hilum.files.rows import write_rows
from hilum.imaging.gate.body_part import shows_chest
from hilum.node.fetch.dicom import DicomFilmSource
from hilum.node.fetch.folder import FilmFolder
from hilum.node.fetch.pace import Hours, Pace
from hilum.node.fetch.rows import FetchCode, FetchJournal, FetchRow
from hilum.node.fetch.source import (
    FilmSource,
    FoundSeries,
    SourceRefusedError,
    SourceUnreachableError,
)
from hilum.node.fetch.wanted import KeyKind, StudyKey, StudyQuery
from hilum.node.fetch.web import WebFilmSource
from hilum.node.guards import check_version, quiet_library
from hilum.node.peers import AnySource, WebSource
from hilum.node.settings import NodeSettings

__all__ = ["TABLE", "FetchRequest", "fetch_films"]

TABLE, _JOURNAL = "fetched.csv", "fetched.jsonl"
_MODALITIES = ("CR", "DX", "OT", "SC", "")
"""Modalities of a series that may hold chest radiographs; the gate looks at the films."""
_UNREACHED = 3
"""Lines in a row without an answer, after which the source is left alone."""
_SENTENCES = {
    FetchCode.NOT_FOUND: "The source has no such study.",
    FetchCode.SEVERAL_STUDIES: "The source has several such studies; name one by its study UID.",
    FetchCode.NO_CHEST_FILM: "No series of the study can hold a chest radiograph.",
    FetchCode.PARTLY_FETCHED: "Some films of the study did not come, or are not what was wanted.",
    FetchCode.DUPLICATE_LINE: "An earlier line names the same study in the same way.",
}


@dataclass(frozen=True)
class FetchRequest:
    """What to fetch, and how.

    Attributes:
        source: name of the source, as in the configuration.
        wanted: lines of a list, or a query.
        rate: films a second; None for no limit.
        hours: hours of the day in which to work.
    """

    source: str
    wanted: Sequence[StudyKey] | StudyQuery
    rate: float | None = None
    hours: Hours = Hours(None)  # noqa: RUF009 (it never changes)


def fetch_films(
    settings: NodeSettings,
    request: FetchRequest,
    out: Path,
    advance: Callable[[int, int], None] | None = None,
    remark: Callable[[str], None] = lambda _: None,
) -> list[FetchRow]:
    """Fetch films, and write the output folder; a bad line never stops the others.

    Args:
        settings: with the source.
        request: what to fetch.
        out: the output folder; one that holds a fetch from the same source goes on.
        advance: called with (done, total) after each line.
        remark: called with a line for the user.

    Returns:
        The row of each line, in their order.

    Raises:
        UsageError: for an unknown source, a query that finds more than it allows or is not
            answered, and an address for C-MOVE that cannot be listened on.
    """
    check_version()
    quiet_library()
    source = _named(settings, request.source)
    with locked(out):
        out.chmod(0o700)
        journal = FetchJournal(out / _JOURNAL, request.source)
        most = settings.listen.dicom.max_object_mb * 10**6
        folder = FilmFolder(out, most, Pace(request.rate))
        peer = _opened(source, settings, folder)
        try:
            request.hours.wait(remark)
            keys = _keys(peer, request)
            work = _Work(peer, folder, journal, request.hours)
            rows: list[FetchRow] = []
            for key in keys:
                rows.append(work.row(key, remark))
                if advance is not None:
                    advance(len(rows), len(keys))
        finally:
            peer.close()
        write_rows(out / TABLE, FetchRow, rows)
    return rows


def _named(settings: NodeSettings, name: str) -> AnySource:
    found = {one.name: one for one in settings.sources}
    if name not in found:
        known = ", ".join(found) or "none"
        raise UsageError(
            f"a source must be one of `sources` in the configuration; got {name!r}. There are: "
            f"{known}"
        )
    return found[name]


def _opened(source: AnySource, settings: NodeSettings, folder: FilmFolder) -> FilmSource:
    if isinstance(source, WebSource):
        return WebFilmSource(source)
    return DicomFilmSource(source, settings, folder)


def _keys(peer: FilmSource, request: FetchRequest) -> Sequence[StudyKey]:
    query = request.wanted
    if not isinstance(query, StudyQuery):
        return query
    try:
        uids = peer.search(query)
    except (SourceUnreachableError, SourceRefusedError) as error:
        raise UsageError(f"a source must answer a query; {request.source}: {error}") from None
    if len(uids) > query.at_most:
        raise UsageError(
            f"a query must find {query.at_most:,} studies or fewer; it finds more. Name fewer "
            "days, or raise at_most"
        )
    return [StudyKey(line, KeyKind.QUERY, uid) for line, uid in enumerate(uids, start=1)]


class _Work:
    """One run over some lines."""

    def __init__(
        self, peer: FilmSource, folder: FilmFolder, journal: FetchJournal, hours: Hours
    ) -> None:
        self._peer = peer
        self._folder = folder
        self._journal = journal
        self._hours = hours
        self._seen: set[str] = set()
        self._unreached = 0

    def row(self, key: StudyKey, remark: Callable[[str], None]) -> FetchRow:
        """Fetch what a line names; return its row."""
        if key.fault:
            return _row(key, Status.ERROR, FetchCode.LINE_INVALID, f"{key.fault.capitalize()}.")
        entry = self._journal.entry(key)
        if entry in self._seen:
            return _row(key, Status.SKIP, FetchCode.DUPLICATE_LINE)
        self._seen.add(entry)
        known = self._journal.settled(key)
        if known is not None and (
            not known.folder or self._folder.holds(known.folder) >= known.films
        ):
            return known
        if self._unreached >= _UNREACHED:
            words = "The source was left alone after several lines without an answer."
            return _row(key, Status.ERROR, FetchCode.SOURCE_UNREACHABLE, words)
        self._hours.wait(remark)
        try:
            row = self._fetched(key)
            self._unreached = 0
        except SourceUnreachableError as error:
            self._unreached += 1
            words = f"The source does not answer: {error}."
            row = _row(key, Status.ERROR, FetchCode.SOURCE_UNREACHABLE, words)
        except SourceRefusedError as error:
            words = f"The source refuses: {error}."
            row = _row(key, Status.ERROR, FetchCode.SOURCE_REFUSED, words)
        self._journal.add(key, row)
        return row

    def _fetched(self, key: StudyKey) -> FetchRow:
        studies = [key.value] if key.kind is KeyKind.QUERY else self._peer.studies(key)
        if len(studies) != 1:
            code = FetchCode.SEVERAL_STUDIES if studies else FetchCode.NOT_FOUND
            return _row(key, Status.REJECT, code, studies=len(studies))
        (study,) = studies
        wanted = [one for one in self._peer.series(study) if _may_show_chest(one)]
        if not wanted:
            return _row(key, Status.SKIP, FetchCode.NO_CHEST_FILM, studies=1)
        self._folder.begin(study)
        missing = sum(self._peer.retrieve(study, one.uid, self._folder) for one in wanted)
        films = len(self._folder.kept)
        place = self._folder.place(study) if films else ""
        found = FetchRow(key.line, key.kind.value, studies=1, films=films, folder=place)
        if films and not missing:
            return found
        code = FetchCode.PARTLY_FETCHED
        return replace(
            found,
            status=(Status.WARN if films else Status.ERROR).value,
            code=code.value,
            reason=_SENTENCES[code],
            missing=missing,
        )


def _may_show_chest(series: FoundSeries) -> bool:
    if series.modality.strip().upper() not in _MODALITIES:
        return False
    return shows_chest(series.body_part) is not False


def _row(
    key: StudyKey, status: Status, code: FetchCode, reason: str = "", studies: int = 0
) -> FetchRow:
    words = reason or _SENTENCES[code]
    return FetchRow(key.line, key.kind.value, status.value, code.value, words, studies)
