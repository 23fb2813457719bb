"""How marked findings are: the one table that sets how hard a drawn corpus is."""

from __future__ import annotations

__all__ = ["SEVERITY", "severity_of"]

SEVERITY: dict[str, tuple[float, float, float]] = {
    "Atelectasis": (0.10, 1.0, 1.2),
    "Cardiomegaly": (0.10, 1.0, 1.1),
    "Effusion": (0.10, 1.0, 1.2),
    "Infiltration": (0.10, 1.0, 1.2),
    "Mass": (0.10, 1.0, 1.0),
    "Nodule": (0.10, 1.0, 1.0),
    "Pneumonia": (0.10, 1.0, 1.1),
    "Pneumothorax": (0.10, 1.0, 1.1),
    "Consolidation": (0.15, 1.0, 1.1),
    "Edema": (0.15, 1.0, 1.1),
    "Emphysema": (0.10, 1.0, 1.1),
    "Fibrosis": (0.10, 1.0, 1.1),
    "Pleural_Thickening": (0.10, 1.0, 1.1),
    "Hernia": (0.20, 1.0, 1.0),
}
"""Finding to (mildest, most marked, skew). Severity is `mildest + (marked - mildest) * u**skew`
for u uniform in [0, 1]: raise `mildest` or lower `skew` to make a finding easier to see."""


def severity_of(finding: str, share: float) -> float:
    """Severity at a share of the finding's cases, from the mildest (0) to the most marked (1).

    >>> severity_of("Hernia", 0.0), severity_of("Hernia", 1.0)
    (0.2, 1.0)
    """
    low, high, skew = SEVERITY[finding]
    return low + (high - low) * share**skew
