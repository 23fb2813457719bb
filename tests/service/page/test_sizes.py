"""The page at every size and in both themes: what is there, how large, and whether axe objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Look = Callable[..., Any]

WIDTHS = (1400, 900, 420)
NOTICE = "hilum is research software, not a medical device."


def violations(page: Any, by_color: bool = False) -> list[tuple[str, str]]:
    """What axe finds; `by_color`: of what differs between the themes, contrast alone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if by_color:
        options["runOnly"] = ["color-contrast", "link-in-text-block"]
    found = axe.run(page, options=options).response["violations"]
    return [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]]


def fits(seen: Any, width: int, by_color: bool = False) -> None:
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.get_by_text(NOTICE).first.is_visible()
    assert violations(seen.page, by_color) == []


CUT = """() => {
  // text that its own box or one around it cuts; where an ellipsis cuts, a title must hold all
  const cuts = (style) => ["hidden", "clip"].includes(style.overflowX);
  const told = (one) => one.closest("[title]") || one.querySelector("[title]");
  return [...document.querySelectorAll("body *")].filter((one) => {
    const words = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !one.checkVisibility() || one.closest(".unseen, option, svg")) return false;
    const box = one.getBoundingClientRect();
    for (let up = one; up !== document.body; up = up.parentElement) {
      const style = getComputedStyle(up), edge = up.getBoundingClientRect();
      if (["auto", "scroll"].includes(style.overflowX)) return false;
      const inner = up === one && up.scrollWidth > up.clientWidth + 1;
      const outer = up !== one && (box.right > edge.right + 1 || box.left < edge.left - 1);
      if (cuts(style) && (inner || outer)) return !told(one);
    }
    return box.right > innerWidth + 1;
  }).map((one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`);
}"""


@pytest.mark.parametrize("width", [1400, 420])
def test_nothing_is_cut_at_twice_the_text(served: Any, look: Look, width: int) -> None:
    seen = look(served, size=(width, 900), name=f"large{width}", bypass_csp=True, place="#/films")
    seen.page.evaluate("document.documentElement.style.fontSize = '200%'")
    for place, shown in (
        ("#/films?sort=name", ".space .row .name a"),
        ("#/films?state=not_scored", ".failed .row .reason"),
        ("#/overview", ".counts .count a"),
        ("#/agreement", "#numbers h1"),
    ):
        seen.page.evaluate("place => { location.hash = place; }", place)
        seen.page.locator(shown).first.wait_for()
        assert seen.page.evaluate(CUT) == [], place
        fits(seen, width)
    seen.page.evaluate("location.hash = '#/films?sort=name'")
    seen.film(1)
    seen.press("v")
    seen.page.locator(".beside .stage.live").wait_for()
    assert seen.page.evaluate(CUT) == []
    fits(seen, width)


def everywhere(seen: Any, width: int) -> None:
    """In both themes. What fits does so in both, and axe tells them apart by contrast alone."""
    for theme in ("dark", "light"):
        seen.page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        fits(seen, width, by_color=theme == "light")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_state_fits_and_axe_finds_nothing(served: Any, look: Look, width: int) -> None:
    seen = look(served, size=(width, 900), name=f"w{width}", bypass_csp=True)
    seen.listed()
    everywhere(seen, width)
    seen.page.evaluate("location.hash = '#/films?state=not_scored'")
    seen.page.locator(".failed .row .reason").first.wait_for()
    everywhere(seen, width)
    for page, shown in (("overview", ".counts .count a"), ("agreement", "#numbers h1")):
        seen.page.evaluate("page => { location.hash = page; }", f"#/{page}")
        seen.page.locator(shown).first.wait_for()
        everywhere(seen, width)
    seen.page.evaluate("location.hash = '#/films?sort=name'")
    seen.page.locator(".counters .all[aria-current]").wait_for()
    seen.film(1)
    seen.page.locator(".strip").wait_for()
    seen.press("v")
    seen.page.locator(".beside .stage.live").wait_for()
    everywhere(seen, width)
    if width < 600:
        seen.page.locator(".handle").click()
        everywhere(seen, width)
    elif width < 1200:
        seen.page.locator(".to-list").click()
        everywhere(seen, width)
        seen.page.get_by_role("button", name="Close list").click()
    seen.press("?")
    everywhere(seen, width)
    seen.press("Escape")
    seen.page.locator(".versions summary").evaluate("one => one.click()")
    seen.page.locator(".versions .list > *").first.wait_for(state="attached")
    assert violations(seen.page) == []


def test_the_film_has_most_of_a_desktop(served: Any, look: Look) -> None:
    seen = look(served)
    seen.film()
    for width, height in ((1200, 800), (1400, 900), (1920, 1080)):
        seen.page.set_viewport_size({"width": width, "height": height})
        panes = [seen.page.locator(one).bounding_box() for one in ("#list", "#film", "#findings")]
        assert panes[1]["width"] >= 0.6 * width
        assert panes[0]["x"] < panes[1]["x"] < panes[2]["x"]
        assert panes[1]["height"] >= 0.9 * height


def test_targets_of_a_tablet_are_large(served: Any, look: Look) -> None:
    seen = look(served, size=(900, 1100), has_touch=True)
    seen.film()
    seen.ready()
    small = [
        (one.inner_text(), box)
        for one in seen.page.locator("button:visible").all()
        if (box := one.bounding_box()) and min(box["width"], box["height"]) < 44
    ]
    assert small == []
    assert seen.page.locator("#list").is_visible() is False
    seen.page.locator(".to-list").tap()
    assert seen.page.locator("#list").is_visible()


def test_a_phone_leads_from_the_list_over_the_film_to_a_verdict(served: Any, look: Look) -> None:
    seen = look(served, place="#/films?sort=name", size=(420, 850), has_touch=True)
    seen.listed()
    assert seen.page.locator("#film").is_visible() is False
    seen.page.locator(".space .row .name a").nth(5).tap()
    seen.ready()
    large = seen.page.locator(".large button")
    assert large.all_inner_texts() == ["Present", "Absent", "Uncertain"]
    assert all(one.bounding_box()["height"] >= 52 for one in large.all())
    assert seen.page.get_by_text("Boxes need a larger screen.").is_visible()
    assert seen.page.get_by_role("button", name="Box", exact=True).count() == 0
    large.nth(1).tap()
    seen.saved(1)
    seen.page.locator(".handle").tap()
    assert seen.page.locator(".sheet-body").is_visible()
    seen.page.locator(".to-list").tap()
    seen.page.locator("main[data-view=list]").wait_for()


def test_the_page_is_there_without_motion_and_in_forced_colors(served: Any, look: Look) -> None:
    seen = look(served, forced_colors="active", reduced_motion="reduce")
    seen.film()
    seen.press("p", "z")
    chosen = seen.page.locator("li.finding.chosen")
    assert chosen.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"


WATCH = {
    "verdict": "alarm",
    "day": "2026-03-02",
    "films": 812,
    "days": 4,
    "alarmed": 1,
    "apart": 3,
    "words": "1 of 1 day alarmed.",
    "moved": [
        "view AP: 39.0 % of films in the reference, 60.0 % now",
        "<img src=x onerror=alert(1)>",
    ],
    "rule_void": True,
    "false_alarms": 0.01,
}


@pytest.mark.parametrize("width", [420, 1400])
def test_an_alarm_of_the_watch_stands_first_on_the_overview(
    served: Any, look: Look, width: int
) -> None:
    seen = look(served, size=(width, 900), name=f"watch{width}", bypass_csp=True, place="#/films")
    seen.listed()

    def answer(route: Any) -> None:
        route.fulfill(json={**route.fetch().json(), "watch": WATCH})

    seen.page.route("**/v1/summary", answer)
    seen.page.evaluate("location.hash = '#/overview'")
    card = seen.page.locator(".card.watch.alarm")
    card.get_by_role("heading", name="Alarm: films or scores changed").wait_for()
    text = card.inner_text()
    assert "view AP: 39.0 % of films in the reference, 60.0 % now" in text
    assert "The rule-out rule is void: refer every film" in text
    assert "it does not say that accuracy fell" in text
    assert "1 in 100 would by chance" in text
    assert seen.page.locator("img[src=x]").count() == 0
    top = "one => one.getBoundingClientRect().top"
    assert card.evaluate(top) < seen.page.locator(".tiles").evaluate(top)
    everywhere(seen, width)
