"""The CSV and the JSON lines: read back by others, with nothing lost and nothing executed."""

from __future__ import annotations

import csv
import io
import json
import re

import jsonschema
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilum.domain.documents.results import ThresholdSource
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.batch import clinical_csv, results_jsonl
from hilum.report.batch.clinical_csv import cell
from hilum.report.parts.results import BatchResults
from hilum.report.parts.text import shown

render = clinical_csv.REPORT.render
FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")


def rows_of(batch: BatchResults) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(batch), newline=""), strict=True))


def test_the_table_as_it_is_specified(batch_of, scored, unscored) -> None:
    batch = batch_of(
        scored(
            "b.png",
            (0.6958, 0.512, 0.001),
            heatmaps={"Effusion": "overlays/b_E.png"},
            maps={"Effusion": "maps/b_E.png"},
            patient="9d06b36e7c1ca45c",
            age_years=63.5,
            sex="F",
        ),
        unscored("d.png", Status.ERROR, ReasonCode.DECODE_TRUNCATED),
    )
    assert render(batch) == (
        "Image_ID,status,codes,view,Atelectasis,Effusion,Hernia,Atelectasis_positive,"
        "Effusion_positive,Hernia_positive,Clinical_Summary,bundle,thresholds,triage,patient,"
        "age_years,sex,study_instance_uid,series_instance_uid,sop_instance_uid,accession_number,"
        "heatmaps,maps,path_json,notice\r\n"
        "b.png,ok,,unknown,0.6958,0.512,0.001,1,1,0,Atelectasis (69.6%); Effusion (51.2%),"
        "3f9a1c20,bundle,,9d06b36e7c1ca45c,63.5,F,,,,,overlays/b_E.png,maps/b_E.png,"
        f'"""in/b.png""","{NOT_A_DEVICE}"\r\n'
        "d.png,error,DECODE_TRUNCATED,unknown,,,,,,,Not scored: DECODE_TRUNCATED,"
        f'3f9a1c20,,,,,,,,,,,,"""in/d.png""","{NOT_A_DEVICE}"\r\n'
    )


def test_summaries(mixed: BatchResults) -> None:
    said = {row["Image_ID"]: row["Clinical_Summary"] for row in rows_of(mixed)}
    assert said == {
        "a.png": "No finding above its threshold",
        "b.png": "Atelectasis (69.6%); Effusion (51.2%)",
        "c.png": "Atelectasis (50.0%); Hernia (30.0%)",
        "d.png": "Not scored: DECODE_TRUNCATED",
        "e.dcm": "Not scored: VIEW_NOT_FRONTAL",
        "f.pdf": "Not scored: NOT_AN_IMAGE_OBJECT",
    }


def test_pandas_reads_probabilities_back_and_blank_is_not_zero(mixed: BatchResults) -> None:
    table = pd.read_csv(io.StringIO(render(mixed), newline=""))
    for row, result in zip(table.to_dict("records"), mixed.results, strict=True):
        for name in mixed.labels:
            if result.findings is None:
                assert pd.isna(row[name])
                assert pd.isna(row[f"{name}_positive"])
            else:
                assert row[name] == pytest.approx(result.findings[name].probability, rel=1e-8)
                assert row[f"{name}_positive"] == result.findings[name].positive


@pytest.mark.parametrize("p", [1 / 3, 1e-7 / 3, 0.123456789012, 1.0, 0.0])
def test_probabilities_have_six_digits_or_more(p: float, batch_of, scored) -> None:
    (row,) = rows_of(batch_of(scored("a.png", (p, 0.0, 0.0))))
    assert float(row["Atelectasis"]) == pytest.approx(p, rel=1e-8)


def test_hostile_names_are_one_line_and_one_record(hostile: BatchResults) -> None:
    text = render(hostile)
    assert len(text.splitlines()) == len(hostile.results) + 1
    assert len(rows_of(hostile)) == len(hostile.results)
    assert len(pd.read_csv(io.StringIO(text, newline=""))) == len(hostile.results)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_cell_is_a_formula_under_any_usual_delimiter(
    delimiter: str, hostile: BatchResults
) -> None:
    for row in csv.reader(io.StringIO(render(hostile), newline=""), delimiter=delimiter):
        for value in row:
            assert not value.lstrip(' "').startswith(FORMULA)


def test_formula_starts_get_a_quote_before_them() -> None:
    for start in "=+-@\t\r\0":
        assert cell(f"{start}1.png").startswith("'")


@pytest.mark.parametrize(
    "name",
    ["00000013_004.png", "胸部.png", "e\u0301.png", "\u00e9.png", " blank .png", "a-b=c.png"],
)
def test_ordinary_names_are_not_altered(name: str) -> None:
    assert cell(name) == name


def test_the_exact_name_is_in_path_json(hostile: BatchResults) -> None:
    for row, result in zip(rows_of(hostile), hostile.results, strict=True):
        assert json.loads(row["path_json"]) == result.input


def test_shown_has_nothing_that_cannot_be_seen(hostile: BatchResults) -> None:
    for result in hostile.results:
        text = shown(result.image_id)
        assert len(text.splitlines()) == 1
        text.encode("utf-8")
        assert not set(text) & set("\0\r\n\t\u202e\u2028\u2029\x85")


def test_shown_escapes() -> None:
    assert shown("a\udcff\u202e\x1b[0m\ufeff\U000e0001") == "a\\xff\\u202e\\x1b[0m\\ufeff\U000e0001"


anything = st.text(st.characters(), min_size=1, max_size=30)
texts = anything | st.lists(st.sampled_from([*"=+-@\t\r\n\0;, \"'|a1"]), min_size=1).map("".join)


@given(st.lists(st.tuples(texts, texts, st.floats(0.0, 1.0)), min_size=1, max_size=5))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_names_come_back_through_csv_and_pandas(batch_of, scored, rows) -> None:
    batch = batch_of(
        *(scored(name, (p, 0.0, 1.0), input=name, patient=who) for name, who, p in rows)
    )
    text = render(batch)
    # names are text, or pandas takes "00" for 0
    table = pd.read_csv(io.StringIO(text, newline=""), dtype=str, keep_default_na=False)
    for records in (rows_of(batch), table.to_dict("records")):
        assert len(records) == len(batch.results)
        for row, result in zip(records, batch.results, strict=True):
            assert json.loads(row["path_json"]) == result.input
            assert row["Image_ID"] == cell(result.image_id)
            assert row["patient"] == cell(result.patient)
            assert result.findings is not None
            said = result.findings["Atelectasis"].probability
            assert float(row["Atelectasis"]) == pytest.approx(said, rel=1e-8, abs=1e-300)
            for value in row.values():
                assert not value.lstrip(" \"'").startswith(FORMULA) or value.startswith("'")


@given(texts)
def test_a_cell_is_one_harmless_line_under_every_delimiter(text: str) -> None:
    made = cell(text)
    assert len(made.splitlines()) <= 1
    for part in re.split("[,;\t]", made):
        assert not part.lstrip(' "').startswith(FORMULA)


def test_thresholds_say_who_set_them(batch_of, scored) -> None:
    bundles = scored("a.png", (0.4, 0.1, 0.0))
    assert bundles.findings is not None
    given = {name: finding.at(0.4) for name, finding in bundles.findings.items()}
    hand = bundles.model_copy(
        update={"input": "b", "findings": given, "threshold_source": ThresholdSource.HAND}
    )
    rows = rows_of(batch_of(bundles, hand))
    assert [row["thresholds"] for row in rows] == ["0.4 by hand", "bundle"]
    assert [row["Atelectasis_positive"] for row in rows] == ["1", "0"]


def test_json_lines_are_the_results_again(any_batch: BatchResults) -> None:
    text = results_jsonl.REPORT.render(any_batch)
    assert results_jsonl.read(text) == any_batch.results
    assert text.isascii()
    assert len(text.splitlines()) == len(any_batch.results)


def test_json_lines_fit_their_schema(mixed: BatchResults) -> None:
    schema = results_jsonl.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for line in results_jsonl.REPORT.render(mixed).splitlines():
        jsonschema.validate(json.loads(line), schema)
