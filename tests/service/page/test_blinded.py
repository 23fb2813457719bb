"""A blinded reader's page: nothing of the model reaches it before the first own reading."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Look = Callable[..., Any]


@pytest.fixture(scope="module")
def blind(start: Any, predicted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    store = tmp_path_factory.mktemp("blind") / "store"
    running = start("--results", predicted, "--blind", store=store)
    yield running
    running.stop()


def numbers_of(predicted: Path) -> set[str]:
    """Probabilities and thresholds as results.jsonl has them."""
    lines = map(json.loads, (predicted / "results.jsonl").read_text("ascii").splitlines())
    found = [one for line in lines for one in (line["findings"] or {}).values()]
    values = [one[key] for one in found for key in ("probability", "threshold")]
    return {repr(value) for value in values if value is not None and len(repr(value)) > 6}


def test_no_answer_and_no_word_tells_what_the_model_found(
    blind: Any, look: Look, predicted: Path
) -> None:
    seen = look(blind, record=True)
    seen.film()
    first = seen.film_id
    seen.press("p", "ArrowDown", "a", "h", "c", "j")
    seen.page.wait_for_url(lambda url: first not in url)
    seen.ready()
    seen.page.keyboard.press("k")
    seen.page.wait_for_url(lambda url: first in url)
    seen.ready()
    seen.page.locator(".saved", has_text="Not committed yet").wait_for()
    numbers = numbers_of(predicted)
    assert len(seen.answers) >= 5
    for url, text in seen.answers:
        assert not [one for one in numbers if one in text], url
        assert '"positives":["' not in text
    assert not [one for one in seen.requests if "/overlay/" in one or one.endswith("/maps")]
    words = seen.page.locator("body").inner_text()
    assert "%" not in words.replace(seen.page.locator(".readout").inner_text(), "")
    assert "threshold" not in words.lower()
    assert (
        seen.page.locator(".counters .positive, .counters .near, .counters .conflict").count() == 0
    )
    assert seen.page.locator(".bar").count() == 0
    assert blind.client("review", name="checker").get("/v1/films").json()["counts"]["read"] == 0


def test_after_the_commit_both_the_scores_and_the_own_reading_are_there(
    blind: Any, look: Look
) -> None:
    seen = look(blind)
    seen.film()
    seen.press("p")
    first = seen.page.locator("li.finding.chosen").get_attribute("data-finding")
    seen.press("Control+Enter")
    seen.page.locator("#findings .bar").first.wait_for()
    own = seen.page.locator(f"li.finding[data-finding='{first}'] .judge [aria-pressed=true]")
    assert own.get_attribute("title") == "Present (P)"
    assert seen.page.get_by_role("button", name="Commit reading").count() == 0
    row = seen.page.locator(f"li.finding[data-finding='{first}']")
    row.get_by_role("button", name="absent").click()
    seen.saved(2)
    seen.page.locator(".versions summary").click()
    entries = seen.page.locator(".versions li")
    entries.nth(1).wait_for()
    assert ["blinded" in text for text in entries.all_inner_texts()] == [False, True]
