"""What the store keeps beside a line of results.jsonl, so that films can be sorted and filtered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.report.parts.scores import ScoreGroup, margin
from hilum.service.store.films import NewResult

__all__ = ["summarize", "thresholds_id"]

_EVEN = 0.5
"""Probability whose log-odds are 0."""


def summarize(result: ImageResult, line: str, sop: str = "", pixels: str = "") -> NewResult:
    """Return what the store keeps of a result.

    Args:
        result: of a film.
        line: the same as its line of results.jsonl, without its end.
        sop: DICOM identity of the film, which is kept as a hash.
        pixels: hash of the stored pixels, where there is a DICOM identity.
    """
    found = result.findings or {}
    near = [name for name, one in found.items() if ScoreGroup.of(one) is ScoreGroup.NEAR]
    # without a threshold, how likely it is sorts the films
    scores = {
        name: margin(one.probability, _EVEN if one.threshold is None else one.threshold)
        for name, one in found.items()
    }
    known = [scores[name] for name, one in found.items() if one.threshold is not None]
    return NewResult(
        bundle=result.bundle,
        thresholds=thresholds_id(found),
        line=line,
        status=result.status.value,
        view=result.view.value,
        patient=result.patient,
        priority=max(known, default=None),
        positives=result.positives,
        near=near,
        scores=scores,
        sop=hashlib.sha256(sop.encode("utf-8", "replace")).hexdigest() if sop else "",
        pixels=pixels,
    )


def thresholds_id(findings: Mapping[str, FindingResult]) -> str:
    """Return a short hash of the thresholds of a film's findings; empty without findings.

    >>> thresholds_id({})
    ''
    """
    if not findings:
        return ""
    tree = {name: one.threshold for name, one in findings.items()}
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]
