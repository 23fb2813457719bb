"""The page of a service that scores: films are added, and looked at as their own pixels."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hilum.explain.caption import token_words

pytestmark = pytest.mark.slow
Look = Callable[..., Any]


def picture(seen: Any) -> np.ndarray:
    with Image.open(io.BytesIO(seen.page.locator(".stage").screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def add(seen: Any, *files: Any) -> None:
    seen.page.locator("#uploads input[multiple]").set_input_files(list(files))


@pytest.fixture
def dicom(films: list[Path], tmp_path: Path) -> Path:
    """A film of 12 bits with its sides and pixel spacing."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    with Image.open(films[3]) as image:
        grays = np.asarray(image.convert("L")).astype(np.uint16) * 16
    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(str(tmp_path / "film.dcm"), {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, generate_uid()
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.PatientOrientation, made.ImagerPixelSpacing = ["L", "F"], [1.5, 1.5]
    made.PatientName, made.PatientID = "<script>alert(2)</script>", "p"
    made.Rows, made.Columns = grays.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = grays.tobytes()
    made.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    return tmp_path / "film.dcm"


def test_a_film_is_added_scored_and_shown_with_its_map(
    scoring: Any, look: Look, films: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "<svg onload=alert(3)>.png"
    broken.write_bytes(b"no film")
    seen = look(scoring, "submit", "review")
    add(seen, films[0], films[1], films[2], broken)
    seen.page.get_by_text("4 of 4 done").wait_for()
    lines = seen.page.locator("#uploads li")
    assert lines.locator(".name").all_inner_texts() == [f.name for f in (*films[:3], broken)]
    assert "threshold" in lines.first.inner_text()
    assert "NOT_AN_IMAGE" in lines.last.inner_text()
    lines.first.get_by_role("link", name="Open").click()
    seen.ready()
    seen.page.locator("#uploads").get_by_role("button", name="Close").click()
    seen.page.locator("canvas.pixels").wait_for()
    before = len(seen.requests)
    plain = picture(seen)
    seen.press("h")
    colored = picture(seen)
    inner = (slice(60, -60), slice(60, -60))
    assert (plain[inner].max(-1) - plain[inner].min(-1)).max() <= 2
    assert (colored[inner].max(-1) - colored[inner].min(-1)).max() > 60
    seen.press("ArrowDown", "m")
    seen.page.get_by_role("button", name="Shared scale").wait_for()
    shared = picture(seen)
    seen.press("m")
    assert np.abs(shared - picture(seen))[inner].mean() > 0.2, "one of two maps is the higher"
    seen.press("ArrowUp")
    seen.press("]", "ArrowDown", "c", "3", "i", "h", "0")
    inverted = picture(seen)
    assert np.abs(inverted[inner] - plain[inner]).mean() > 20
    assert [one for one in seen.requests[before:] if "/pixels" not in one] == []


def test_sides_and_scale_stand_only_where_they_are_known(
    scoring: Any, look: Look, dicom: Path, films: list[Path]
) -> None:
    seen = look(scoring, "submit", "review")
    add(seen, dicom, films[4])
    seen.page.get_by_text("2 of 2 done").wait_for()
    links = seen.page.locator("#uploads li").get_by_role("link", name="Open")
    links.first.click()
    seen.ready()
    sides = seen.page.locator(".side")
    assert seen.page.locator(".side.left").inner_text() == "R"
    assert seen.page.locator(".side.right").inner_text() == "L"
    scale = seen.page.locator(".scale")
    zoom = seen.page.evaluate(
        "() => hilumViewer.show(document.querySelector('.viewer')).state.zoom"
    )
    length = float(scale.inner_text().removesuffix(" cm")) * 10
    box = scale.bounding_box()
    assert box["width"] == pytest.approx(length / 1.5 * zoom, abs=2)
    links.nth(1).click()
    seen.page.locator(".film-head", has_text=films[4].name).wait_for()
    seen.ready()
    assert sides.count() == 0
    assert not scale.is_visible()


def test_a_pointer_over_a_film_that_still_loads_makes_no_second_viewer(
    scoring: Any, look: Look, films: list[Path]
) -> None:
    seen = look(scoring, "submit", "review")
    add(seen, films[5])
    seen.page.get_by_text("1 of 1 done").wait_for()
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    seen.page.route("**/pixels", hold)
    seen.page.locator("#uploads").get_by_role("link", name="Open").click()
    seen.page.locator(".stage").hover()
    seen.page.mouse.wheel(0, 100)
    seen.page.locator(".stage").focus()
    seen.press("h", "0")
    assert seen.page.locator(".controls, .stage.live").count() == 0
    for one in held:
        one.continue_()
    seen.ready()
    assert seen.page.locator(".controls").count() == 0


def test_the_first_film_of_the_list_is_loaded_before_it_is_opened(
    scoring: Any, look: Look, films: list[Path]
) -> None:
    scoring.client("submit", "read").post(
        "/v1/films", content=films[0].read_bytes(), headers={"Prefer": "wait=20"}
    )
    seen = look(scoring, "submit", "review", place="#/?state=unread")
    with seen.page.expect_response("**/pixels"):
        seen.page.reload()
    seen.listed()
    assert seen.page.locator(".stage").count() == 0
    asked = sum("/pixels" in one for one in seen.requests)
    seen.film()
    seen.page.locator("canvas.pixels").wait_for()
    assert seen.page.evaluate("document.querySelectorAll('canvas').length") == 1
    first = [one for one in seen.requests if f"{seen.film_id}/pixels" in one]
    assert len(first) == asked, "what was loaded ahead is not loaded again"


def test_a_map_says_what_the_class_token_decided(
    scoring: Any, look: Look, films: list[Path]
) -> None:
    def with_shares(route: Any) -> None:
        film = route.fetch().json()
        film["result"]["token_shares"] = dict.fromkeys(film["result"]["findings"], 0.43)
        route.fulfill(json=film)

    scoring.client("submit", "read").post(
        "/v1/films", content=films[0].read_bytes(), headers={"Prefer": "wait=20"}
    )
    seen = look(scoring, "submit", "review")
    seen.listed()
    seen.page.route(re.compile("/v1/films/[0-9a-f]+$"), with_shares)
    seen.film()
    words = seen.page.locator(".about-map")
    assert words.inner_text() == ""
    seen.press("h")
    assert words.inner_text() == token_words(0.43)
    seen.press("h")
    assert words.inner_text() == ""


def test_the_pages_of_the_viewer_are_those_of_the_report(scoring: Any) -> None:
    from importlib.resources import files

    client = scoring.client("read")
    templates = files("hilum.report").joinpath("templates")
    for name in ("viewer.js", "viewer_pixels.js", "viewer.css"):
        assert client.get(f"/static/{name}").content == templates.joinpath(name).read_bytes()
    assert client.get("/static/film_report.js").status_code == 404
    assert client.get("/static/..%2Froutes%2Fpage.py").status_code == 404


def test_a_link_works_once_and_a_token_opens_the_page_too(
    scoring: Any, look: Look, browser: Any
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{scoring.url}/#once=wrong")
    page.get_by_role("alert").filter(has_text="not known").wait_for()
    assert page.url == f"{scoring.url}/"
    context.close()
    seen = look(scoring)
    assert seen.page.get_by_role("button", name="Add films").count() == 0, "no scope to submit"
