"""The film of a card in the report: the maps that lie over it, and the words by each."""

from __future__ import annotations

from dataclasses import dataclass

from hilum.domain.documents.results import ImageResult
from hilum.domain.findings import LabelSet
from hilum.explain.caption import token_words

__all__ = ["MapEntry", "map_entries"]


@dataclass(frozen=True)
class MapEntry:
    """One map of a film, with what its caption says.

    Attributes:
        finding: its name.
        probability: of the finding on the film, in [0, 1].
        positive: whether it is at or above its threshold.
        regions: where the map peaks, in words; empty for an empty map.
        file: the map, relative to the output folder.
        overlay: the same map burned into the film; empty where none was requested.
        token: what the network's class token decided, in a sentence; empty without one.
    """

    finding: str
    probability: float
    positive: bool
    regions: str
    file: str
    overlay: str
    token: str = ""


def map_entries(result: ImageResult, labels: LabelSet) -> tuple[MapEntry, ...]:
    """Return the maps of a film: positive findings first, the most probable first, then the rest.

    The first is the one that shows when the page opens.
    """
    findings, shares = result.findings or {}, result.token_shares
    order = dict.fromkeys((*result.positives, *labels))
    return tuple(
        MapEntry(
            finding=name,
            probability=findings[name].probability,
            positive=findings[name].positive is True,
            regions=", ".join(findings[name].regions),
            file=result.maps[name],
            overlay=result.heatmaps.get(name, ""),
            token=token_words(shares[name]) if name in shares else "",
        )
        for name in order
        if name in result.maps and name in findings
    )
