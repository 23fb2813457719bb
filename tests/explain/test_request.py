"""Which heatmaps are drawn: words, names, and refusals that help."""

from __future__ import annotations

import pytest

from hilum.domain.documents.results import FindingResult
from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.explain.request import HeatmapRequest, Selection

LABELS = LabelSet("three", ("Effusion", "Mass", "Edema"))


def said(**probabilities: float) -> dict[str, FindingResult]:
    return {
        name: FindingResult(probability=p, threshold=0.5, positive=p >= 0.5)
        for name, p in probabilities.items()
    }


FILM = said(Effusion=0.6, Mass=0.9, Edema=0.1)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("positives", ("Mass", "Effusion")),
        ("top", ("Mass",)),
        ("all", ("Effusion", "Mass", "Edema")),
        ("none", ()),
        ("Edema", ("Edema",)),
        ("pleural effusion,Edema , Effusion", ("Effusion", "Edema")),
        (" ALL ", ("Effusion", "Mass", "Edema")),
    ],
)
def test_selection(text: str, drawn: tuple[str, ...]) -> None:
    request = HeatmapRequest.parse(text)
    request.check(LABELS)
    assert request.select(FILM) == drawn
    assert HeatmapRequest.parse(str(request)) == request


def test_top_is_drawn_though_nothing_is_positive() -> None:
    assert HeatmapRequest.parse("top").select(said(Mass=0.2, Edema=0.1)) == ("Mass",)
    assert HeatmapRequest.parse("positives").select(said(Mass=0.2, Edema=0.1)) == ()


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("positive", "Did you mean 'positives'?"),
        ("Efusion", "Did you mean 'Effusion'?"),
        ("Effusion,tpo", "Did you mean 'top'?"),
        ("all,Effusion", "got 'all'. Give it alone"),
        ("", "got ''"),
    ],
)
def test_a_word_that_is_neither_is_refused(text: str, near: str) -> None:
    with pytest.raises(UsageError, match="heatmaps must be of positives, top") as refused:
        HeatmapRequest.parse(text)
    assert near in str(refused.value)


def test_a_finding_that_the_bundle_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="no finding 'Hernia' in three"):
        HeatmapRequest.parse("Hernia").check(LABELS)


def test_the_default_is_positives() -> None:
    assert HeatmapRequest().selection is Selection.POSITIVES
