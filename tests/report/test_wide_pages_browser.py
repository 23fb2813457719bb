"""Evaluation, comparison, errors, check and run index in a real browser, from the disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from hilum.datasets import reader
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities, Target
from hilum.evaluation.compare import ComparisonRequest, Contender, compare
from hilum.evaluation.curves import curves_of
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.inspection.inspect import InspectionRequest, inspect_dataset
from hilum.metrics.operating import choose_all
from hilum.report.evaluation.comparison import comparison_page
from hilum.report.evaluation.errors import (
    CallKind,
    ErrorBrowser,
    FilmPictures,
    SureCall,
    errors_page,
)
from hilum.report.evaluation.page import evaluation_page
from hilum.report.inspection.page import inspection_page
from hilum.report.run import RunNumber, RunStage, StageState, run_page

pytestmark = pytest.mark.slow

LABELS = LabelSet("three", ("Effusion", "Hernia", "Pneumonia"))
HOSTILE = "</script><img src=x onerror=alert(1)>"
PAGES = ("evaluation", "comparison", "errors", "errors-alone", "inspection", "run")


def cohort_of(p: np.ndarray) -> Cohort:
    rng = np.random.default_rng(1)
    states = (rng.random(p.shape) < p).astype(np.int8)
    return Cohort(
        "drawn",
        LABELS,
        tuple(
            Record(
                f"{i}.png",
                f"p{i // 3}",
                tuple(LabelState(s) for s in row),
                view=ViewPosition.AP if i % 3 else ViewPosition.PA,
                sex=Sex.FEMALE if i % 2 else Sex.MALE,
            )
            for i, row in enumerate(states.tolist())
        ),
    )


CALLS = tuple(
    SureCall(finding, kind, rank, f"{finding}-{rank}.png", 0.9 - 0.01 * rank, 0.4)
    for finding in ("Effusion", HOSTILE)
    for kind in CallKind
    for rank in range(1, 31 if kind is CallKind.FALSE_POSITIVE else 6)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(4)
    p = np.column_stack([rng.beta(0.7, 2, 300), rng.beta(1, 9, 300), rng.beta(1, 5, 300)])
    cohort = cohort_of(p)
    scores = [Probabilities(p, LABELS), Probabilities(np.clip(p**1.3 + 0.02, 0, 1), LABELS)]
    curves = [curves_of(one, cohort, 0) for one in scores]
    points = choose_all(scores[0], cohort.states(), Target.F1)
    evaluation = evaluate(
        scores[0],
        cohort,
        EvaluationRequest("a model", "test", points, resamples=20, notes=(HOSTILE,)),
    )
    names = ("first <b>", "second")
    compared = compare(
        [Contender(name, one) for name, one in zip(names, scores, strict=True)],
        cohort,
        ComparisonRequest("tune", True, resamples=20, notes=(HOSTILE,)),
    )
    (root / "films").mkdir()
    Image.fromarray(np.full((40, 30), 90, np.uint8)).save(root / "films" / "1.jpg")
    Image.new("RGBA", (40, 30), (255, 0, 0, 120)).save(root / "map.png")
    pictures = {
        call.film: FilmPictures("films/1.jpg", {call.finding: "map.png" if call.rank % 2 else ""})
        for call in CALLS
    }
    alone = ErrorBrowser(evaluation, CALLS, notes=("Pictures are left out: no film.",))
    shown = ErrorBrowser(evaluation, CALLS, {}, pictures, "a model")
    data = reader("nih").write_example(root / "nih")
    inspection = inspect_dataset(InspectionRequest(data, dataset="nih", films=False))
    stages = [
        RunStage(
            "Network",
            StageState.DONE,
            [RunNumber("Macro AUROC", "0.812 [0.790, 0.834]", "test: 80 films")],
            [(HOSTILE, "map.png")],
            "map.png",
        ),
        RunStage("Evaluation", StageState.MISSING, command="hilum evaluate run"),
    ]
    texts = {
        "evaluation": evaluation_page(evaluation, curves[0]),
        "comparison": comparison_page(compared, dict(zip(names, curves, strict=True))),
        "errors": errors_page(shown),
        "errors-alone": errors_page(alone),
        "inspection": inspection_page(inspection),
        "run": run_page(HOSTILE, True, stages),
    }
    for name, text in texts.items():
        (root / f"{name}.html").write_bytes(text.encode())
    return root


CUT = """() => [...document.querySelectorAll(".number, td, dd")].filter((one) => {
  const box = one.getBoundingClientRect();
  if (!box.width || getComputedStyle(one).visibility === "hidden") return false;
  const scroll = one.closest(".scroll");
  const edge = scroll ? scroll.getBoundingClientRect().right : innerWidth;
  return box.right > edge + 1;
}).map((one) => one.textContent)"""


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("name", PAGES)
def test_opens_without_errors_fits_cuts_no_number_and_axe_finds_nothing(
    pages: Any, objections: Callable[..., object], folder: Path, name: str, width: int
) -> None:
    seen = pages.open((folder / f"{name}.html").as_uri(), width)
    assert seen.page.get_by_text(NOT_A_DEVICE).count() == 2
    for scheme in ("light", "dark"):
        seen.page.emulate_media(color_scheme=scheme)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.evaluate(CUT) == []
    assert seen.troubles == []
    assert all(request.startswith(folder.as_uri()) for request in seen.requests)
    seen.page.emulate_media(color_scheme="light")
    for menu in seen.page.locator("details > summary").all()[:1]:
        menu.click()
    assert objections(seen.page) == []


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("name", ["evaluation", "comparison"])
def test_the_contents_stay_and_lead_to_a_finding(
    pages: Any, folder: Path, name: str, width: int
) -> None:
    page = pages.open((folder / f"{name}.html").as_uri(), width).page
    bar = page.get_by_role("navigation", name="Contents")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    assert bar.evaluate("one => one.getBoundingClientRect().top") == pytest.approx(0, abs=1)
    bar.get_by_text("Findings", exact=True).click()
    bar.get_by_role("link", name="Hernia").click()
    assert not bar.get_by_role("link", name="Hernia").is_visible()
    top = page.locator("#finding-1").evaluate("one => one.getBoundingClientRect().top")
    height = bar.evaluate("one => one.getBoundingClientRect().height")
    assert height <= top <= 120
    page.wait_for_function("document.querySelector('.contents [aria-current]') !== null")
    assert bar.locator("[aria-current]").evaluate("one => one.textContent") == "Hernia"
    bar.get_by_text("Findings", exact=True).click()
    page.keyboard.press("Escape")
    assert not bar.get_by_role("link", name="Effusion").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "curves"), [("evaluation", 1), ("comparison", 2)])
def test_a_chart_is_saved_as_svg_that_stands_alone(
    pages: Any, folder: Path, tmp_path: Path, name: str, curves: int, scheme: str
) -> None:
    page = pages.open((folder / f"{name}.html").as_uri(), color_scheme=scheme).page
    with page.expect_download() as waiting:
        page.locator("#finding-0 figure").first.get_by_role("button").click()
    assert re.fullmatch(r"[a-z0-9-]+-effusion-roc\.svg", waiting.value.suggested_filename)
    waiting.value.save_as(tmp_path / "roc.svg")
    root = ET.parse(tmp_path / "roc.svg").getroot()
    texts = " ".join(
        "".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")
    )
    assert "Effusion: ROC" in texts
    assert NOT_A_DEVICE in texts
    drawn = [
        one
        for one in root.iter("{http://www.w3.org/2000/svg}path")
        if re.match("curve|model-", one.get("class") or "") and "L" in (one.get("d") or "")
    ]
    assert len(drawn) == curves
    # the colors of the light page, whatever the screen shows, and no class that needs a style
    light = {"rgb(176, 56, 11)", "rgb(11, 110, 143)"}
    assert {one.get("stroke") for one in drawn} <= light
    assert "var(" not in (tmp_path / "roc.svg").read_text("utf-8")


def test_a_comparison_overlays_every_model_and_names_its_line_once(
    pages: Any, folder: Path
) -> None:
    page = pages.open((folder / "comparison.html").as_uri()).page
    article = page.locator("#finding-0")
    assert article.locator(".models li").all_text_contents() == ["first <b>", "second"]
    for chart in article.locator("svg.plot").all():
        assert chart.locator("path[class^=model-]").count() == 2
    dashes = article.locator("svg.plot path[class^=model-]").evaluate_all(
        "all => all.map(one => getComputedStyle(one).strokeDasharray)"
    )
    assert len(set(dashes)) == 2


def visible(page: Page) -> int:
    return page.locator(".call:visible").count()


@pytest.mark.parametrize("name", ["errors", "errors-alone"])
def test_errors_come_in_pages_of_24_and_the_address_restores_them(
    pages: Any, folder: Path, name: str
) -> None:
    address = (folder / f"{name}.html").as_uri()
    page = pages.open(address).page
    assert visible(page) == 24
    assert page.locator("output").inner_text() == f"1 to 24 of {len(CALLS)}"
    page.locator("select[name=finding]").select_option(label=HOSTILE)
    page.locator("select[name=kind]").select_option(label="False positives")
    page.get_by_role("button", name="Next").click()
    assert visible(page) == 6
    assert page.locator("output").inner_text() == "25 to 30 of 30"
    assert page.get_by_role("button", name="Next").is_disabled()
    again = pages.open(page.url).page
    assert page.url == f"{address}#1-false_positive-2"
    assert again.locator("output").inner_text() == "25 to 30 of 30"
    again.locator("#counts tbody tr").first.get_by_role("link").nth(1).click()
    again.wait_for_function("document.querySelector('output').textContent === '1 to 5 of 5'")
    without = pages.open(address, java_script_enabled=False).page
    assert visible(without) == len(CALLS)


def test_h_takes_the_heatmap_off_the_film(pages: Any, folder: Path) -> None:
    page = pages.open((folder / "errors.html").as_uri()).page
    film, drawn = page.locator(".call:visible .look").first.locator("img").all()
    assert drawn.is_visible()
    assert film.bounding_box() == drawn.bounding_box()
    page.keyboard.press("h")
    assert not drawn.is_visible()
    assert film.is_visible()
    page.get_by_label("Heatmap").check()
    assert drawn.is_visible()


def test_a_cut_table_of_a_page_without_script_has_a_shadow(pages: Any, folder: Path) -> None:
    address = (folder / "evaluation.html").as_uri()
    page = pages.open(address, 420, java_script_enabled=False).page
    table = page.get_by_role("region", name="Numbers of each finding")
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    shot = Image.open(BytesIO(table.screenshot())).convert("L")
    right, middle = shot.width - 2, shot.width // 2
    bottom = shot.height - 2
    assert shot.getpixel((right, bottom)) < shot.getpixel((middle, bottom)) - 20
