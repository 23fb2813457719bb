"""The list of films in a real browser: sorted, filtered, restored from a link, printed, sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from hilum.domain.errors import ReasonCode, Status
from hilum.report.batch import reports
from hilum.report.batch.film_report import FilmReport
from hilum.report.parts.results import BatchResults
from hilum.report.single_file import read_picture, with_pictures_inside

pytestmark = pytest.mark.slow

BY_PRIORITY = ["c.png", "b.png", "a.png"]
UNSCORED = ["d.png", "e.dcm", "f.pdf"]


Open = Callable[..., Page]


@pytest.fixture
def page_of(pages: Any) -> Iterator[Open]:
    """Open a file at a size; any word on the console fails the test at its end."""
    all_seen: list[Any] = []

    def opened(file: Path, view: str = "", size: tuple[int, int] = (1400, 900), **how) -> Page:
        seen = pages.open(file.as_uri() + view, *size, **how)
        all_seen.append(seen)
        return seen.page

    yield opened
    assert [text for seen in all_seen for text in seen.troubles] == []


@pytest.fixture(scope="module")
def output(mixed: BatchResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(mixed, tmp_path_factory.mktemp("output"))


def written(batch: BatchResults, folder: Path) -> Path:
    for report in reports().values():
        (folder / report.filename).write_bytes(report.render(batch).encode())
    gray = Image.fromarray(np.full((8, 6), 90, np.uint8))
    for result in batch.results:
        for name in (result.film, *result.maps.values(), *result.heatmaps.values()):
            if name:
                (folder / name).parent.mkdir(exist_ok=True)
                gray.save(folder / name, "PNG")
    return folder


def visible(page: Page) -> list[str]:
    return page.locator("article:visible h2").all_text_contents()


@pytest.mark.parametrize(
    ("view", "names", "shown"),
    [
        ("", BY_PRIORITY, "6 of 6"),
        ("#show=positive", ["c.png", "b.png"], "2 of 6"),
        ("#show=near", ["a.png"], "1 of 6"),
        ("#show=negative", ["a.png"], "1 of 6"),
        ("#show=unscored", UNSCORED, "3 of 6"),
        ("#show=attention", ["c.png", *UNSCORED], "4 of 6"),
        ("#sort=name", ["a.png", "b.png", "c.png"], "6 of 6"),
        ("#sort=status", ["c.png", "a.png", "b.png"], "6 of 6"),
        ("#sort=finding", ["b.png", "c.png", "a.png"], "6 of 6"),
        # among films positive for one finding, that finding's margin decides
        ("#show=positive&finding=Atelectasis&sort=priority", ["b.png", "c.png"], "2 of 6"),
        ("#finding=Hernia", ["c.png"], "1 of 6"),
        ("#name=A.P", ["a.png"], "1 of 6"),
        ("#status=error", ["d.png"], "1 of 6"),
        ("#reason=RANGE_INFERRED", ["c.png"], "1 of 6"),
        ("#found=0", ["a.png"], "1 of 6"),
        ("#found=2", ["c.png", "b.png"], "2 of 6"),
        ("#show=nonsense&sort=nonsense&finding=Mass", [], "0 of 6"),
        ("#show=%3Cscript%3E&constructor=1&__proto__=2", BY_PRIORITY, "6 of 6"),
    ],
)
def test_a_link_restores_the_view(
    page_of: Open, output: Path, view: str, names: list[str], shown: str
) -> None:
    page = page_of(output / "report.html", view)
    assert visible(page) == names
    assert page.locator("#shown").inner_text() == f"{shown} shown"
    page.reload()
    assert visible(page) == names


def test_what_is_chosen_is_in_the_address_and_comes_back(page_of: Open, output: Path) -> None:
    page = page_of(output / "report.html")
    page.get_by_text("Positive 2").click()
    page.get_by_label("Positive for").select_option("Atelectasis")
    page.get_by_label("Sort by").select_option("name")
    page.get_by_label("Name").fill("png")
    address = page.evaluate("location.hash")
    assert address == "#show=positive&finding=Atelectasis&sort=name&name=png"
    other = page_of(output / "report.html", address)
    assert visible(other) == visible(page) == ["b.png", "c.png"]
    assert other.get_by_label("Sort by").input_value() == "name"
    page.get_by_text("All 6").click()
    page.get_by_label("Positive for").select_option("")
    page.get_by_label("Sort by").select_option("priority")
    page.get_by_label("Name").fill("")
    assert page.evaluate("location.hash") == ""
    assert visible(page) == BY_PRIORITY


def test_a_filter_of_the_address_can_be_removed(page_of: Open, output: Path) -> None:
    page = page_of(output / "report.html", "#status=warn")
    page.get_by_role("button", name="Remove the filter Status: warn").click()
    assert visible(page) == BY_PRIORITY
    assert page.evaluate("location.hash") == ""


def test_counts_of_the_dashboard_open_films_of_that_number(page_of: Open, output: Path) -> None:
    page = page_of(output / "dashboard.html")
    addresses = page.locator("a[href*='report.html#']").evaluate_all(
        "all => all.map(one => [one.getAttribute('href'), one.innerText])"
    )
    assert len(addresses) > 8
    there = page_of(output / "report.html")
    for address, count in addresses:
        there.goto("about:blank")  # else nothing but the hash would change
        there.goto((output / "dashboard.html").as_uri().replace("dashboard.html", address))
        assert there.locator("#shown").inner_text().startswith(f"{count} of "), address


def test_films_without_a_score_are_folded_and_a_link_unfolds_them(
    page_of: Open, output: Path
) -> None:
    page = page_of(output / "report.html")
    folded = page.locator("#unscored-films")
    assert folded.get_attribute("open") is None
    page.get_by_text("List of films").click()
    page.get_by_role("link", name="e.dcm").click()
    page.locator("#film-5").wait_for(state="visible")
    page = page_of(output / "report.html", "#film-4")
    assert visible(page) == [*BY_PRIORITY, *UNSCORED]
    assert page.get_by_text("The file ends too early").is_visible()


def test_a_link_to_a_hidden_film_shows_it(page_of: Open, output: Path) -> None:
    page = page_of(output / "report.html", "#show=unscored")
    page.evaluate("location.hash = '#film-2'")
    page.locator("#film-2").wait_for(state="visible")
    page.go_back()
    page.wait_for_function("document.getElementById('shown').textContent === '3 of 6 shown'")
    assert visible(page) == UNSCORED


def test_pages_of_an_archive_carry_the_view_and_say_what_is_filtered(
    page_of: Open, mixed: BatchResults, tmp_path: Path
) -> None:
    written(mixed, tmp_path)
    for name, text in FilmReport(most=3).files(mixed):
        (tmp_path / name).write_text("".join(text), "utf-8")
    page = page_of(tmp_path / "report.html", "#show=attention&sort=name")
    assert page.get_by_text("On this page, films 1 to 3 of 6").is_visible()
    assert visible(page) == ["c.png"]
    page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="2").click()
    page.wait_for_url("**/report-2.html#show=attention&sort=name")
    assert visible(page) == UNSCORED


def test_the_keyboard_alone_filters_sorts_and_unfolds(page_of: Open, output: Path) -> None:
    page = page_of(output / "report.html")
    page.locator("input[name=show]:checked").focus()
    page.keyboard.press("ArrowRight")
    assert visible(page) == ["c.png", "b.png"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("n")
    assert visible(page) == ["a.png", "b.png", "c.png"]
    page.locator("#unscored-films > summary").focus()
    page.keyboard.press("Enter")
    assert visible(page)[3:] == UNSCORED


@pytest.mark.parametrize("size", [(1400, 900), (900, 900), (420, 850)])
def test_the_first_film_begins_within_one_screen_and_thresholds_stand_on_one_line(
    page_of: Open, output: Path, size: tuple[int, int]
) -> None:
    page = page_of(output / "report.html", size=size)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        top = page.locator("article").first.evaluate("card => card.getBoundingClientRect().top")
        assert top < size[1] - 100
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    middles = (
        page.locator("article")
        .nth(1)
        .locator("svg.bar")
        .evaluate_all(
            "bars => bars.map(b => b.getBoundingClientRect()).map(r => r.x + r.width / 2)"
        )
    )
    assert len(middles) == 3
    assert max(middles) - min(middles) < 0.5


def test_print_has_every_film_and_reason(page_of: Open, output: Path) -> None:
    page = page_of(output / "report.html")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert visible(page) == [*BY_PRIORITY, *UNSCORED]
    assert not page.locator("#filter").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#unscored-films").get_attribute("open") is None


@pytest.mark.parametrize("name", ["report.html", "dashboard.html"])
@pytest.mark.parametrize("width", [1400, 420])
def test_axe_finds_nothing(
    page_of: Open, objections: Callable[..., object], output: Path, name: str, width: int
) -> None:
    page = page_of(output / name, size=(width, 900), bypass_csp=True)
    for details in page.locator("details > summary").all():
        details.click()
    assert objections(page) == []
    page.emulate_media(color_scheme="dark")
    assert objections(page, by_color=True) == []


def test_a_single_file_shows_its_pictures_and_asks_for_nothing(
    page_of: Open, mixed: BatchResults, output: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = tmp_path_factory.mktemp("alone") / "films.html"
    text = FilmReport().render(mixed)
    alone.write_text(
        "".join(with_pictures_inside(text, lambda path: read_picture(output, path))), "utf-8"
    )
    page = page_of(alone)
    assert page.locator("article img").count() == 6
    for image in page.locator("article img").all():
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") == 6
    addresses = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    assert all(one.startswith("data:") for one in addresses)
    assert page.locator("a[href^='./']").count() == 0


def test_two_thousand_films_sort_by_one_move_each(
    page_of: Open, batch_of, scored, unscored, tmp_path: Path
) -> None:
    films = [scored(f"{n:04d}", (0.001 + (n * 7919 % 1990) / 2000, 0.2, 0.0)) for n in range(1990)]
    rest = [unscored(f"x{n}", Status.ERROR, ReasonCode.EMPTY_FILE) for n in range(10)]
    file = tmp_path / "report.html"
    file.write_text(FilmReport().render(batch_of(*films, *rest)), "utf-8")
    page = page_of(file)
    assert page.locator("#shown").inner_text() == "2000 of 2000 shown"
    page.evaluate(
        "window.moves = 0; new MutationObserver(all => { for (const one of all) window.moves += "
        "one.addedNodes.length; }).observe(document.getElementById('films'), { childList: true })"
    )
    page.get_by_label("Sort by").select_option("name")
    assert page.locator("#films article h2").first.inner_text() == "0000"
    assert page.evaluate("window.moves") == 1990
    page.get_by_label("Name").fill("199")
    page.get_by_label("Name").fill("1989")
    assert page.evaluate("window.moves") == 1990, "a filter moves nothing"
    assert visible(page) == ["1989"]
