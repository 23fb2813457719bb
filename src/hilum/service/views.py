"""Films and readings as documents, with what a caller may not see yet left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.batch.results_jsonl import result_of
from hilum.report.parts.score_text import measured, score_sentence
from hilum.report.parts.scores import margin, scores_of
from hilum.report.parts.text import REASONS
from hilum.service.documents import (
    FilmLinks,
    HistoryDocument,
    ReadingDocument,
    ScoreWords,
    TopFinding,
    VerdictDocument,
    WorklistFilm,
)
from hilum.service.parts import ServiceParts, utc
from hilum.service.store.films import FilmRow
from hilum.service.store.tokens import AccessToken
from hilum.service.store.verdicts import StoredVerdict, differ, newest_of_each
from hilum.service.store.worklist import ListedFilm

__all__ = ["film_document", "history_of", "links_of", "listed_film", "verdict_document"]

_REVEALING = frozenset({"EMPTY_HEATMAP", "HEATMAP_FAILED"})
"""Codes that only a film with a positive finding can have."""


def film_document(parts: ServiceParts, film: FilmRow, caller: AccessToken) -> bytes:
    """Return a `FilmDocument`, the line of results.jsonl in it byte for byte."""
    seen = parts.may_see(film.id, caller)
    shown = film.line and (seen or not film.scored)
    codes = [ReasonCode(code) for code in film.facts.get("codes", ())] if shown else []
    history = parts.verdicts.history(film.id)
    mine = [one for one in history if one.reader == caller.reader]
    tree = {
        "id": film.id,
        "name": film.name,
        "state": parts.state_of(film),
        "added": utc(film.added),
        "blinded": not seen,
        "reasons": {code.value: REASONS[code] for code in codes},
        "scores": _score_words(parts, film) if seen else {},
        "reading": _reading(parts, film, caller, bool(mine)).model_dump(),
        "mine": verdict_document(parts, mine[-1], mine[:-1]).model_dump() if mine else None,
        "links": links_of(parts, film, seen).model_dump(),
        "notice": NOT_A_DEVICE,
    }
    line = film.line if shown else "null"
    text = json.dumps(tree, separators=(",", ":"))
    return f'{text[:-1]},"result":{line}}}'.encode("ascii")


def _score_words(parts: ServiceParts, film: FilmRow) -> dict[str, dict[str, str]]:
    """Return the words on each score of a film, as its report has them."""
    if not film.line:
        return {}
    result = result_of(film.line)
    if result.findings is None:
        return {}
    labels = LabelSet("scored", tuple(result.findings))
    # the numbers are those of the bundle that is loaded now
    numbers = parts.bundle.evaluation if result.bundle == parts.bundle.id else None
    return {
        one.name: ScoreWords(
            sentence=score_sentence(one), measured=measured(numbers, one)
        ).model_dump()
        for one in scores_of(result, labels)
    }


def listed_film(parts: ServiceParts, listed: ListedFilm, caller: AccessToken) -> WorklistFilm:
    """Return a film of the list."""
    film = listed.film
    seen = not parts.settings.blind or listed.read_by_me
    facts = film.facts  # without a check: hilum wrote the line, and a page has 200 of them
    shown: dict[str, Any] = {"status": None}
    if facts:
        scored = Status(facts["status"]).scored
        shown = {
            "status": "scored" if scored and not seen else facts["status"],
            "codes": tuple(one for one in facts.get("codes", ()) if seen or one not in _REVEALING),
            "message": facts.get("message", ""),
            "view": facts.get("view"),
            "patient": facts.get("patient", ""),
        }
    if facts and seen:
        shown |= {
            "priority": listed.priority,
            "top": _top(facts.get("findings") or {}),
            "positives": listed.positives,
            "near": listed.near,
        }
    return WorklistFilm(
        id=film.id,
        name=film.name,
        state=parts.state_of(film),
        added=utc(film.added),
        blinded=not seen,
        reading=_reading(parts, film, caller, listed.read_by_me),
        links=links_of(parts, film, seen),
        **shown,
    )


def links_of(parts: ServiceParts, film: FilmRow, seen: bool) -> FilmLinks:
    """Return where the parts of a film are."""
    here = f"/v1/films/{film.id}"
    offers = parts.pictures.offers(film)
    findings = parts.pictures.overlays(film) if seen else ()
    layers = parts.pictures.layers(film) if seen else ()
    return FilmLinks(
        self=here,
        history=f"{here}/history",
        verdict=f"{here}/verdict",
        preview=f"{here}/preview" if offers["preview"] else None,
        pixels=f"{here}/pixels" if offers["pixels"] else None,
        maps=f"{here}/maps" if offers["maps"] and seen else None,
        overlays={name: f"{here}/overlay/{name.replace(' ', '%20')}" for name in findings},
        layers={name: f"{here}/layer/{name.replace(' ', '%20')}" for name in layers},
    )


def verdict_document(
    parts: ServiceParts, verdict: StoredVerdict, before: Sequence[StoredVerdict]
) -> VerdictDocument:
    """Return one version of a film's readings.

    Args:
        parts: of the service.
        verdict: the version.
        before: earlier versions of the film, oldest first.
    """
    own = [one for one in before if one.reader == verdict.reader]
    return VerdictDocument(
        **verdict.body,
        version=verdict.version,
        reader=verdict.reader,
        reader_name=parts.store.tokens.names().get(verdict.reader, ""),
        time=utc(verdict.made),
        blinded=verdict.blinded,
        bundle=verdict.bundle,
        thresholds=verdict.thresholds,
        changed=_changed(own[-1].body, verdict.body) if own else (),
    )


def history_of(parts: ServiceParts, film: FilmRow) -> HistoryDocument:
    """Return all readings of a film."""
    history = parts.verdicts.history(film.id)
    readings = (
        verdict_document(parts, one, history[:number]) for number, one in enumerate(history)
    )
    return HistoryDocument(
        film=film.id,
        version=film.version,
        readings=tuple(readings),
        differ=tuple(differ(list(newest_of_each(history).values()))),
    )


def _reading(
    parts: ServiceParts, film: FilmRow, caller: AccessToken, read_by_me: bool
) -> ReadingDocument:
    """Return how far a film was read; nothing of other readers before one's own, while blinded."""
    seen = not parts.settings.blind or read_by_me
    return ReadingDocument(
        version=parts.verdicts.current(film.id, caller.reader) if not seen else film.version,
        readings=film.readings if seen else 0,
        read_by_me=read_by_me,
        conflict=film.conflict and seen,
        second_look=film.second_look and seen,
    )


def _top(findings: Mapping[str, Any]) -> TopFinding | None:
    margins = {
        name: margin(one["probability"], threshold)
        for name, one in findings.items()
        if (threshold := one.get("threshold")) is not None
    }
    if not margins:
        return None
    name = max(margins, key=lambda one: margins[one])
    one = findings[name]
    return TopFinding(
        finding=name,
        probability=one["probability"],
        threshold=one["threshold"],
        margin=margins[name],
    )


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the findings and fields that differ.

    >>> _changed({"findings": {"Mass": "present"}, "note": ""}, {"findings": {}, "note": "a"})
    ('Mass', 'note')
    """
    before, after = old.get("findings", {}), new.get("findings", {})
    findings = [
        name
        for name in dict.fromkeys((*before, *after))
        if before.get(name, "not_judged") != after.get(name, "not_judged")
    ]
    fields = [key for key in new if key != "findings" and old.get(key) != new[key]]
    return (*findings, *fields)
