"""The picture is written, says what it shows, and is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities, Target
from hilum.evaluation.curves import curves_of
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.metrics.operating import choose_all
from hilum.report.evaluation.figure import write_figure


@pytest.mark.slow
def test_the_same_evaluation_gives_the_same_png(tmp_path: Path) -> None:
    labels = LabelSet("three", ("Effusion", "Mass", "Hernia"))
    rng = np.random.default_rng(0)
    p = rng.beta(1.0, 3.0, (90, 3))
    states = (rng.random(p.shape) < p).astype(np.int8)
    states[:, 1] = LabelState.NEGATIVE
    states[:, 2] = LabelState.UNLABELLED
    records = tuple(
        Record(f"{i}.png", f"p{i // 2}", tuple(LabelState(s) for s in row))
        for i, row in enumerate(states)
    )
    cohort, scores = Cohort("drawn", labels, records), Probabilities(p, labels)
    points = choose_all(scores, states, Target.F1)
    request = EvaluationRequest("a model", "test", points, resamples=20)
    result = evaluate(scores, cohort, request)
    for name in ("one.png", "two.png"):
        write_figure(result, curves_of(scores, cohort, 0), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.width > 400
        assert np.asarray(image.convert("L")).std() > 5
