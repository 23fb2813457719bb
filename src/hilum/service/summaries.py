"""What the store keeps beside a line of results.jsonl, so that films can be sorted and filtered."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping

from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.service.store.films import NewResult

__all__ = ["NEAR_ODDS", "margin", "margin_between", "summarize", "thresholds_id"]

NEAR_ODDS = 1.5
"""A finding whose odds are within this factor of its threshold's is near it."""
_EDGE = 1e-9
"""Probabilities nearer to 0 or 1 have no finite log-odds worth comparing."""


def margin(finding: FindingResult) -> float | None:
    """Return the log-odds of a probability less those of its threshold; None without one.

    >>> round(margin(FindingResult.called(0.5, 0.5, calibrated=True)), 3)
    0.0
    """
    return margin_between(finding.probability, finding.threshold)


def margin_between(probability: float, threshold: float | None) -> float | None:
    """Return the log-odds of a probability less those of a threshold; None without one."""
    return None if threshold is None else _log_odds(probability) - _log_odds(threshold)


def summarize(result: ImageResult, line: str, sop: str = "", pixels: str = "") -> NewResult:
    """Return what the store keeps of a result.

    Args:
        result: of a film.
        line: the same as its line of results.jsonl, without its end.
        sop: DICOM identity of the film, which is kept as a hash.
        pixels: hash of the stored pixels, where there is a DICOM identity.
    """
    found = result.findings or {}
    margins = {name: margin(one) for name, one in found.items()}
    near = [
        name
        for name, one in found.items()
        if one.positive is False and (margins[name] or 0.0) >= -math.log(NEAR_ODDS)
    ]
    known = [value for value in margins.values() if value is not None]
    scores = {
        name: _log_odds(one.probability) if margins[name] is None else (margins[name] or 0.0)
        for name, one in found.items()
    }
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


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _EDGE), 1.0 - _EDGE)
    return math.log(kept / (1.0 - kept))
