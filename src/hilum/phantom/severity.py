"""How marked findings are: the one table that sets how hard a drawn corpus is."""

from __future__ import annotations

__all__ = ["SEVERITY", "severity_of"]

SEVERITY: dict[str, tuple[float, float, float]] = {
    "Atelectasis": (0.45, 1.0, 0.6),
    "Cardiomegaly": (0.20, 1.0, 0.8),
    "Effusion": (0.45, 1.0, 0.55),
    "Infiltration": (0.50, 1.0, 0.55),
    "Mass": (0.45, 1.0, 0.5),
    "Nodule": (0.60, 1.0, 0.4),
    "Pneumonia": (0.35, 1.0, 0.7),
    "Pneumothorax": (0.40, 1.0, 0.6),
    "Consolidation": (0.30, 1.0, 0.7),
    "Edema": (0.25, 1.0, 0.8),
    "Emphysema": (0.25, 1.0, 0.8),
    "Fibrosis": (0.40, 1.0, 0.6),
    "Pleural_Thickening": (0.60, 1.0, 0.4),
    "Hernia": (0.40, 1.0, 0.6),
}
"""Finding to (mildest, most marked, skew). Severity is `mildest + (marked - mildest) * u**skew`
for u uniform in [0, 1]: raise `mildest` or lower `skew` to make a finding easier to see."""


def severity_of(finding: str, share: float) -> float:
    """Severity at a share of the finding's cases, from the mildest (0) to the most marked (1).

    >>> severity_of("Hernia", 0.0), severity_of("Hernia", 1.0)
    (0.4, 1.0)
    """
    low, high, skew = SEVERITY[finding]
    return low + (high - low) * share**skew
