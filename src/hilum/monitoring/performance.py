"""Performance estimated without labels, from calibrated probabilities alone (CBPE)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.watch import EstimatedPerformance
from hilum.metrics.resampling import interval, patient_resamples
from hilum.monitoring.films import WatchedFilms

__all__ = ["ASSUMPTION", "estimated_performance"]

ASSUMPTION = (
    "estimated without labels (CBPE): right only if the probabilities are calibrated on these "
    "films and findings look as they did; it cannot see that either has changed"
)
_RESAMPLES = 200

Numbers = NDArray[np.float64]


def estimated_performance(films: WatchedFilms, seed: int) -> tuple[EstimatedPerformance, ...]:
    """Return prevalence, sensitivity, specificity, PPV and AUROC as the probabilities imply them.

    A film with probability p counts as p of a positive and 1 - p of a negative. Of calibrated
    findings with a threshold only.

    Args:
        films: those that were scored count.
        seed: of the patient resamples behind the intervals.
    """
    names = list(films.thresholds)
    rows = np.flatnonzero(np.isfinite(films.probabilities[names[0]])) if names else np.arange(0)
    if not rows.size:
        return ()
    patients = films.patients[rows]
    scores = {name: films.probabilities[name][rows] for name in names}
    drawn: dict[str, list[dict[str, Numbers]]] = {name: [] for name in names}
    rng = np.random.default_rng(seed)
    for weights in patient_resamples(patients.astype(np.str_), _RESAMPLES, rng):
        for name, p in scores.items():
            drawn[name].append(_implied(p, films.thresholds[name], weights.astype(np.float64)))
    return tuple(
        EstimatedPerformance(
            finding=name,
            films=int(rows.size),
            patients=int(np.unique(patients).size),
            **{
                key: interval(
                    float(value[0]),
                    np.concatenate([part[key] for part in drawn[name]]),
                    "no film counts for it",
                )
                for key, value in _implied(
                    p, films.thresholds[name], np.ones((1, rows.size))
                ).items()
            },
        )
        for name, p in scores.items()
    )


def _implied(p: Numbers, threshold: float, weights: Numbers) -> dict[str, Numbers]:
    """Return each number for (R, N) weights of the films."""
    order = np.argsort(p, kind="stable")
    p, weights = p[order], weights[:, order]
    called = np.asarray(p >= threshold, np.float64)
    total, positive = weights.sum(axis=1), weights @ p
    hit, flagged = weights @ (p * called), weights @ called
    negative = total - positive
    below = np.cumsum(weights * (1.0 - p), axis=1) - weights * (1.0 - p) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "prevalence": positive / total,
            "sensitivity": hit / positive,
            "specificity": 1.0 - (flagged - hit) / negative,
            "ppv": hit / flagged,
            "auroc": (weights * p * below).sum(axis=1) / (positive * negative),
        }
