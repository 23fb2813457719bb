"""The viewer of the film report in a real browser: what it shows, and by which hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page

from hilum.domain.radiograph import Radiograph
from hilum.explain.map_layer import map_layer
from hilum.explain.overlay import levels, preview
from hilum.explain.ramp import Style, mixed
from hilum.imaging.preprocess import Preprocessing
from hilum.report.batch import film_report

pytestmark = pytest.mark.slow

SHAPE = (1000, 820)
GRAY = 60
MARK = (slice(370, 400), slice(200, 230))
"""A bright square on the film, beside the peak of the map."""
CELL = (2, 3)
PREPROCESSING = Preprocessing()
LOADED = """() => Array.from(document.querySelector(".viewer").querySelectorAll("img"))
  .every((image) => image.complete)"""


def heatmap(cell: tuple[int, int] = CELL) -> np.ndarray:
    cells = np.zeros((7, 7), np.float32)
    cells[cell] = 2.0
    return cells


@pytest.fixture(scope="module")
def report(batch_of: Callable, scored: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve films with two maps each, of which the first has a mark beside the peak."""
    root = tmp_path_factory.mktemp("report")
    pixels = np.full(SHAPE, GRAY / 255.0, np.float32)
    pixels[MARK] = 1.0
    film = preview(Radiograph(pixels, source="a.png"))
    results = []
    for folder in ("films", "maps"):
        (root / folder).mkdir()
    for number in range(12):
        name = f"{number:02}"
        maps = {finding: f"maps/{name}__{finding}.png" for finding in ("Atelectasis", "Effusion")}
        (root / f"films/{name}.jpg").write_bytes(film)
        for file, cell in zip(maps.values(), (CELL, (5, 5)), strict=True):
            layer = map_layer(heatmap(cell), PREPROCESSING, SHAPE)
            (root / file).write_bytes(layer)
        results.append(scored(f"{name}.png", (0.9, 0.8, 0.0), film=f"films/{name}.jpg", maps=maps))
    text = film_report.REPORT.render(batch_of(*results))
    (root / "report.html").write_text(text, "utf-8")
    return root / "report.html"


@dataclass
class Opened:
    page: Page
    troubles: list[str]
    requests: list[str]

    @property
    def stage(self) -> Locator:
        return self.page.locator(".stage").first

    def state(self) -> dict:
        return self.page.evaluate(
            "() => ({ ...hilumViewer.show(document.querySelector('.viewer')).state })"
        )

    def picture(self) -> np.ndarray:
        """What the screen shows of the stage, words in its corner too."""
        data = self.page.screenshot(clip=self.stage.bounding_box())
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def middle(self) -> tuple[float, float]:
        box = self.stage.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.fixture
def look(pages: Any, report: Path) -> Callable[..., Opened]:
    def open_page(width: int = 1400, height: int = 900, **options: object) -> Opened:
        seen = pages.open(report.as_uri(), width, height, **options)
        if options.get("java_script_enabled", True):
            page = seen.page
            page.evaluate("document.querySelector('.stage').scrollIntoView({ block: 'center' })")
            page.wait_for_selector(".stage.live")
            page.wait_for_function(LOADED)
        return Opened(seen.page, seen.troubles, seen.requests)

    return open_page


def box_of(element: Locator) -> dict[str, float]:
    box = element.bounding_box()
    assert box is not None
    return {name: float(value) for name, value in box.items()}


def center(values: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(values)
    return np.array([rows.mean(), columns.mean()])


def decoded(picture: np.ndarray) -> np.ndarray:
    """The level of each pixel of the map over a film of one gray."""
    colors = mixed(Style.PLASMA)[GRAY].astype(int)
    away = ((picture[:, :, None, :] - colors[None, None, ::4]) ** 2).sum(-1)
    return away.argmin(-1) * 4


@pytest.mark.parametrize("keys", [(), ("=",), ("+",) * 3, ("=", "+", "+", *("ArrowUp",) * 3)])
def test_the_map_lies_where_the_heatmap_does(look: Callable[..., Opened], keys: tuple) -> None:
    seen = look()
    seen.stage.focus()
    for key in keys:
        seen.page.keyboard.press(key)
    over = seen.picture()
    seen.page.keyboard.press("h")
    plain = seen.picture()
    zoom = seen.state()["zoom"]
    inner = (slice(8, -30), slice(8, -8))  # without the frame of the focus
    assert (plain[inner].max(-1) == plain[inner].min(-1)).all()
    mark = center((plain[inner] > 200).all(-1))
    colored = over[inner].max(-1) - over[inner].min(-1) > 20  # which the mark is not
    found = center(colored & (decoded(over[inner]) >= 128))
    wanted = center(levels(PREPROCESSING.to_film(heatmap(), SHAPE)) >= 128)
    expected = mark + (wanted - [384.5, 214.5]) * zoom
    assert np.abs(found - expected).max() < 1.0


def test_the_film_is_as_large_as_the_stage_allows(look: Callable[..., Opened]) -> None:
    seen = look()
    state = seen.state()
    box = seen.stage.bounding_box()
    assert box is not None
    assert state["zoom"] == pytest.approx(min(box["width"] / 820, box["height"] / 1000))
    assert box["height"] >= 600


def test_keys_and_buttons_change_the_layers_and_nothing_is_loaded(
    look: Callable[..., Opened],
) -> None:
    seen = look()
    page, before = seen.page, len(seen.requests)
    shown = page.locator(".viewer").first.locator(".map.shown")
    words = page.locator(".viewer").first.locator("figcaption [data-finding]:visible")
    assert shown.get_attribute("data-finding") == "Atelectasis"
    page.get_by_role("radio", name="Effusion").first.check(force=True)
    assert shown.get_attribute("data-finding") == "Effusion"
    assert words.count() == 1
    assert "not the location of disease" in words.inner_text()
    seen.stage.hover()  # under the pointer is enough
    page.keyboard.press("f")
    assert shown.get_attribute("data-finding") == "Atelectasis"
    page.keyboard.press("h")
    assert shown.count() == 0
    button = page.get_by_role("button", name="Map", exact=True).first
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert shown.count() == 1
    for _ in range(3):
        page.keyboard.press("[")
    assert seen.state()["opacity"] == pytest.approx(0.32)
    assert shown.evaluate("map => getComputedStyle(map).opacity") == "0.32"
    page.keyboard.press("]")
    assert seen.state()["opacity"] == pytest.approx(0.42)
    page.get_by_label("Opacity").first.fill("1")
    assert seen.state()["opacity"] == 1
    page.keyboard.press("c")
    page.keyboard.press("i")
    page.keyboard.press("r")
    assert seen.state()["opacity"] == 0.62
    assert len(seen.requests) == before
    assert seen.troubles == []


def test_the_contour_runs_where_the_map_has_its_share(look: Callable[..., Opened]) -> None:
    seen = look()
    seen.stage.hover()
    plain = seen.picture()
    seen.page.keyboard.press("h")
    heat = levels(PREPROCESSING.to_film(heatmap(), SHAPE)) / 255.0
    for share in (0.5, 0.8):
        seen.page.keyboard.press("c")
        state = seen.state()
        assert state["contour"] == share
        bright = (seen.picture() > 200).all(-1) & ~(plain > 150).all(-1)
        bright[-30:] = False
        rows, columns = np.nonzero(bright)
        assert len(rows) > 50
        at = [
            ((cells + 0.5 - state[corner]) / state["zoom"]).astype(int)
            for cells, corner in ((rows, "y"), (columns, "x"))
        ]
        found = heat[at[0], at[1]]
        slope = 255 / (1000 / 7) / 255 / state["zoom"]  # of the map, for each pixel of the screen
        assert np.abs(np.median(found) - share) < 2 * slope
        assert np.percentile(np.abs(found - share), 95) < 5 * slope
    seen.page.keyboard.press("c")
    assert seen.state()["contour"] == 0


@pytest.mark.parametrize("window", [(0.5, 0.5), (0.2, 0.3), (0.7, 2.0)])
@pytest.mark.parametrize("invert", [False, True])
def test_the_window_is_that_of_the_formula(
    look: Callable[..., Opened], window: tuple[float, float], invert: bool
) -> None:
    seen = look()
    seen.stage.hover()
    seen.page.keyboard.press("h")
    inner = (slice(8, -30), slice(140, -140))
    plain = seen.picture()[inner]
    change = {"center": window[0], "width": window[1], "invert": invert}
    seen.page.evaluate(
        "(change) => hilumViewer.show(document.querySelector('.viewer')).set(change)", change
    )
    shares = np.clip((plain / 255.0 - window[0]) / window[1] + 0.5, 0.0, 1.0)
    wanted = 255.0 * (1.0 - shares if invert else shares)
    assert np.abs(seen.picture()[inner] - wanted).max() <= max(1.0, 0.5 / window[1]) + 0.5


def test_a_drag_windows_and_a_right_drag_moves(look: Callable[..., Opened]) -> None:
    seen = look()
    page, (x, y) = seen.page, seen.middle()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y - 40, steps=4)
    page.mouse.up()
    state = seen.state()
    assert (state["width"], state["center"]) == pytest.approx((0.8, 0.6))
    assert page.locator("dialog").count() == 0
    page.keyboard.press("=")
    page.keyboard.press("+")
    before = seen.state()
    page.mouse.down(button="right")
    page.mouse.move(x + 80 + 30, y - 40 + 20, steps=4)
    page.mouse.up(button="right")
    after = seen.state()
    assert (after["x"], after["y"]) == pytest.approx((before["x"] + 30, before["y"] + 20))
    assert (after["width"], after["center"]) == (before["width"], before["center"])
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(x + 80, y - 40, steps=4)
    page.mouse.up()
    page.keyboard.up(" ")
    back = seen.state()
    assert (back["x"], back["y"]) == pytest.approx((before["x"], before["y"]))
    page.keyboard.press("0")
    assert seen.state()["zoom"] < before["zoom"]


def test_the_wheel_scrolls_the_page_until_the_film_has_the_focus(
    look: Callable[..., Opened],
) -> None:
    seen = look()
    page, (x, y) = seen.page, seen.middle()
    x, y = round(x + 50), round(y + 70)  # a wheel tells whole pixels
    page.mouse.move(x, y)
    before, top = seen.state(), page.evaluate("scrollY")
    page.mouse.wheel(0, 40)
    page.wait_for_function(f"() => scrollY > {top}")
    assert seen.state() == before
    page.mouse.wheel(0, -40)
    page.wait_for_function(f"() => scrollY == {top}")
    seen.stage.focus()
    box = seen.stage.bounding_box()
    assert box is not None
    under = [
        (x - box["x"] - before["x"]) / before["zoom"],
        (y - box["y"] - before["y"]) / before["zoom"],
    ]
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => document.querySelector('.stage.zoomed') !== null")
    after = seen.state()
    assert after["zoom"] > 2 * before["zoom"]
    assert after["x"] + under[0] * after["zoom"] == pytest.approx(x - box["x"], abs=1.0)
    assert after["y"] + under[1] * after["zoom"] == pytest.approx(y - box["y"], abs=1.0)
    assert page.evaluate("scrollY") == top


def test_a_click_or_enter_opens_the_full_window_with_the_same_stage(
    look: Callable[..., Opened],
) -> None:
    seen = look()
    page, before = seen.page, len(seen.requests)
    seen.stage.focus()
    page.keyboard.press("i")
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.full")
    dialog.get_by_text("not a medical device").wait_for()
    box = dialog.locator(".stage").bounding_box()
    assert box is not None
    assert box["width"] == 1400
    assert seen.page.locator(".full .viewer").count() == 1
    assert page.evaluate("hilumViewer.show(document.querySelector('.full .viewer')).state.invert")
    page.keyboard.press("j")
    page.wait_for_function(
        "() => document.querySelector('.full .stage')?.dataset.name === '01.png'"
    )
    page.keyboard.press("k")
    page.wait_for_function(
        "() => document.querySelector('.full .stage')?.dataset.name === '00.png'"
    )
    page.keyboard.press("?")
    page.locator("dialog.key-list").get_by_text("contour at 50 or 80 %").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog.key-list").wait_for(state="detached")
    assert page.locator("dialog").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelector('dialog') === null")
    page.wait_for_function("() => document.activeElement.dataset.name === '00.png'")
    assert page.locator(".panel .viewer").count() == 12
    seen.stage.click()
    page.locator("dialog.full").wait_for()
    page.get_by_role("button", name="Close").click()
    assert page.locator("dialog").count() == 0
    assert [url for url in seen.requests[before:] if "/00" in url] == []
    assert seen.troubles == []


def test_the_keyboard_reaches_everything(look: Callable[..., Opened]) -> None:
    seen = look()
    page = seen.page
    seen.stage.focus()
    reached = []
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.type"))
    assert reached == ["radio", "range", "button"]
    names = []
    for _ in range(10):
        names.append(
            page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent")
        )
        page.keyboard.press("ArrowRight")
    assert names == ["Map", "Contour", "Invert", "Zoom out", "Zoom in", "Fit",
                     "One pixel a screen pixel", "Reset", "Full window", "Keys"]  # fmt: skip
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")  # Contour, and no scrolling
    assert seen.state()["contour"]
    seen.stage.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert (seen.state()["width"], seen.state()["center"]) == pytest.approx((0.95, 0.45))
    page.keyboard.press("=")
    before = seen.state()
    page.keyboard.press("ArrowDown")
    assert seen.state()["y"] == pytest.approx(before["y"] - 40)


def test_two_fingers_zoom_and_one_scrolls(look: Callable[..., Opened]) -> None:
    seen = look(420, 850, has_touch=True)
    hand = seen.page.context.new_cdp_session(seen.page)
    x, y = seen.middle()
    before = seen.state()

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", (x - 30, y), (x + 30, y))
    for apart in (40, 50, 60):
        touch("touchMove", (x - apart, y), (x + apart, y))
    touch("touchEnd")
    after = seen.state()
    assert after["zoom"] == pytest.approx(2 * before["zoom"], rel=0.05)
    assert (after["width"], after["center"]) == (1, 0.5)
    assert seen.page.locator("dialog").count() == 0


def test_without_javascript_the_first_map_shows_over_the_film(look: Callable[..., Opened]) -> None:
    seen = look(java_script_enabled=False)
    seen.stage.scroll_into_view_if_needed()
    seen.page.wait_for_timeout(500)
    figure = seen.page.locator(".viewer").first
    film, first, second = (figure.locator("img").nth(at) for at in range(3))
    assert box_of(film) == pytest.approx(box_of(first), abs=0.1)
    assert first.is_visible()
    assert not second.is_visible()
    picture = seen.picture()
    color = picture.max(-1) - picture.min(-1)
    assert color.max() > 80
    assert figure.get_by_text("Effusion").is_visible()
    assert figure.locator(".controls").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (900, "dark"), (420, "light")])
def test_it_fits_every_width(look: Callable[..., Opened], width: int, scheme: str) -> None:
    seen = look(width, 850, color_scheme=scheme)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    for control in seen.page.locator(".viewer").first.locator("button").all():
        box = control.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
        assert box["height"] >= (38 if width < 576 else 30)
    seen.stage.focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.troubles == []


def test_print_has_the_whole_film_with_the_map_and_no_controls(look: Callable[..., Opened]) -> None:
    seen = look()
    seen.stage.focus()
    seen.page.keyboard.press("=")
    seen.page.emulate_media(media="print")
    assert not seen.page.locator(".controls").first.is_visible()
    film, layer = (box_of(seen.page.locator(name).first) for name in (".picture", ".map"))
    assert film == pytest.approx(layer, abs=0.1)
    assert film["width"] / film["height"] == pytest.approx(0.82, abs=0.01)
    assert len(seen.page.pdf(print_background=True)) < 12 * 250_000


def test_films_far_below_wait(look: Callable[..., Opened]) -> None:
    seen = look()
    ready = seen.page.locator(".viewer.ready").count()
    assert 1 <= ready < 6
    seen.page.locator(".stage").last.scroll_into_view_if_needed()
    seen.page.wait_for_function("() => document.querySelectorAll('.viewer')[11].matches('.ready')")
