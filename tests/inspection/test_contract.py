"""Every reader's example can be inspected, and the document says it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.datasets import reader
from hilum.domain.documents.inspection import DatasetInspection
from hilum.domain.members import members
from hilum.inspection.films import sample
from hilum.inspection.inspect import InspectionRequest, inspect_dataset
from hilum.report.inspection.tables import co_occurrence_csv, completeness, markdown

HERE = Path(__file__).parent


@pytest.fixture(params=members("hilum.datasets"))
def found(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetInspection:
    root = reader(request.param).write_example(tmp_path / request.param)
    return inspect_dataset(InspectionRequest(root, dataset=request.param))


def test_the_example_is_inspected_as_what_it_is(found: DatasetInspection) -> None:
    assert found.listed == sum(g.films for g in found.population.views.values()) > 0
    assert found.used <= found.listed
    assert found.films.here + found.films.missing == found.listed
    assert found.films.asked == found.films.here == found.films.read > 0
    assert found.films.without_row == 0
    assert set(found.labels.findings) == set(found.labels.co_occurrence.findings)


def test_the_document_survives_json(found: DatasetInspection) -> None:
    assert DatasetInspection.model_validate_json(found.model_dump_json()) == found
    assert DatasetInspection.model_json_schema()["properties"]["schema_version"]


def test_the_text_says_what_was_found(found: DatasetInspection) -> None:
    text = markdown(found)
    assert completeness(found.published) in text
    assert all(name in text for name in found.labels.findings)
    assert all(problem.message in text for problem in found.problems)
    assert "not a medical device" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    rows = co_occurrence_csv(found.labels).splitlines()
    assert {row.count(",") for row in rows} == {len(found.labels.findings)}


def test_inspecting_twice_says_the_same(tmp_path: Path) -> None:
    root = reader("nih").write_example(tmp_path)
    request = InspectionRequest(root, sample=3, seed=1)
    assert inspect_dataset(request) == inspect_dataset(request)


def test_a_sample_is_drawn_by_its_seed(tmp_path: Path) -> None:
    root = reader("nih").write_example(tmp_path)
    found = inspect_dataset(InspectionRequest(root, sample=3))
    assert (found.films.asked, found.films.read) == (3, 3)
    records = reader("nih").read(root).records
    assert sample(records, None, 0) == sample(records, 99, 0) == list(records)
    drawn = sample(records, 4, 0)
    assert drawn == sample(records, 4, 0) != sample(records, 4, 1)
    assert drawn == sorted(drawn, key=records.index)


def test_steps_are_told(tmp_path: Path) -> None:
    root = reader("nih").write_example(tmp_path)
    told: list[tuple[str, int, int]] = []
    inspect_dataset(InspectionRequest(root), lambda *step: told.append(step))
    assert ("reading films", 7, 7) in told
    assert all(done <= total for _, done, total in told)
