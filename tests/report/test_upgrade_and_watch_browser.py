"""The pages of an upgrade and of a watch in a real browser: no objection of axe, and in print."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum import api
from hilum.cli.bundle import write
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import Status
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.record import Split
from hilum.domain.scores import Target
from hilum.monitoring.check import check_films, days_of
from hilum.monitoring.films import watched_films
from hilum.monitoring.reference import ReferenceRequest, fit_reference
from hilum.report.watch import watch_page
from hilum.runs.folder import RunFolder
from hilum.splits import SplitTable
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.films import split_of

pytestmark = pytest.mark.slow

PAGES = ("upgrade", "watch")
HOSTILE = "</script><img src=x onerror=alert(1)>"


def film(number: int, rng: np.random.Generator, shift: float) -> ImageResult:
    p = 1 / (1 + np.exp(2 - shift - rng.normal(size=2)))
    findings = {
        name: FindingResult.called(float(one), 0.3, calibrated=True)
        for name, one in zip(("Effusion", HOSTILE), p, strict=True)
    }
    return ImageResult(
        input=f"{HOSTILE}{number}",
        image_id=f"{HOSTILE}{number}",
        sha256="0" * 64,
        status=Status.OK,
        patient=f"p{number}",
        findings=findings,
        bundle="b",
        precision="f32",
    )


def watched() -> str:
    """A page with an alarm on the third of four days, and a void rule."""
    rng = np.random.default_rng(0)
    old = watched_films([film(k, rng, 0.0) for k in range(300)])
    request = ReferenceRequest(
        date="2026-01-02",
        false_alarms=0.05,
        drawn=1000,
        deals=1,
        model=HOSTILE,
        rule_sha256="9" * 64,
    )
    reference = fit_reference(old, request)
    new = watched_films([film(k, rng, 1.0 if 80 <= k < 120 else 0.0) for k in range(160)])
    check = check_films(new, days_of(new, 40), reference, "5" * 64)
    assert check.alarms
    return watch_page(check, reference)


@pytest.fixture(scope="module")
def folder(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """upgrade.html of a bundle and its re-calibrated copy, with labels and a policy; watch.html."""
    root = tmp_path_factory.mktemp("pages")
    shutil.copytree(toy / "run", root / "run")
    run = RunFolder(root / "run")
    wanted = CalibrationRequest(target=Target.SPECIFICITY, goal=0.6)
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), wanted)
    run.evaluation.unlink()
    write(run.root, root / "new")
    (root / "films").mkdir()
    uses = SplitTable.read(run.split).films.items()
    for name in [name for name, place in uses if place.split is Split.TEST][:8]:
        shutil.copyfile(toy / "films" / "images" / name, root / "films" / name)
    (root / "policy.yaml").write_text(
        "flips: {at_most: 0.01, confidence: 0.6}\nheatmaps: {at_least: 0.1}\n"
    )
    labels, policy = toy / "films", root / "policy.yaml"
    api.upgrade(
        *(toy / "bundle", root / "new", [root / "films"], root / "out"),
        labels=labels,
        policy=policy,
    )
    (root / "watch.html").write_bytes(watched().encode())
    return root


def address(folder: Path, name: str) -> str:
    return (
        folder / "out" / "upgrade.html" if name == "upgrade" else folder / "watch.html"
    ).as_uri()


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("name", PAGES)
def test_fits_asks_for_nothing_and_axe_finds_nothing(
    pages: Any, objections: Callable[..., object], folder: Path, name: str, width: int
) -> None:
    seen = pages.open(address(folder, name), width)
    assert seen.page.get_by_text(NOT_A_DEVICE).count() == 2
    for scheme in ("light", "dark"):
        seen.page.emulate_media(color_scheme=scheme)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert objections(seen.page, by_color=scheme == "dark") == []
    assert seen.page.locator("img[src=x]").count() == 0
    assert seen.troubles == []
    assert all(request.startswith(folder.as_uri()) for request in seen.requests)


WIDER = """() => [...document.querySelectorAll("main *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && getComputedStyle(one).visibility !== "hidden" && box.right > innerWidth + 1;
}).map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 60)}`)"""
A4_PX = 688
"""Width of A4 without margins of 14 mm, at 96 px an inch."""


@pytest.mark.parametrize("name", PAGES)
def test_in_print_nothing_is_cut_and_no_tool_is_left(pages: Any, folder: Path, name: str) -> None:
    page = pages.open(address(folder, name), A4_PX, color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(WIDER) == []
    assert page.locator(".contents:visible").count() == 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert page.get_by_text(NOT_A_DEVICE).first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
