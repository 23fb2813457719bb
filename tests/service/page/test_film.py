"""A film on the page beside another of the same patient, and hands that its reader chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Look = Callable[..., Any]

PLACES = """() => [...document.querySelectorAll('.pair .viewer')].map((one) => {
  const { state, whole, box, painter, fitted } = hilumViewer.show(one);
  const middle = (corner, side) => (box[side] / 2 - state[corner]) / (painter[side] * state.zoom);
  const shown = { ...state, grown: state.zoom / whole, fitted };
  return { ...shown, x: middle("x", "width"), y: middle("y", "height") };
})"""


def drag(seen: Any, button: str, x: int, y: int) -> None:
    box = seen.page.locator(".stage").first.bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.page.mouse.move(*at)
    seen.page.mouse.down(button=button)
    seen.page.mouse.move(at[0] + x, at[1] + y, steps=3)
    seen.page.mouse.up(button=button)


def test_films_of_a_patient_stand_beside_each_other_and_move_together(
    served: Any, look: Look
) -> None:
    seen = look(served, place="#/films?sort=name")
    seen.film()
    client = served.client("read")
    listed = client.get("/v1/films", params={"patient_of": seen.film_id, "sort": "name"}).json()
    own = [one for one in listed["films"] if one["id"] == seen.film_id]
    assert {one["patient"] for one in listed["films"]} == {own[0]["patient"]}
    assert len(listed["films"]) > 2
    strip = seen.page.locator(".strip")
    strip.wait_for()
    assert strip.locator("bdi").all_inner_texts() == [one["name"] for one in listed["films"]]
    assert strip.locator("[aria-current]").inner_text().endswith("this film")
    seen.press("h", "c", "v")
    seen.page.locator(".beside .stage.live").wait_for()
    assert seen.page.locator(".beside .words").inner_text().strip()
    seen.press("+", "+")
    drag(seen, "right", 60, 30)
    one, other = seen.page.evaluate(PLACES)
    assert one["grown"] == pytest.approx(1.5625)
    alike = ("grown", "x", "y", "map", "contour", "finding", "opacity")
    assert [one[field] for field in alike] == pytest.approx([other[field] for field in alike])
    assert abs(one["x"] - 0.5) > 0.02
    seen.page.locator(".beside .stage").hover()
    seen.page.mouse.wheel(0, -200)
    one, other = seen.page.evaluate(PLACES)
    assert one["grown"] == pytest.approx(other["grown"], rel=1e-6)
    assert one["grown"] > 1.6
    seen.press("l", "0")
    one, other = seen.page.evaluate(PLACES)
    assert (one["grown"], other["grown"] > 1.6) == (pytest.approx(1.0), True)
    seen.press("l")
    assert seen.page.evaluate(PLACES)[1]["grown"] == pytest.approx(1.0)
    seen.page.get_by_role("button", name="Close the film beside").click()
    assert seen.page.locator(".pair .viewer").count() == 1
    seen.press("v")
    seen.page.locator(".beside .stage.live").wait_for()
    beside = seen.page.locator(".beside h3").inner_text()
    seen.page.locator(".beside").get_by_role("link", name="Open").click()
    seen.page.locator(".film-head h2", has_text=beside).wait_for()
    seen.ready()
    assert seen.page.locator(".pair .viewer").count() == 1


def test_mouse_buttons_do_what_was_chosen_and_are_remembered(served: Any, look: Look) -> None:
    seen = look(served, place="#/films?sort=name")
    seen.film()
    (plain,) = seen.page.evaluate(PLACES)
    drag(seen, "left", 80, 0)
    (windowed,) = seen.page.evaluate(PLACES)
    assert windowed["width"] < plain["width"]
    seen.press("r", "?")
    seen.page.get_by_label("Left drag").select_option("zoom")
    seen.page.get_by_label("Right drag").select_option("window")
    seen.press("Escape")
    drag(seen, "left", 0, -80)
    (zoomed,) = seen.page.evaluate(PLACES)
    assert (zoomed["width"], zoomed["grown"] > 1.2) == (plain["width"], True)
    seen.page.reload()
    seen.ready()
    drag(seen, "right", 80, 0)
    (again,) = seen.page.evaluate(PLACES)
    assert again["width"] < plain["width"]
    seen.press("?")
    assert seen.page.get_by_label("Left drag").input_value() == "zoom"
