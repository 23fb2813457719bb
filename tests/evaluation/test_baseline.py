"""The metadata baseline knows what view, sex and age give away, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.entries import Entries
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.evaluation.subgroups import Metadata
from hilum.metrics.ranking import auroc

LABELS = LabelSet("one", ("Edema",))


def cohort(positives: NDArray[np.bool_], *, known: bool = True) -> Cohort:
    """Two films a patient, the view of the first AP; nothing else is known if not `known`."""
    records = tuple(
        Record(
            f"{i:04d}.png",
            f"p{i // 2}",
            (LabelState(int(y)),),
            view=(ViewPosition.PA if i % 2 else ViewPosition.AP) if known else ViewPosition.PA,
            sex=Sex.FEMALE if known and i % 4 < 2 else Sex.UNKNOWN,
            age_years=float(20 + i % 60) if known and i % 7 else None,
            follow_up=i % 2 if known else None,
        )
        for i, y in enumerate(positives)
    )
    return Cohort("drawn", LABELS, records)


def entries(of: Cohort) -> Entries:
    films = np.arange(len(of))
    positives = of.states()[:, 0] == LabelState.POSITIVE
    return Entries(films, films // 2, positives, np.zeros(len(of)), np.zeros(len(of)))


def scored(of: Cohort, seed: int = 0) -> Entries | str:
    return Metadata.of(of, of.patients(), seed).scored(entries(of))


def test_what_the_view_gives_away_is_found() -> None:
    rng = np.random.default_rng(0)
    often = np.where(np.arange(400) % 2 == 0, 0.5, 0.05)
    found = scored(cohort(rng.random(400) < often))
    assert isinstance(found, Entries)
    area = auroc(found.positives, found.probabilities)
    assert area is not None
    assert area > 0.75


def test_labels_that_do_not_depend_on_metadata_are_not_found() -> None:
    rng = np.random.default_rng(1)
    areas: list[float] = []
    for _ in range(10):
        found = scored(cohort(rng.random(400) < 0.2))
        assert isinstance(found, Entries)
        areas.append(auroc(found.positives, found.probabilities) or 0.0)
    assert np.mean(areas) == pytest.approx(0.5, abs=0.05)


def test_a_patient_is_scored_by_the_other_folds() -> None:
    rng = np.random.default_rng(2)
    y = rng.random(300) < 0.3
    first = scored(cohort(y))
    assert isinstance(first, Entries)
    # a fold's scores do not change with its own labels
    metadata = Metadata.of(cohort(y), cohort(y).patients(), 0)
    own = metadata.folds == 0
    turned = scored(cohort(np.where(own, ~y, y)))
    assert isinstance(turned, Entries)
    np.testing.assert_array_equal(first.probabilities[own], turned.probabilities[own])
    assert (first.probabilities[~own] != turned.probabilities[~own]).any()


def test_without_metadata_or_a_class_there_is_a_reason() -> None:
    y = np.arange(40) % 3 == 0
    assert scored(cohort(y, known=False)) == (
        "view, sex, age and follow-up number are unknown, or the same for all films"
    )
    assert scored(cohort(np.zeros(40, bool))) == "no film is positive"
    one = np.arange(40) == 0
    assert scored(cohort(one)) == ("too few patients with or without the finding to learn from")


def test_the_evaluation_says_what_was_known() -> None:
    rng = np.random.default_rng(3)
    often = np.where(np.arange(200) % 2 == 0, 0.5, 0.1)
    films = cohort(rng.random(200) < often)
    p = Probabilities(rng.random((200, 1)), LABELS)
    request = EvaluationRequest("a model", "test", resamples=5)
    result = evaluate(p, films, request)
    assert result.metadata_baseline.features.startswith("view, sex, age, follow-up number; ")
    baseline = result.findings["Edema"].metadata_baseline
    assert baseline.value == pytest.approx(result.metadata_baseline.auroc.value, abs=1e-12)
    assert baseline.low is not None
    assert baseline.low > 0.5
    blind = evaluate(p, cohort(films.states()[:, 0] == 1, known=False), request)
    assert blind.metadata_baseline.features.startswith("none")
    assert blind.metadata_baseline.auroc.value is None
    assert blind.metadata_baseline.auroc.reason.startswith("view, sex, age")
