"""evaluation.html in a real browser, from the disk: the explorer against numbers made anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator

from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities, Target
from hilum.evaluation.curves import curves_of
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.metrics.operating import choose_all
from hilum.report.evaluation.page import evaluation_page

pytestmark = pytest.mark.slow

LABELS = LabelSet("three", ("Effusion", "Hernia", "Pneumonia"))
NOTE = "</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True, eq=False)
class Written:
    file: Path
    positives: np.ndarray
    probabilities: np.ndarray
    thresholds: dict[str, float]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A common finding, a rare one whose scores lie below 0.05, and one of one class."""
    rng = np.random.default_rng(4)
    p = np.column_stack([rng.beta(0.7, 2, 900), rng.beta(1, 120, 900), rng.beta(1, 9, 900)])
    states = (rng.random(p.shape) < p).astype(np.int8)
    states[:, 2] = LabelState.NEGATIVE
    records = tuple(
        Record(
            f"{i}.png",
            f"p{i // 3}",
            tuple(LabelState(s) for s in row),
            view=ViewPosition.AP if i % 3 else ViewPosition.PA,
            sex=Sex.FEMALE if i % 2 else Sex.MALE,
        )
        for i, row in enumerate(states.tolist())
    )
    cohort, scores = Cohort("drawn", LABELS, records, synthetic=True), Probabilities(p, LABELS)
    points = [
        point
        for target, goal in ((Target.F1, None), (Target.SENSITIVITY, 0.9))
        for point in choose_all(scores, states, target, goal)
    ]
    request = EvaluationRequest("a model", "test", tuple(points), resamples=20, notes=(NOTE,))
    file = tmp_path_factory.mktemp("page") / "evaluation.html"
    evaluation = evaluate(scores, cohort, request)
    file.write_bytes(evaluation_page(evaluation, curves_of(scores, cohort, 0)).encode())
    chosen = {f"{p.finding} {p.name}": p.threshold for p in points if p.threshold is not None}
    return Written(file, states == LabelState.POSITIVE, p, chosen)


def says(article: Locator) -> dict[str, float | None]:
    """What the explorer shows, by its own names."""
    shown = article.locator("[data-says]").evaluate_all(
        "all => all.map(one => [one.dataset.says, one.textContent])"
    )
    return {name: None if text == "–" else float(text) for name, text in shown}


def recomputed(y: np.ndarray, p: np.ndarray, threshold: float) -> dict[str, float | None]:
    called, often = p >= threshold, 1000 / len(y)
    hits, alarms = (called & y).sum(), (called & ~y).sum()
    misses, spared = (~called & y).sum(), (~called & ~y).sum()

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    return {
        **{"hits": hits * often, "misses": misses * often, "found": y.sum() * often},
        **{"alarms": alarms * often, "spared": spared * often, "free": (~y).sum() * often},
        **{"called": called.sum() * often, "uncalled": (~called).sum() * often},
        **{"sensitivity": share(hits, y.sum()), "specificity": share(spared, (~y).sum())},
        **{"ppv": share(hits, called.sum()), "npv": share(spared, (~called).sum())},
    }


SHARES = ("sensitivity", "specificity", "ppv", "npv")


def agree(shown: dict[str, float | None], expected: dict[str, float | None]) -> None:
    rare = (expected["found"] or 0.0) < 50
    for name, value in expected.items():
        got = shown[name]
        if value is None or got is None:
            assert got == value, name
            continue
        # frequencies are rounded to add up, so that a margin may be off by one of each of its cells
        allowed = 0.00051 if name in SHARES else 2 * (0.1 if rare else 1.0)
        assert abs(got - value) <= allowed, (name, got, value)
    for total, parts in {
        **{"found": ("hits", "misses"), "free": ("alarms", "spared")},
        **{"called": ("hits", "alarms"), "uncalled": ("misses", "spared")},
    }.items():
        assert shown[total] == pytest.approx(sum(shown[part] or 0.0 for part in parts), abs=1e-6)


@pytest.mark.parametrize("finding", range(3))
def test_the_slider_shows_what_numpy_counts(pages: Any, written: Written, finding: int) -> None:
    article = pages.open(written.file.as_uri()).page.locator(f"#finding-{finding}")
    slider = article.locator("input[type=range]")
    last = int(slider.get_attribute("max") or 0)
    assert last >= 150
    y, p = written.positives[:, finding], written.probabilities[:, finding]
    set_to = "(one, k) => { one.value = k; one.dispatchEvent(new Event('input')); }"
    seen: list[float] = []
    for k in np.linspace(0, last, 12).astype(int).tolist():
        slider.evaluate(set_to, k)
        shown = says(article)
        threshold = shown.pop("threshold")
        assert threshold is not None
        seen.append(threshold)
        # four digits are shown; a frozen threshold has more, and is tested by its button
        if not any(abs(threshold - t) < 1e-4 * t for t in written.thresholds.values()):
            agree(shown, recomputed(y, p, threshold))
        text = slider.get_attribute("aria-valuetext") or ""
        assert float(text.split(": sensitivity")[0]) == threshold
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", ["Effusion f1", "Effusion sensitivity 0.90", "Hernia f1"])
def test_a_frozen_point_is_reached_exactly(pages: Any, written: Written, name: str) -> None:
    finding = LABELS.index(name.split()[0])
    article = pages.open(written.file.as_uri()).page.locator(f"#finding-{finding}")
    button = article.get_by_role("button", name=name.split(maxsplit=1)[1], exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    shown = says(article)
    shown.pop("threshold")
    y, p = written.positives[:, finding], written.probabilities[:, finding]
    agree(shown, recomputed(y, p, written.thresholds[name]))


def test_marks_stand_on_the_charts_where_the_numbers_say(pages: Any, written: Written) -> None:
    article = pages.open(written.file.as_uri()).page.locator("#finding-0")
    article.get_by_role("button", name="f1", exact=True).click()
    y, p = written.positives[:, 0], written.probabilities[:, 0]
    expected = recomputed(y, p, written.thresholds["Effusion f1"])
    place: Callable[[str], tuple[float, float]] = lambda kind: tuple(  # noqa: E731
        float(article.locator(f"[data-now={kind}]").get_attribute(axis) or "nan")
        for axis in ("cx", "cy")
    )
    sensitivity, specificity, ppv = (expected[name] or 0.0 for name in SHARES[:3])
    assert place("roc") == pytest.approx((264 * (1 - specificity), 264 * (1 - sensitivity)))
    assert place("pr") == pytest.approx((264 * sensitivity, 264 * (1 - ppv)))
    lines = article.locator("path[data-now]")
    assert lines.count() == 3
    for k in range(3):
        axis = lines.nth(k).locator("xpath=..").get_attribute("data-x") or ""
        x = float(re.findall(r"[\d.]+", lines.nth(k).get_attribute("d") or "")[0])
        end = float(axis.split()[1])
        assert x == pytest.approx(264 * written.thresholds["Effusion f1"] / end, rel=1e-5)


def test_the_keyboard_moves_the_slider(pages: Any, written: Written) -> None:
    page = pages.open(written.file.as_uri()).page
    slider = page.locator("#dial-0")
    slider.focus()
    before = says(page.locator("#finding-0"))["threshold"]
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    after = says(page.locator("#finding-0"))["threshold"]
    assert before is not None
    assert after is not None
    assert after > before


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_opens_without_errors_or_requests_and_fits(
    pages: Any, written: Written, width: int, scheme: str
) -> None:
    seen = pages.open(written.file.as_uri(), width, color_scheme=scheme)
    seen.page.wait_for_timeout(100)
    assert seen.troubles == []
    assert seen.requests == [written.file.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.get_by_text(NOTE).is_visible()
    assert seen.page.locator("img").count() == 0


def test_fits_on_paper(pages: Any, written: Written) -> None:
    page = pages.open(written.file.as_uri(), width=794, height=1123).page
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    assert not page.locator(".dial").first.is_visible()
    assert page.locator(".two-by-two").first.is_visible()


def test_without_javascript_a_table_holds_the_thresholds(pages: Any, written: Written) -> None:
    with_script = says(pages.open(written.file.as_uri()).page.locator("#finding-0"))
    page = pages.open(written.file.as_uri(), java_script_enabled=False).page
    assert not page.locator(".dial").first.is_visible()
    assert says(page.locator("#finding-0")) == with_script
    page.get_by_text("Thresholds as a table").first.click()
    table = page.get_by_role("region", name="Thresholds of Effusion")
    assert table.is_visible()
    assert table.locator("tbody tr").count() >= 20
    y, p = written.positives[:, 0], written.probabilities[:, 0]
    cells = table.locator("tbody tr").nth(12).locator("th, td").all_text_contents()
    expected = recomputed(y, p, float(cells[0]))
    assert [float(cell) for cell in cells[2:6]] == pytest.approx(
        [expected[name] for name in SHARES], abs=6e-4
    )
