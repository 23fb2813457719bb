"""Every file of datasets/ is a reader, by the same contract."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pydicom
import pytest
from PIL import Image

import hilum.datasets
from hilum.datasets import LAST, DatasetReader, open_dataset, reader
from hilum.domain.members import members
from hilum.domain.record import Cohort
from hilum.splits import assign

FOLDER = Path(hilum.datasets.__file__).parent


@pytest.fixture(params=members("hilum.datasets"))
def member(request: pytest.FixtureRequest) -> DatasetReader:
    return reader(request.param)


@pytest.fixture
def root(member: DatasetReader, tmp_path: Path) -> Path:
    return member.write_example(tmp_path / "example")


@pytest.fixture
def cohort(member: DatasetReader, root: Path) -> Cohort:
    return member.read(root)


def test_a_card_names_its_file() -> None:
    assert all(reader(name).card.name == name for name in members("hilum.datasets"))


def test_the_card_is_complete(member: DatasetReader) -> None:
    card = member.card
    # nobody has published the counts of a table of one's own
    unpublished = {"films", "patients"} if card.name == LAST else set[str]()
    told = {entry.name for entry in fields(card) if getattr(card, entry.name)}
    assert told == {entry.name for entry in fields(card)} - unpublished
    assert card.url.startswith("https://")
    assert card.patients <= card.films


def test_a_member_stays_small(member: DatasetReader) -> None:
    lines = (FOLDER / f"{member.card.name}.py").read_text("utf-8").splitlines()
    assert len(lines) <= 200


def test_only_its_own_reader_recognizes_the_example(member: DatasetReader, root: Path) -> None:
    others = [name for name in members("hilum.datasets") if reader(name).recognize(root)]
    others = [name for name in others if name != LAST] or others
    assert others == [member.card.name]


def test_no_reader_recognizes_an_empty_folder(member: DatasetReader, tmp_path: Path) -> None:
    assert not member.recognize(tmp_path)


def test_the_example_reads_as_a_cohort_with_films(cohort: Cohort, member: DatasetReader) -> None:
    assert cohort.dataset == member.card.name
    assert cohort.notes
    films = [record.path for record in cohort.records if record.path is not None]
    assert films
    for record in cohort.records:
        if record.path is not None:
            assert record.path.as_posix().endswith(record.image_id) or (
                record.path.stem == record.image_id
            )
    for path in films:
        if path.suffix in (".dcm", ".dicom"):
            assert pydicom.dcmread(path).pixel_array.size > 0
            continue
        with Image.open(path) as film:
            assert min(film.size) > 0


def test_the_example_is_small_and_says_the_same_each_time(
    member: DatasetReader, root: Path, tmp_path: Path
) -> None:
    again = member.write_example(tmp_path / "again")
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((root / name).read_bytes() == (again / name).read_bytes() for name in files)
    assert sum((root / name).stat().st_size for name in files) < 100_000


def test_boxes_lie_in_their_films_and_name_their_findings(cohort: Cohort) -> None:
    boxes = [box for record in cohort.records for box in record.boxes]
    assert all(box.finding in cohort.labels for box in boxes)
    assert all(0 <= b.x < b.x + b.width <= 1 and 0 <= b.y < b.y + b.height <= 1 for b in boxes)


def test_the_example_opens_by_itself_and_splits(root: Path, cohort: Cohort) -> None:
    assert open_dataset(root) == open_dataset(root, cohort.dataset) == cohort
    assert set(assign(cohort).films) == set(cohort.image_ids())
