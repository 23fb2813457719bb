"""A prediction in Python: a dict for JSON, a table, one line, and HTML that is safe to show."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum import Bundle
from hilum.bundle.prediction import Prediction
from hilum.domain.errors import ReasonCode
from hilum.domain.findings import display_name
from hilum.domain.notice import NOT_A_DEVICE
from hilum.domain.radiograph import Radiograph
from hilum.phantom.film import draw_example

NAME = "<script>alert('x')</script>" + "long" * 40 + ".png"


@pytest.fixture(scope="module")
def prediction(toy: Path) -> Prediction:
    pixels = draw_example("Cardiomegaly", seed=3, size=700).pixels[:500].copy()
    film = Radiograph(pixels, source=NAME, patient_id="Doe^Jane")
    return Bundle.load(toy / "bundle").predict(film)


def shown(prediction: Prediction) -> str:
    """What a notebook shows of it."""
    return prediction._repr_html_()  # pyright: ignore[reportPrivateUsage]: notebooks call it


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
    page.feed(shown(prediction))
    return page


def test_a_dict_is_what_json_can_hold_and_names_no_patient(prediction: Prediction) -> None:
    held = prediction.to_dict()
    text = json.dumps(held, allow_nan=False)
    assert json.loads(text) == held
    assert list(held["findings"]) == list(prediction.findings)
    for name, finding in prediction.findings.items():
        assert held["findings"][name]["probability"] == finding.probability
    assert held["positives"] == prediction.positives
    assert held["shape"] == [500, 700]
    assert "Doe" not in text


def test_a_table_has_a_row_a_finding_and_can_be_joined(prediction: Prediction) -> None:
    table = prediction.to_frame()
    assert list(table["finding"]) == list(prediction.findings)
    assert list(table["probability"]) == [f.probability for f in prediction.findings.values()]
    assert set(table[table["positive"].fillna(False)]["finding"]) == set(prediction.positives)
    both = pd.concat([table, table], ignore_index=True)
    assert (both.dtypes == table.dtypes).all()


def test_a_finding_without_a_threshold_is_missing_and_not_false(prediction: Prediction) -> None:
    first = next(iter(prediction.findings))
    bare = prediction.findings[first].model_copy(update={"threshold": None, "positive": None})
    analysis = replace(prediction.analysis, findings={**prediction.findings, first: bare})
    other = replace(prediction, analysis=analysis)
    row = other.to_frame().iloc[0]
    assert np.isnan(row["threshold"])
    assert row["positive"] is pd.NA
    assert "no threshold" in shown(other)


def test_a_line_is_one_short_line_of_ascii(prediction: Prediction) -> None:
    said = repr(prediction)
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
        assert display_name(name) in page.text


def test_html_runs_nothing_and_is_small(page: Tags, prediction: Prediction) -> None:
    html = shown(prediction)
    assert not {"script", "iframe", "link", "style"} & set(page.tags)
    assert "<script>alert" in page.text
    assert len(html) < 200_000
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "Doe" not in html


def test_a_tick_stands_at_each_threshold(prediction: Prediction) -> None:
    html = shown(prediction)
    for finding in prediction.findings.values():
        if finding.threshold is not None:
            assert f"calc({100 * finding.threshold:.2f}% - 1px)" in html


def test_codes_of_gate_and_heatmaps_are_shown(prediction: Prediction) -> None:
    analysis = replace(prediction.analysis, codes=(ReasonCode.EMPTY_HEATMAP,))
    other = replace(prediction, analysis=analysis)
    assert other.to_dict()["codes"] == ["EMPTY_HEATMAP"]
    assert "EMPTY_HEATMAP" in shown(other)


def test_the_starter_scores_open_files_and_bytes_as_it_scores_the_path(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    pixels = np.rint(draw_example("Effusion", seed=5, size=512).pixels * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    bundle = Bundle.load("starter")
    wanted = bundle.predict(path).findings
    with path.open("rb") as file:
        opened = bundle.predict(file)
        assert not file.closed
    assert opened.findings == wanted
    assert bundle.predict(path.read_bytes()).findings == wanted
    assert repr(opened).startswith("Prediction('film.png', ")
