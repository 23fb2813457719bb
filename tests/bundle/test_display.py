"""A prediction in Python: a dict for JSON, a table, one line, and HTML that is safe to show."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum import Bundle
from hilum.bundle import display
from hilum.bundle.prediction import Prediction
from hilum.domain.documents.base import NOT_A_DEVICE
from hilum.domain.radiograph import Radiograph
from hilum.phantom.film import draw_example

NAME = "<script>alert('x')</script>" + "long" * 40 + ".png"


@pytest.fixture(scope="module")
def prediction(toy: Path) -> Prediction:
    pixels = draw_example("Cardiomegaly", seed=3, size=700).pixels[:500].copy()
    film = Radiograph(pixels, source=NAME, patient_id="Doe^Jane")
    return Bundle.load(toy / "bundle").predict(film)


class Tags(HTMLParser):
    """Tags and text, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        assert not [name for name in found if name.startswith("on")]
        if tag == "img":
            assert found["alt"]
            self.images.append(found["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(prediction: Prediction) -> Tags:
    page = Tags()
    page.feed(display.to_html(prediction))
    return page


def test_a_dict_is_what_json_can_hold_and_names_no_patient(prediction: Prediction) -> None:
    held = display.to_dict(prediction)
    text = json.dumps(held, allow_nan=False)
    assert json.loads(text) == held
    assert list(held["findings"]) == list(prediction.findings)
    for name, finding in prediction.findings.items():
        assert held["findings"][name]["probability"] == finding.probability
    assert held["positives"] == prediction.positives
    assert held["shape"] == [500, 700]
    assert "Doe" not in text


def test_a_table_has_a_row_a_finding_and_can_be_joined(prediction: Prediction) -> None:
    table = display.to_frame(prediction)
    assert list(table["finding"]) == list(prediction.findings)
    assert list(table["probability"]) == [f.probability for f in prediction.findings.values()]
    assert set(table[table["positive"].fillna(False)]["finding"]) == set(prediction.positives)
    both = pd.concat([table, table], ignore_index=True)
    assert (both.dtypes == table.dtypes).all()


def test_a_finding_without_a_threshold_is_missing_and_not_false(prediction: Prediction) -> None:
    first = next(iter(prediction.findings))
    bare = prediction.findings[first].model_copy(update={"threshold": None, "positive": None})
    changed = vars(prediction) | {"findings": {**prediction.findings, first: bare}}
    other = Prediction.__new__(Prediction)
    other.__dict__.update(changed)
    row = display.to_frame(other).iloc[0]
    assert np.isnan(row["threshold"])
    assert row["positive"] is pd.NA
    assert "no threshold" in display.to_html(other)


def test_a_line_is_one_short_line_of_ascii(prediction: Prediction) -> None:
    said = display.line(prediction)
    assert len(said) < 160
    assert "\n" not in said
    count = len(prediction.positives)
    assert f"{count or 'no'} positive" in said
    if count:
        assert f"top {prediction.positives[0]} " in said


def test_html_holds_film_overlay_bars_and_the_notice(page: Tags, prediction: Prediction) -> None:
    assert len(page.images) == 2
    for source in page.images:
        head, _, data = source.partition(",")
        assert head == "data:image/jpeg;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.size == (288, 206)
    assert page.tags.count("tr") == len(prediction.findings)
    assert NOT_A_DEVICE in page.text
    for name in prediction.findings:
        assert name in page.text


def test_html_runs_nothing_and_is_small(page: Tags, prediction: Prediction) -> None:
    html = display.to_html(prediction)
    assert not {"script", "iframe", "link", "style"} & set(page.tags)
    assert "<script>alert" in page.text
    assert len(html) < 200_000
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "Doe" not in html


def test_a_tick_stands_at_each_threshold(prediction: Prediction) -> None:
    html = display.to_html(prediction)
    for finding in prediction.findings.values():
        if finding.threshold is not None:
            assert f"calc({100 * finding.threshold:.2f}% - 1px)" in html
