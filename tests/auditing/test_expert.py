"""The claim "expert-level" on made-up panels: each of its four verdicts, and the panel it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum import api
from hilum.domain.documents.audit import Audit, ExpertVerdict
from hilum.domain.errors import UsageError
from hilum.report.audit import markdown

Said = Callable[..., tuple[int, str, str]]


def panel(folder: Path, model: float, skills: Sequence[float], cases: int = 500) -> Path:
    """truth.csv, scores.csv and a folder of readers, each with a skill in standard deviations."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(8)
    truth = np.arange(cases) % 2 == 0
    base = pd.DataFrame({"image_id": [f"{row:04d}.png" for row in range(cases)]})
    labels = base.assign(Mass=truth.astype(int), patient_id=np.arange(cases))
    labels.to_csv(folder / "truth.csv", index=False)
    hard = 0.5 * rng.normal(size=cases)  # films that are hard for all
    score = 1 / (1 + np.exp(-(model * truth + hard + rng.normal(size=cases) - model / 2)))
    base.assign(Mass=score).to_csv(folder / "scores.csv", index=False)
    (folder / "readers").mkdir()
    for number, skill in enumerate(skills):
        rating = skill * truth + hard + rng.normal(size=cases) - skill / 2
        own = base.assign(Mass=(rating > 0).astype(int))
        own.to_csv(folder / "readers" / f"reader{number}.csv", index=False)
    return folder


def audited(folder: Path, **given: object) -> Audit:
    words = {"readers": folder / "readers", "truth": "experts", "resamples": 300, **given}
    return api.audit(folder / "scores.csv", folder / "truth.csv", ["expert-level"], **words)  # pyright: ignore


PANELS = {
    ExpertVerdict.SUPPORTED: (3.5, (2.0, 2.1, 2.2, 2.0, 2.1), 500),
    ExpertVerdict.REFUTED: (1.0, (3.0, 3.1, 3.2, 3.0, 3.1), 500),
    ExpertVerdict.NOT_SEPARABLE: (2.0, (2.0, 2.4, 1.7), 120),
}


@pytest.mark.parametrize("verdict", PANELS)
def test_each_verdict_on_its_panel(verdict: ExpertVerdict, tmp_path: Path) -> None:
    model, skills, cases = PANELS[verdict]
    folder = panel(tmp_path / "panel", model, skills, cases)
    found = audited(folder, out=tmp_path / "out")
    (claim,) = found.experts
    assert claim.verdict is verdict, claim.words
    (one,) = claim.findings
    assert (claim.readers, one.readers, one.cases) == (len(skills), len(skills), cases)
    assert claim.words.endswith(f"a panel of {len(skills)} readers")
    page = (tmp_path / "out" / "audit.md").read_text()
    assert page == markdown(found)
    assert f"## expert-level: **{verdict}**" in page
    if verdict is ExpertVerdict.NOT_SEPARABLE:
        assert one.cases_needed is not None
        assert one.cases_needed > cases
        assert f"{one.readers_needed} readers of {one.cases_needed:,} cases each" in claim.words


def test_a_wider_margin_supports_what_a_narrow_one_does_not(tmp_path: Path) -> None:
    folder = panel(tmp_path / "panel", 2.1, (2.0, 2.1, 2.2, 2.0, 2.1))
    verdicts = [audited(folder, margin=margin).experts[0].verdict for margin in (0.001, 0.3)]
    assert verdicts == [ExpertVerdict.NOT_SEPARABLE, ExpertVerdict.SUPPORTED]
    with pytest.raises(UsageError, match="a margin must be between 0 and 1; got 2"):
        audited(folder, margin=2.0)


def test_untestable_without_experts_readers_or_a_second_reader(tmp_path: Path) -> None:
    folder = panel(tmp_path / "panel", 2.0, (2.0,), 60)
    cases = (
        ({"truth": None}, "labels mined from reports are no experts"),
        ({"truth": "reports"}, "labels mined from reports are no experts"),
        ({"readers": None}, "no reader is here"),
        ({}, "two readers or more are needed to speak of readers at large"),
    )
    for given, words in cases:
        (claim,) = audited(folder, **given).experts
        assert claim.verdict is ExpertVerdict.UNTESTABLE
        assert words in claim.words
    with pytest.raises(UsageError, match="--truth must be experts or reports; got 'me'"):
        audited(folder, truth="me")


def test_the_command_takes_both_kinds_of_claims(said: Said, tmp_path: Path) -> None:
    folder = panel(tmp_path / "panel", 2.0, (2.0, 2.1, 2.2), 60)
    words = ("audit", folder / "scores.csv", "--labels", folder / "truth.csv", "--resamples", 100)
    panel_words = ("--readers", folder / "readers", "--truth", "experts")
    claims = ("--claim", "auroc=0.9, Mass radiologist-level", "--claim", "Hernia expert-level")
    code, out, err = said(*words, *claims, *panel_words)
    assert (code, err) == (0, "")
    assert "| auroc=0.9 |" in out
    assert "## Mass radiologist-level: **" in out
    assert "## Hernia expert-level: **untestable**" in out
