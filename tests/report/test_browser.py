"""The pages in a real browser, from the disk, as a reader opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hilum.report.batch import reports
from hilum.report.batch.film_report import FilmReport
from hilum.report.parts.results import BatchResults

pytestmark = pytest.mark.slow


def written(batch: BatchResults, folder: Path) -> Path:
    """The pages and small images for every link that a file system can hold."""
    for report in reports().values():
        (folder / report.filename).write_bytes(report.render(batch).encode())
    gray = Image.fromarray(np.full((8, 6), 90, np.uint8))
    for result in batch.results:
        for name in (result.film, *result.maps.values()):
            if name and name.startswith(("films/", "maps/")) and name.count("/") == 1:
                (folder / name).parent.mkdir(exist_ok=True)
                gray.save(folder / name, "PNG")
    return folder


@pytest.fixture(scope="module")
def output(mixed: BatchResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(mixed, tmp_path_factory.mktemp("output"))


@pytest.mark.parametrize("name", ["report.html", "dashboard.html"])
@pytest.mark.parametrize("width", [1400, 420])
def test_opens_without_errors_or_requests_and_fits(
    pages: Any, output: Path, name: str, width: int
) -> None:
    seen = pages.open((output / name).as_uri(), width=width)
    assert seen.troubles == []
    assert all(url.startswith(output.as_uri()) for url in seen.requests)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_images_load(pages: Any, output: Path) -> None:
    page = pages.open((output / "report.html").as_uri()).page
    images = page.locator("article img")
    assert images.count() == 6
    for index in range(6):
        image = images.nth(index)
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") == 6


def test_the_filter_shows_what_it_says(pages: Any, output: Path) -> None:
    page = pages.open((output / "report.html").as_uri()).page

    def visible() -> list[str]:
        return page.locator("article:visible h2").all_text_contents()

    scored, rest = ["c.png", "b.png", "a.png"], ["d.png", "e.dcm", "f.pdf"]
    assert visible() == scored
    page.get_by_text("Positive 2").click()
    assert visible() == ["c.png", "b.png"]
    page.get_by_label("Positive for").select_option("Hernia")
    assert visible() == ["c.png"]
    assert page.locator("#shown").inner_text() == "1 of 6 shown"
    page.get_by_label("Positive for").select_option("")
    page.get_by_text("Needs attention 4").click()
    assert visible() == ["c.png", "d.png", "e.dcm", "f.pdf"]
    page.get_by_label("Name").fill("  D.P ")
    assert visible() == ["d.png"]
    page.get_by_label("Name").fill("nobody")
    assert visible() == []
    assert page.get_by_text("No film matches").is_visible()
    page.get_by_text("List of films").click()
    page.get_by_role("link", name="b.png").click()
    page.wait_for_function("document.querySelectorAll('article[hidden]').length === 0")
    assert visible() == scored
    page.get_by_text("Not scored: 3 inputs").click()
    assert visible() == [*scored, *rest]


def test_pages_lead_to_each_other(pages: Any, mixed: BatchResults, tmp_path: Path) -> None:
    written(mixed, tmp_path)
    for name, text in FilmReport(most=4).files(mixed):
        (tmp_path / name).write_text("".join(text), "utf-8")
    seen = pages.open((tmp_path / "report.html").as_uri())
    page = seen.page
    assert page.get_by_text("Films 1 to 4 of 6").first.is_visible()
    page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="2").click()
    page.wait_for_url("**/report-2.html")
    assert page.locator("article:visible h2").all_text_contents() == ["e.dcm", "f.pdf"]
    assert page.locator("#shown").inner_text() == "2 of 2 shown"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400
    assert seen.troubles == []


def test_the_keyboard_reaches_the_filter(pages: Any, output: Path) -> None:
    page = pages.open((output / "report.html").as_uri()).page
    for _ in ("report", "dashboard", "table", "lines", "about", "filter"):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("article:visible").count() == 2


def test_without_javascript_only_the_filter_is_missing(pages: Any, output: Path) -> None:
    page = pages.open((output / "report.html").as_uri(), java_script_enabled=False).page
    assert page.locator("article:visible").count() == 3
    page.get_by_text("Not scored: 3 inputs").click()
    assert page.locator("article:visible").count() == 6
    assert not page.locator("#filter").is_visible()


@pytest.mark.parametrize("name", ["report.html", "dashboard.html"])
def test_hostile_names_run_nothing(
    pages: Any, hostile: BatchResults, tmp_path: Path, name: str
) -> None:
    for report in reports().values():
        (tmp_path / report.filename).write_bytes(report.render(hostile).encode())
    seen = pages.open((tmp_path / name).as_uri())
    seen.page.wait_for_timeout(300)
    # the images of this batch were never written; nothing else may be amiss
    missing = "Failed to load resource: net::ERR_"
    assert [text for text in seen.troubles if not text.startswith(missing)] == []
    assert all(url.startswith("file://") for url in seen.requests)
    if name == "report.html":
        assert seen.page.locator("article").count() == len(hostile.results)
        assert seen.page.locator("h2").first.inner_text() == seen.page.locator(
            "article"
        ).first.get_attribute("data-name")
