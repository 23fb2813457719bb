"""The worklist on the page: order, filters in the address, failed inputs apart, many films."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Look = Callable[..., Any]

HOSTILE = "<img src=x onerror=alert(1)>.png"
MANY = 10_000


def names(seen: Any) -> list[str]:
    return seen.page.locator(".space .row .name a").all_inner_texts()


def test_unread_films_come_first_by_their_margin(served: Any, look: Look) -> None:
    seen = look(served)
    seen.listed()
    films = served.client("read").get("/v1/films", params={"state": "unread"}).json()["films"]
    scored = [one["name"] for one in films if one["top"]]
    assert names(seen)[:10] == scored[:10]
    assert seen.page.url.endswith("#/films?state=unread")
    assert "once" not in seen.page.url


def test_the_address_restores_filters_and_order(served: Any, look: Look) -> None:
    seen = look(served, place="#/films?state=positive&sort=name&q=_0")
    seen.page.locator(".counters .positive[aria-current]").wait_for()
    seen.listed()
    assert seen.page.get_by_label("Order").input_value() == "name"
    assert seen.page.get_by_label("Films whose name contains").input_value() == "_0"
    assert names(seen) == sorted(names(seen))
    seen.page.get_by_role("columnheader", name="Film").get_by_role("button").click()
    seen.page.wait_for_url("**sort=-name**")
    seen.page.locator("[aria-sort=descending]", has_text="Film").wait_for()
    seen.page.get_by_label("Films whose name contains").fill("no such film")
    seen.page.get_by_text("No film here.").wait_for()
    seen.page.go_back()
    seen.listed()


def test_failed_inputs_stand_apart_with_their_reason(served: Any, look: Look) -> None:
    seen = look(served, place="#/films")
    seen.listed()
    assert HOSTILE not in names(seen)
    seen.page.get_by_role("link", name="1 input was not scored").click()
    seen.page.locator(".failed .space .row", has_text="NOT_AN_IMAGE").wait_for()
    assert names(seen) == [HOSTILE]
    assert "NOT_AN_IMAGE" in seen.page.locator(".space .row .reason").inner_text()
    assert seen.page.locator("img[src=x]").count() == 0


def test_counts_of_the_overview_lead_to_their_films(served: Any, look: Look) -> None:
    seen = look(served, place="#/overview")
    seen.page.locator(".places [aria-current]", has_text="Overview").wait_for()
    for title, shown in (("Positive findings", ".finding"), ("Outcome", ".chip")):
        row = seen.page.locator(".card", has_text=title).locator("tr").last
        films = int(row.locator(".count").inner_text())
        row.locator(".count a").click()
        seen.listed()
        assert seen.page.locator(f".space .row:has({shown})").count() == films, title
        seen.page.go_back()
        seen.page.locator("#numbers h1", has_text="Overview").wait_for()
    tile = seen.page.locator(".tiles a", has_text="Films")
    counted = served.client("read").get("/v1/films").json()["counts"]["all"]
    assert tile.inner_text().split() == [str(counted), "Films"]


def test_numbers_are_those_of_the_results(served: Any, look: Look) -> None:
    seen = look(served)
    seen.film()
    found = served.client("read").get(f"/v1/films/{seen.film_id}").json()["result"]["findings"]
    rows = seen.page.locator("li.finding")
    assert rows.count() == len(found)
    for row in rows.all():
        one = found[row.get_attribute("data-finding")]
        above = "above" in row.get_attribute("class").split()
        assert above is one["positive"]
        ours, theirs = row.locator("b").inner_text(), row.locator(".numbers small").inner_text()
        theirs = theirs.strip().removeprefix("threshold ")
        shown = [float(text.strip("<>%")) / 100 for text in (ours, theirs)]
        # "<0.1%" of 0.0004 is 0.0006 away
        assert shown == pytest.approx([one["probability"], one["threshold"]], abs=0.001)
        bar = row.locator(".bar .fill")
        start = float(bar.get_attribute("x"))
        assert (start >= 50) is above
    assert rows.count() > 5


@pytest.fixture(scope="module")
def many(start: Any, predicted: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("many")
    lines = (predicted / "results.jsonl").read_text("ascii").splitlines()
    tree = next(one for one in map(json.loads, lines) if one["findings"])
    with (folder / "results.jsonl").open("w") as file:
        for number in range(MANY):
            name = f"film_{number:05d}.png"
            tree |= {"input": name, "image_id": name, "film": None, "maps": {}}
            file.write(json.dumps(tree) + "\n")
    return start("--results", folder, store=tmp_path_factory.mktemp("many_store") / "store")


def test_ten_thousand_films_scroll_and_filter(many: Any, look: Look) -> None:
    seen = look(many, place="#/films?sort=name")
    seen.page.locator(".space .row .name", has_text="film_00000").wait_for()
    rows = seen.page.locator(".space .row")
    assert rows.count() < 60
    table = seen.page.get_by_role("table", name="Films")
    assert table.get_attribute("aria-rowcount") == str(MANY + 1)
    seen.page.locator(".rows").evaluate("rows => { rows.scrollTop = 1000 * 46; }")
    seen.page.get_by_text("film_01000.png").wait_for(timeout=120_000)
    assert rows.count() < 60
    seen.page.get_by_label("Order").select_option("-name")
    seen.page.get_by_text(f"film_{MANY - 1:05d}.png").wait_for()
    seen.page.get_by_label("Films whose name contains").fill("film_0777")
    seen.page.get_by_text("film_07770.png").wait_for()
    assert names(seen) == [f"film_0777{digit}.png" for digit in reversed(range(10))]
    seen.press("Tab")


def test_arrows_lead_down_the_list_and_enter_opens(served: Any, look: Look) -> None:
    seen = look(served, place="#/films?sort=name")
    seen.page.locator("[aria-sort=ascending]", has_text="Film").wait_for()
    seen.listed()
    third = names(seen)[2]
    seen.page.locator(".space .row .name a").first.focus()
    seen.press("ArrowDown", "ArrowDown", "Enter")
    seen.ready()
    assert seen.page.locator(".film-head h2").inner_text() == third
