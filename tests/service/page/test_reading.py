"""Readings on the page: given, saved at once, undone, and never lost between two readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Look = Callable[..., Any]
BY_NAME = "#/films?sort=name"
"""The list in an order that no reading changes: each test below takes a film of its own."""


def without(film: str) -> Callable[[str], bool]:
    """Whether an address is no longer that of a film."""
    return lambda url: film not in url


def abort(route: Any) -> None:
    route.abort()


def newest(client: Any, film: str) -> dict[str, Any]:
    return client.get(f"/v1/films/{film}/history").json()["readings"][-1]


def test_each_click_is_saved_with_its_version_and_undone_by_z(alone: Any, look: Look) -> None:
    seen = look(alone, place=BY_NAME)
    seen.film(10)
    row = seen.page.locator("li.finding").first
    row.get_by_role("button", name="present").click()
    seen.saved(1)
    assert seen.page.locator(".saved").inner_text().startswith("Saved ")
    row.get_by_role("button", name="absent").click()
    seen.saved(2)
    seen.page.locator(".stage").focus()
    seen.press("z")
    seen.saved(3)
    pressed = row.locator(".judge [aria-pressed=true]")
    assert pressed.get_attribute("title") == "Present (P)"
    seen.press("z")
    seen.saved(4)
    assert pressed.count() == 0
    seen.page.locator(".versions summary").click()
    seen.page.locator(".versions li").nth(3).wait_for()
    assert seen.page.locator(".versions li").count() == 4
    seen.page.reload()
    seen.ready()
    seen.saved(4)


def test_a_note_counts_its_last_characters_and_stays_with_its_film(alone: Any, look: Look) -> None:
    seen = look(alone, place=BY_NAME)
    seen.film(11)
    note = seen.page.locator("#note")
    note.fill("n" * 1950)
    note.press_sequentially("m" * 60)
    assert len(note.input_value()) == 2000
    assert seen.page.locator(".left").inner_text() == "0 characters left"
    seen.press("Escape")
    seen.page.locator(".saved", has_text="Saved").wait_for()
    assert len(newest(alone.client("review", name="checker"), seen.film_id)["note"]) == 2000
    # one that is being typed stays with its film
    first = seen.film_id
    seen.page.locator("#note").fill("of the first film")
    seen.page.get_by_role("button", name="Next film").click()
    seen.page.wait_for_url(without(first))
    seen.ready()
    assert seen.page.locator("#note").input_value() == ""
    seen.page.get_by_role("button", name="Film before").click()
    seen.page.locator(".saved", has_text="Saved").wait_for()
    assert seen.page.locator("#note").input_value() == "of the first film"


def test_two_readers_see_both_versions_and_lose_neither(alone: Any, look: Look) -> None:
    anna, ben = look(alone, place=BY_NAME), look(alone, name="ben <i>", place=BY_NAME)
    for one in (anna, ben):
        one.film(12)
    film = anna.film_id
    assert film == ben.film_id
    anna.press("p")
    anna.saved(1)
    ben.expected.append("409 (Conflict)")
    ben.press("a")
    dialog = ben.page.get_by_role("dialog", name="Another reading came between")
    dialog.wait_for()
    differing = dialog.locator("tr.differs td")
    assert differing.all_inner_texts() == ["Present", "Absent"]
    assert "anna" in dialog.locator("thead").inner_text()
    dialog.get_by_role("button", name="Decide later").click()
    assert ben.page.locator(".saved.trouble").inner_text().startswith("Not saved")
    ben.page.get_by_role("button", name="Compare").click()
    dialog.get_by_role("button", name="Save mine on top").click()
    ben.saved(2)
    client = alone.client("review", name="checker")
    history = client.get(f"/v1/films/{film}/history").json()
    assert [one["reader_name"] for one in history["readings"]] == ["anna", "ben <i>"]
    assert len(history["differ"]) == 1
    ben.page.locator(".versions summary").click()
    ben.page.locator(".versions", has_text="Readers differ on").wait_for()
    assert "ben <i>" in ben.page.locator(".versions").inner_text()


def test_a_reading_that_could_not_be_sent_is_kept_and_sent_again(alone: Any, look: Look) -> None:
    seen = look(alone, place=BY_NAME)
    seen.film(13)
    seen.expected.append("ERR_FAILED")
    seen.page.route("**/verdict", abort)
    seen.press("p")
    seen.page.locator(".saved.trouble", has_text="does not answer").wait_for()
    seen.press("j")
    seen.page.wait_for_timeout(300)
    seen.press("k")
    seen.page.locator(".saved.trouble").wait_for()
    seen.page.unroute("**/verdict")
    seen.page.get_by_role("button", name="Try again").click()
    seen.saved(1)


def test_a_box_is_drawn_and_lies_where_it_was_drawn(alone: Any, look: Look) -> None:
    seen = look(alone, place=BY_NAME)
    seen.film(14)
    client = alone.client("review", name="checker")
    stage = seen.page.locator(".stage").bounding_box()
    picture = seen.page.locator(".picture").bounding_box()
    for number, by in enumerate(("drag", "keys")):
        seen.press("b")
        if by == "drag":
            seen.page.mouse.move(picture["x"] + 0.25 * picture["width"], picture["y"] + 40)
            seen.page.mouse.down()
            seen.page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
            seen.page.mouse.up()
        else:
            seen.press("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter")
        seen.saved(2 * number + 1)
        box = newest(client, seen.film_id)["boxes"][0]
        if by == "drag":
            assert (box["x"], box["x"] + box["width"]) == pytest.approx((0.25, 0.5), abs=0.01)
        else:
            assert (box["x"], box["y"]) == (0.38, 0.38)
            assert (box["width"], box["height"]) == (0.22, 0.2)
        drawn = seen.page.locator(".boxes .box").bounding_box()
        at = (drawn["x"] - picture["x"]) / picture["width"]
        assert at == pytest.approx(box["x"], abs=0.01)
        seen.page.get_by_role("button", name="Remove box 1").click()
        seen.saved(2 * number + 2)
        assert seen.page.locator(".boxes .box").count() == 0


def test_whoever_may_only_look_gets_no_button_that_works(served: Any, look: Look) -> None:
    seen = look(served, "read", name="guest")
    seen.film()
    assert seen.page.locator("li.finding .judge button:enabled").count() == 0
    seen.press("p")
    assert "token with the scope review" in seen.page.locator(".saved").inner_text()


def test_ten_films_are_read_without_a_mouse(alone: Any, look: Look) -> None:
    seen = look(alone, name="kim")
    seen.listed()
    seen.press("Enter")
    read = []
    for number in range(10):
        seen.ready()
        read.append(seen.film_id)
        seen.press("h", "i", "3", "0", "p", "ArrowDown", "a", "ArrowDown", "u", "s")
        if number == 0:
            seen.press("n")
            seen.page.keyboard.type("seen <b>twice</b>")
            seen.press("Escape")
        seen.press("g")
        seen.page.locator(".saved", has_text="Saved").wait_for()
        if number < 9:
            seen.press("j")
            seen.page.wait_for_url(without(read[-1]))
    assert len(set(read)) == 10
    client = alone.client("review", name="checker")
    for number, film in enumerate(read):
        last = newest(client, film)
        assert sorted(last["findings"].values()) == ["absent", "present", "uncertain"]
        assert (last["agree_with_rest"], last["second_look"]) == (True, True)
        assert last["note"] == ("seen <b>twice</b>" if number == 0 else "")
        assert last["reader_name"] == "kim"
    assert client.get("/v1/films").json()["counts"]["second_look"] == 10
    seen.press("Escape")
    counter = seen.page.locator(".counters .unread b")
    seen.page.locator("main[data-view=list]").wait_for()
    assert counter.inner_text() == str(client.get("/v1/films").json()["counts"]["all"] - 10)
