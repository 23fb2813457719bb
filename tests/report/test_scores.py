"""Scores beside their thresholds: groups, order, and words that cannot contradict numbers."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hilum.bundle.bundle import shipped
from hilum.bundle.manifest import Manifest, read_evaluation
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import Decision, FindingResult
from hilum.files.sealed import read_sealed
from hilum.report.parts.score_bars import log_odds_bar, position
from hilum.report.parts.score_text import beside_threshold, measured, score_sentence
from hilum.report.parts.scores import (
    NEAR_ODDS,
    FindingScore,
    ScoreGroup,
    margin,
    priority,
    scores_of,
    top,
)

shares = st.one_of(
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0, width=32),
    st.floats(1e-9, 1e-2),
    st.sampled_from([0.0, 1.0, 0.5, 0.000999, 0.001, 0.0995, 0.9995, 1 - 1e-12]),
)
pairs = st.one_of(
    st.tuples(shares, shares),
    shares.flatmap(
        lambda p: st.tuples(st.just(p), st.floats(-1e-3, 1e-3).map(lambda d: min(max(p + d, 0), 1)))
    ),
)
SENTENCE = re.compile(
    r"([<>]?)([\d.]+)%, (just )?(above|at|below) its threshold of ([<>]?)([\d.]+)%"
)


def score(probability: float, threshold: float | None, name: str = "Mass") -> FindingScore:
    result = FindingResult.called(probability, threshold, calibrated=True)
    group = ScoreGroup.of(result)
    distance = None if threshold is None else margin(probability, threshold)
    return FindingScore(name, result, group, distance)


@given(pairs)
@example((0.06301, 0.06299))
@example((0.9999999999, 1.0))
@example((0.00004, 0.00005))
@example((0.0995000001, 0.0995))
def test_the_words_never_contradict_the_numbers(pair: tuple[float, float]) -> None:
    probability, threshold = pair
    found = SENTENCE.fullmatch(beside_threshold(probability, threshold))
    assert found is not None
    sign, shown, just, word, their_sign, theirs = found.groups()
    assert word == (
        "at" if probability == threshold else "above" if probability > threshold else "below"
    )
    for share, mark, text in ((probability, sign, shown), (threshold, their_sign, theirs)):
        value, digits = float(text) / 100, len(text.partition(".")[2])
        if mark:
            # what is shown as a bound keeps it
            assert share < value if mark == "<" else share >= 0.9995
        elif not just:
            assert abs(share - value) <= 0.5000001 * 10.0 ** -(digits + 2)
            assert value not in (0.0, 1.0) or share == value, "no rounding to certainty"
    if not just and word != "at" and not sign and not their_sign:
        assert (float(shown) < float(theirs)) is (word == "below")
        assert shown != theirs
    if just:
        assert abs(probability - threshold) < 1e-4


@given(shares, shares)
def test_sign_of_a_margin_and_group_agree_with_the_call(p: float, t: float) -> None:
    one = score(p, t)
    assert one.margin is not None
    assert (one.margin >= 0.0) is (p >= t)
    assert (one.group is ScoreGroup.ABOVE) is (one.result.positive is True)
    assert math.isfinite(one.margin)
    assert (position(one.margin) >= 50.0) is (p >= t)
    word = "above" if p > t else "at" if p == t else "below"
    assert f" {word} its threshold" in score_sentence(one)


def test_near_is_one_and_a_half_times_the_odds() -> None:
    threshold = 0.2
    odds = threshold / (1 - threshold) / NEAR_ODDS
    edge = odds / (1 + odds)
    assert score(edge * 1.0001, threshold).group is ScoreGroup.NEAR
    assert score(edge * 0.9999, threshold).group is ScoreGroup.BELOW
    assert score(threshold, threshold).group is ScoreGroup.ABOVE


def test_nothing_is_said_of_a_threshold_that_is_not_there() -> None:
    alone = score(0.02, None)
    assert alone.group is ScoreGroup.UNCALLED
    assert score_sentence(alone) == "2.0%; no threshold, so not called"
    held = FindingResult(
        probability=0.4,
        threshold=0.2,
        positive=None,
        decision=Decision.ABSTAINED,
        abstention="age below 18",
    )
    assert ScoreGroup.of(held) is ScoreGroup.UNCALLED
    assert score_sentence(FindingScore("Mass", held, ScoreGroup.UNCALLED, None)) == (
        "40.0%; not called: age below 18"
    )


def test_reading_order_and_priority(scored, mixed) -> None:
    film = scored("a", (0.45, 0.3, 0.02))
    order = scores_of(film, mixed.labels)
    assert [(one.name, one.group.name) for one in order] == [
        ("Hernia", "ABOVE"),
        ("Effusion", "ABOVE"),
        ("Atelectasis", "NEAR"),
    ]
    assert top(order) is order[0]
    assert priority(order) == pytest.approx(math.log(0.02 / 0.98) - math.log(0.01 / 0.99))
    assert scores_of(mixed.results[3], mixed.labels) == []
    assert priority([]) == -50.0


def test_every_threshold_is_drawn_at_the_same_place() -> None:
    for one in (score(0.9, 0.01), score(0.001, 0.4), score(0.2, 0.2)):
        assert one.margin is not None
        assert '<path class="tick" d="M50 0V10"/>' in log_odds_bar(one.margin, True)
    assert "beyond" in log_odds_bar(math.log(11), True)
    assert "beyond" not in log_odds_bar(math.log(9.9), True)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    root = shipped()["starter"]
    manifest = read_sealed(Manifest, root / "bundle.json")
    return read_evaluation(root / "evaluation.json", manifest.calibration)


MEASURED = re.compile(
    r"Of 100 films (flagged for it|that have it), (\S+) \[(\S+), (\S+)\] (?:have it|are flagged) "
    r"\((.+), n = ([\d,]+), ([\d,]+) with it\)\."
)


def test_what_a_threshold_buys_is_what_the_evaluation_says(evaluation: Evaluation) -> None:
    said = 0
    for name, finding in evaluation.findings.items():
        for point in finding.operating_points.values():
            if point.threshold is None:
                continue
            near = point.threshold * 0.9
            for probability, share in ((point.threshold, point.ppv), (near, point.sensitivity)):
                words = measured(evaluation, score(probability, point.threshold, name))
                if share.value is None or share.low is None or share.high is None:
                    assert words == "", (name, point.target)
                    continue
                found = MEASURED.fullmatch(words)
                assert found is not None, words
                assert (found[1] == "flagged for it") is (probability == point.threshold)
                numbers = (share.value, share.low, share.high)
                for text, number in zip(found.groups()[1:4], numbers, strict=True):
                    assert abs(float(text) - 100 * number) <= 0.5
                assert found[5] == evaluation.split.name
                assert int(found[6].replace(",", "")) == finding.n
                assert int(found[7].replace(",", "")) == finding.positives
                said += 1
    assert said > 20


def test_nothing_is_said_without_an_operating_point_at_this_threshold(
    evaluation: Evaluation,
) -> None:
    assert measured(evaluation, score(0.5, 0.123456, "Effusion")) == ""
    assert measured(evaluation, score(0.5, None, "Effusion")) == ""
    assert measured(None, score(0.5, 0.2, "Effusion")) == ""
    point = evaluation.findings["Effusion"].operating_points["f1"]
    assert point.threshold is not None
    assert measured(evaluation, score(point.threshold / 10, point.threshold, "Effusion")) == ""
