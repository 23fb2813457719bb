"""Parts of an archive: the same bytes from every engine, each film once, and nothing else taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hilum import Bundle
from hilum.batch.archive.gather import gather
from hilum.batch.archive.order import DrawingWords, Order
from hilum.batch.archive.part import Part, finished_chunks, part_path
from hilum.batch.archive.plan import PLAN, write_plan
from hilum.batch.archive.reports import export_table, merge_archive
from hilum.batch.archive.run import run_archive
from hilum.batch.archive.worker import ChunkWorker
from hilum.batch.engines.base import ArchiveEngine, ClusterWords, FinishedChunk, find_engine
from hilum.batch.engines.lanes import Lanes
from hilum.batch.inputs import Shard, list_films
from hilum.batch.patients import Patients, Phi
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.errors import ReasonCode, UsageError
from hilum.files.parquet import parquet_rows
from hilum.reading.process import ReaderProcess

CHUNK = 3
CANARY = "CANARY-8812"


@pytest.fixture(scope="module", autouse=True)
def readers(inline: type[ReaderProcess]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("engines.lanes", "archive.worker"):
            patch.setattr(f"hilum.batch.{module}.ReaderProcess", inline)
        yield


def dicom(film: Path, to: Path, uid: str) -> None:
    """The same pixels with a DICOM identity."""
    with Image.open(film) as image:
        pixels = np.asarray(image.convert("L"))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    made.Modality, made.ViewPosition, made.BodyPartExamined = "DX", "PA", "CHEST"
    made.PatientAge, made.PatientID = "050Y", CANARY
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = pixels.tobytes()
    made.save_as(to, enforce_file_format=True)


@pytest.fixture(scope="module")
def inbox(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films, a damaged one, two of one name, and three of one identity over two chunks."""
    folder = tmp_path_factory.mktemp("inbox")
    films = sorted((toy / "films" / "images").iterdir())
    for number in range(6):
        shutil.copyfile(films[number], folder / f"{number}.png")
    (folder / "more").mkdir()
    shutil.copyfile(films[6], folder / "more" / "0.png")
    (folder / "cut.png").write_bytes(films[0].read_bytes()[:300])
    (folder / "odd\udcff.png").write_bytes(b"")
    for name, film in (("0.dcm", 1), ("more/1.dcm", 2), ("more/2.dcm", 1)):
        dicom(films[film], folder / name, "1.2.3")
    return folder


Make = Callable[..., Order]


@pytest.fixture
def order(toy: Path, inbox: Path, tmp_path: Path) -> Make:
    def make(name: str = "out", **options: object) -> Order:
        place = tmp_path / name
        write_plan([str(inbox)], place / PLAN, CHUNK)
        made = Order(
            bundle=str(toy / "bundle"),
            precision=None,
            plan=str(place / PLAN),
            out=str(place),
            lanes=2,
            **options,
        )
        return made.model_copy(update={"expected": made.identity(made.load(), made.request())})

    return make


def parts_of(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((place / "parts").iterdir())}


def test_the_engines_are_these() -> None:
    assert isinstance(find_engine("lanes"), Lanes)
    with pytest.raises(UsageError, match="--engine must be one of lanes, ray; got 'spark'"):
        find_engine("spark")


@pytest.mark.parametrize(
    ("drawings", "phi"), [(None, Phi.NONE), (DrawingWords(overlays=True), Phi.FULL)]
)
def test_an_archive_has_the_files_of_a_batch(
    toy: Path, inbox: Path, order: Make, tmp_path: Path, drawings: DrawingWords | None, phi: Phi
) -> None:
    made = order(drawings=drawings, phi=phi.value)
    done = run_archive(made, find_engine("lanes"))
    assert (done.chunks, done.scored, done.films, done.missing) == (4, 4, 12, 0)
    _, batch = merge_archive(made.place, toy / "bundle")
    assert batch is not None
    whole = tmp_path / "whole"
    pictures = None if drawings is None else drawings.pictures()
    request = BatchRequest(pictures, patients=Patients(phi), lanes=1)
    run_batch(Bundle.load(toy / "bundle"), list_films([str(inbox)]), whole, request)
    for path in whole.rglob("*"):
        if path.is_file() and path.name not in ("journal.jsonl", ".lock"):
            assert (made.place / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
    dataset = json.loads((made.place / "dataset.json").read_text())
    assert dataset["statuses"] == {
        status.value: count for status, count in sorted(batch.tally.statuses.items()) if count
    } | {key: 0 for key, count in dataset["statuses"].items() if not count}
    assert dataset["codes"]["DUPLICATE_SOP_CONFLICT"] == len(dataset["conflicts"]) == 1


class OneByOne:
    """The simplest engine there can be: what all others are compared with."""

    def finish(
        self, order: Order, chunks: object, _: ClusterWords | None = None
    ) -> Generator[FinishedChunk]:
        with ChunkWorker(order) as worker:
            for chunk in chunks:
                worker.score_chunk(chunk)
                yield FinishedChunk(chunk)


class StoppedError(Exception):
    """A kill, as far as a test in one process can have one."""


class StoppedAfter:
    """An engine that is killed when some chunks are finished."""

    def __init__(self, engine: ArchiveEngine, chunks: int) -> None:
        self.engine, self.chunks = engine, chunks

    def finish(
        self, order: Order, chunks: object, cluster: ClusterWords | None = None
    ) -> Generator[FinishedChunk]:
        with closing(self.engine.finish(order, chunks, cluster)) as finished:
            for number, done in enumerate(finished):
                if number == self.chunks:
                    raise StoppedError
                yield done


@pytest.mark.parametrize("stopped", [0, 1, 3])
def test_a_run_that_was_stopped_ends_with_the_same_parts(order: Make, stopped: int) -> None:
    expected = order("expected")
    run_archive(expected, OneByOne())
    made = order()
    with pytest.raises(StoppedError):
        run_archive(made, StoppedAfter(find_engine("lanes"), stopped))
    left = parts_of(made.place)
    done = run_archive(made, find_engine("lanes"))
    assert done.scored == 4 - len(left)
    assert parts_of(made.place) == parts_of(expected.place)


def test_shares_of_several_machines_are_the_same_parts(order: Make) -> None:
    expected, made = order("expected"), order()
    run_archive(expected, OneByOne())
    first = run_archive(made, find_engine("lanes"), Shard(1, 2))
    assert (first.scored, first.missing) == (2, 2)
    assert sorted(finished_chunks(made.place)) == [0, 2]
    assert run_archive(made, find_engine("lanes"), Shard(2, 2)).missing == 0
    assert parts_of(made.place) == parts_of(expected.place)


def test_a_chunk_that_two_workers_did_is_one_part(order: Make) -> None:
    made = order()
    run_archive(made, OneByOne())
    before = {path: path.stat().st_mtime_ns for path in (made.place / "parts").iterdir()}
    with ChunkWorker(made) as worker:
        worker.score_chunk(0)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_film_that_changed_since_it_was_planned_is_not_scored(
    order: Make, inbox: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(inbox, copy)
    made = order()
    write_plan([str(copy)], made.place / PLAN, CHUNK)
    (copy / "0.png").write_bytes((copy / "1.png").read_bytes())
    made = Order(**made.model_dump(exclude={"expected"}))
    with ChunkWorker(made) as worker:
        worker.score_chunk(0)
    results = [entry.result for entry in Part(part_path(made.place, 0)).entries()]
    changed = {one.image_id: one.codes for one in results}["copy/0.png"]
    assert changed == (ReasonCode.CHANGED_WHILE_READING,)


def test_a_part_has_types_and_nulls(order: Make) -> None:
    made = order()
    run_archive(made, OneByOne())
    tables = [pq.read_table(path) for path in sorted((made.place / "parts").iterdir())]
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["ordinal"] for row in rows] == list(range(12))
    for row in rows:
        assert (row["Mass"] is None) == (row["status"] not in ("ok", "warn"))
        assert row["Mass"] is None or isinstance(row["Mass"], float)
    damaged = next(row for row in rows if row["Image_ID"] == "cut.png")
    assert (damaged["Mass"], damaged["Mass_positive"], damaged["thresholds"]) == (None, None, None)


def test_no_part_names_a_patient(order: Make) -> None:
    made = order()
    run_archive(made, OneByOne())
    for path in made.place.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert CANARY.encode() not in data, path
            if path.suffix == ".parquet":
                table = str(pq.read_table(path).to_pylist())
                assert CANARY not in table
                assert "1.2.3" not in table


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_is_that_of_the_report(toy: Path, order: Make, tmp_path: Path, kind: str) -> None:
    made = order()
    run_archive(made, OneByOne())
    merge_archive(made.place, toy / "bundle")
    assert export_table(made.place, kind, tmp_path / "table") == 12
    name = {"csv": "final_clinical_report.csv", "jsonl": "results.jsonl"}[kind]
    assert (tmp_path / "table").read_bytes() == (made.place / name).read_bytes()


def test_rows_of_an_archive_are_those_of_its_table(toy: Path, order: Make) -> None:
    made = order()
    run_archive(made, OneByOne())
    with pytest.raises(UsageError, match=r"must be complete and put together; .* Run: hilum merge"):
        next(parquet_rows(made.place))
    merge_archive(made.place, toy / "bundle")
    header, *rows = parquet_rows(made.place)
    lines = (made.place / "results.jsonl").read_text().splitlines()
    results = [json.loads(line) for line in lines]
    assert [row[header.index("status")] for row in rows] == [one["status"] for one in results]
    assert "entry" not in header


# what is refused


def missing(place: Path) -> None:
    for chunk in (1, 2):
        part_path(place, chunk).unlink()


def edited(place: Path) -> None:
    path = part_path(place, 1)
    table = pq.read_table(path)
    at = table.schema.get_field_index("Mass")
    values = [None if one is None else 0.5 for one in table.column("Mass").to_pylist()]
    pq.write_table(table.set_column(at, table.schema.field(at), [values]), path)


def rewritten(place: Path) -> None:
    path = part_path(place, 1)
    table = pq.read_table(path)
    at = table.schema.get_field_index("entry")
    values = [one.replace('"codes":', '"codes" :') for one in table.column("entry").to_pylist()]
    pq.write_table(table.set_column(at, table.schema.field(at), [values]), path)


def torn(place: Path) -> None:
    path = part_path(place, 1)
    path.write_bytes(path.read_bytes()[:-10])


def swapped(place: Path) -> None:
    shutil.copyfile(part_path(place, 0), part_path(place, 1))


def beyond(place: Path) -> None:
    shutil.copyfile(part_path(place, 0), part_path(place, 9))


def replanned(place: Path) -> None:
    write_plan([str(place / "nowhere.png")], place / PLAN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing, r"every chunk must have a part; .* lacks chunks 1-2 of 4"),
        (edited, r"a part must be as hilum wrote it; .*00000001"),
        (rewritten, r"a part must be as hilum wrote it; .*00000001"),
        (torn, r"a part must be as hilum wrote it; .*00000001"),
        (swapped, r"all parts must be of one plan, .*00000001"),
        (beyond, r"parts must be of chunks of the plan, 0 to 3; .*00000009"),
        (replanned, r"parts must be of the plan beside them"),
    ],
)
def test_what_is_not_all_of_one_archive_is_refused(
    order: Make, change: Callable[[Path], None], message: str
) -> None:
    made = order()
    run_archive(made, OneByOne())
    change(made.place)
    with pytest.raises(UsageError, match=message) as caught:
        gather(made.place)
    assert "\n" not in str(caught.value)


def test_a_partial_archive_names_what_is_missing(order: Make) -> None:
    made = order()
    run_archive(made, OneByOne())
    missing(made.place)
    gathered, batch = merge_archive(made.place, partial=True)
    assert batch is None
    assert gathered.dataset.missing == ((1, 2),)
    assert (gathered.dataset.films, gathered.dataset.planned) == (6, 12)
    assert run_archive(made, find_engine("lanes")).scored == 2
    assert gather(made.place).dataset.complete


@pytest.mark.parametrize("option", [{"threshold": 0.4}, {"phi": "full"}])
def test_a_folder_is_continued_as_it_was_begun(order: Make, option: dict[str, object]) -> None:
    made = order()
    run_archive(made, OneByOne())
    with pytest.raises(UsageError, match=r"continued as it was begun; .* scored with another"):
        run_archive(order(**option), OneByOne())


def test_a_folder_with_a_journal_is_no_archive(order: Make) -> None:
    made = order()
    (made.place / "journal.jsonl").write_text("")
    with pytest.raises(UsageError, match="parts need a folder of their own"):
        run_archive(made, OneByOne())


def test_two_runs_into_one_folder_say_who_holds_it(order: Make) -> None:
    made = order()

    class Nested:
        def finish(
            self, order: Order, chunks: object, _: object = None
        ) -> Generator[FinishedChunk]:
            with pytest.raises(UsageError, match=r"is in use by process \d+ on "):
                run_archive(order, OneByOne())
            yield from OneByOne().finish(order, chunks)

    run_archive(made, Nested())


def test_a_worker_that_is_not_as_the_others_refuses_to_work(order: Make) -> None:
    made = order()
    assert made.expected is not None
    other = made.expected.model_copy(update={"code_sha256": "0", "precision": "bf16"})
    with pytest.raises(UsageError, match="has a different code_sha256, precision"):
        ChunkWorker(made.model_copy(update={"expected": other}))


@pytest.mark.parametrize(
    "words", [(None, "8:1"), (None, "0"), (None, "-1"), (None, "a"), (None, "")]
)
def test_wrong_numbers_of_workers_are_refused(words: tuple[None, str]) -> None:
    with pytest.raises(UsageError, match="workers must"):
        ClusterWords.parse(*words)
