"""Rule-out and readers in a real browser, from the disk: axe finds nothing, nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hilum import readers, rule_out
from hilum.domain.documents.readers import ReaderStudy
from hilum.domain.documents.rule_out import RuleOut
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.readers_page import readers_page
from hilum.report.rule_out_page import rule_out_page

pytestmark = pytest.mark.slow

FILMS = 600
HOSTILE = "</script><img src=x onerror=alert(1)>"
PAGES = ("rule_out", "coverage", "readers", "one_reader")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RuleOut, ReaderStudy]:
    """Each page as it is, and with a markup of someone else's as a name."""
    folder = tmp_path_factory.mktemp("trust")
    rng = np.random.default_rng(2)
    truth = rng.random(FILMS) < 0.4
    base = pd.DataFrame({"image_id": [f"{row:03d}.png" for row in range(FILMS)]})
    base.assign(Mass=truth * 1, patient_id=np.arange(FILMS)).to_csv(folder / "l.csv", index=False)
    score = 1 / (1 + np.exp(2 - 4 * truth - rng.normal(size=FILMS)))
    base.assign(Mass=score).to_csv(folder / "s.csv", index=False)
    for way in ("first", "second"):
        rows = [
            base.assign(
                Mass=(1 / (1 + np.exp(1 - 2 * truth - rng.normal(size=FILMS)))).round(2),
                reader=HOSTILE if reader == 0 else f"r{reader}",
            )
            for reader in range(3)
        ]
        pd.concat(rows).to_csv(folder / f"{way}.csv", index=False)
        rows[1].to_csv(folder / f"{way}_one.csv", index=False)
    table, labels = folder / "s.csv", folder / "l.csv"
    common = {"resamples": 100, "of": ("any", "Mass")}
    rule = rule_out(
        table,
        labels,
        folder / "rule_out",
        npv=0.98,
        prevalence={"any": 0.05, "Mass": 0.05},
        ppv=0.6,
        **common,
    )
    rule_out(table, labels, folder / "coverage", coverage=0.2, resamples=100)
    study = readers(
        table, folder / "first.csv", labels, folder / "readers", aided=folder / "second.csv"
    )
    readers(table, folder / "first_one.csv", labels, folder / "one_reader", resamples=100)
    return folder, rule, study


def place(folder: Path, page: str) -> Path:
    return folder / page / ("readers.html" if "reader" in page else "rule_out.html")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (420, "dark")])
def test_axe_finds_nothing_and_nothing_is_cut(
    made: tuple[Path, RuleOut, ReaderStudy],
    pages: Any,
    objections: Callable[..., list[tuple[str, object]]],
    page: str,
    width: int,
    scheme: str,
) -> None:
    address = place(made[0], page).as_uri()
    seen = pages.open(address, width=width, color_scheme=scheme)
    assert objections(seen.page) == []
    assert seen.troubles == []
    assert seen.requests == [address]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.get_by_text(NOT_A_DEVICE).count() >= 1
    assert seen.page.locator("img").count() == 0


def test_the_same_document_gives_the_same_bytes(made: tuple[Path, RuleOut, ReaderStudy]) -> None:
    folder, rule, study = made
    assert place(folder, "rule_out").read_text("utf-8") == rule_out_page(rule)
    assert place(folder, "readers").read_text("utf-8") == readers_page(study)


def test_a_rules_page_says_what_is_bounded_and_never_normal(
    made: tuple[Path, RuleOut, ReaderStudy], pages: Any
) -> None:
    seen = pages.open(place(made[0], "rule_out").as_uri())
    words = seen.page.locator("body").inner_text()
    rule = made[1]
    assert rule.guarantee(rule.rules[0])[1:] in words
    assert "Every other film is referred" in words
    assert "normal" not in words.replace("abnormal", "").lower()
    assert seen.page.locator("#curves svg.plot").count() == 2


def test_each_reader_has_a_mark_and_a_row(
    made: tuple[Path, RuleOut, ReaderStudy], pages: Any
) -> None:
    seen = pages.open(place(made[0], "readers").as_uri())
    assert seen.page.locator("svg.plot circle.point").count() == 3
    assert HOSTILE in seen.page.locator("body").inner_text()
    assert seen.page.get_by_role("heading", name="With the model’s help").count() == 1
    alone = pages.open(place(made[0], "one_reader").as_uri())
    assert "one reader: readers at large are not tested" in alone.page.content()
