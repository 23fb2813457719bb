"""Films of listed studies come from an archive into a folder, whichever way it is spoken to."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

pytest.importorskip("pynetdicom", reason="hilum[dicom] is not installed")

from pynetdicom import AE, evt, sop_class

from hilum.domain.errors import UsageError
from hilum.node.fetch.pace import Hours, Pace, rate_of
from hilum.node.fetch.run import FetchRequest, fetch_films
from hilum.node.fetch.wanted import KeyKind, StudyKey, StudyQuery, read_list, read_query

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
FIND = sop_class.StudyRootQueryRetrieveInformationModelFind
GET = sop_class.StudyRootQueryRetrieveInformationModelGet
MOVE = sop_class.StudyRootQueryRetrieveInformationModelMove
DX = sop_class.DigitalXRayImageStorageForPresentation


def shelf(kit: Any, pixels: Any) -> list[Dataset]:
    """Six studies: two chest films, a knee, a CT, two that share a number, and one of the hand."""
    root = kit.ROOT

    def one(number: int, study: int, accession: str, **more: Any) -> Dataset:
        made = kit.film(pixels, number, study, AccessionNumber=accession, **more)
        made.file_meta.ImplementationClassUID = "1.2.3"
        return made

    return [
        one(1, 1, "A1"),
        one(2, 1, "A1", SeriesInstanceUID=f"{root}6.11"),
        one(3, 1, "A1", SeriesInstanceUID=f"{root}6.12", BodyPartExamined="KNEE"),
        one(4, 2, "A2", Modality="CT"),
        one(5, 3, "TWICE", PatientID="P3"),
        one(6, 4, "TWICE", PatientID="P4", StudyDate="20210101"),
    ]


class Archive:
    """A PACS of our own, which keeps films and answers C-FIND, C-GET and C-MOVE."""

    def __init__(self, films: list[Dataset], port: int, receiver: int = 0) -> None:
        self.films = films
        self.port = port
        self.receiver = receiver
        self.retrieved: list[str] = []
        self.sloppy = False
        self.fail = 0x0000
        entity = AE("PEER")
        for one in (FIND, GET, MOVE):
            entity.add_supported_context(one)
        entity.add_supported_context(DX, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
        entity.add_requested_context(DX, ExplicitVRLittleEndian)
        handlers = [
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
        ]
        self.server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)

    def _matching(self, wanted: Dataset) -> list[Dataset]:
        keys = ("StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber", "PatientID")
        found = self.films
        for key in keys:
            value = wanted.get(key)
            if value and not (self.sloppy and key == "AccessionNumber"):
                found = [one for one in found if one.get(key) == value]
        first, _, last = str(wanted.get("StudyDate") or "").partition("-")
        if first:
            found = [one for one in found if first <= one.StudyDate <= (last or first)]
        modality = wanted.get("ModalitiesInStudy")
        return [one for one in found if not modality or one.Modality == modality]

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        if self.fail:
            yield self.fail, None
            return
        wanted = event.identifier
        level = wanted.QueryRetrieveLevel
        key = "StudyInstanceUID" if level == "STUDY" else "SeriesInstanceUID"
        for one in {film[key].value: film for film in self._matching(wanted)}.values():
            answer = Dataset()
            for element in wanted:
                setattr(answer, element.keyword, one.get(element.keyword, ""))
            answer.QueryRetrieveLevel = level
            answer.StudyInstanceUID = one.StudyInstanceUID
            yield 0xFF00, answer

    def _get(self, event: Any) -> Iterator[Any]:
        found = self._matching(event.identifier)
        self.retrieved += [one.SOPInstanceUID for one in found]
        yield len(found)
        for one in found:
            yield 0xFF00, one

    def _move(self, event: Any) -> Iterator[Any]:
        assert event.move_destination == "MOVED"
        yield "127.0.0.1", self.receiver
        yield from self._get(event)


class Web(BaseHTTPRequestHandler):
    """A DICOMweb server of our own over the same films."""

    films: list[Dataset]
    redirect = ""
    cut = False
    seen: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        if self.redirect:
            self.send_response(302)
            self.send_header("Location", self.redirect)
            self.end_headers()
            return
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        steps = parts.path.strip("/").split("/")[1:]
        found = self.films
        tags = {
            "00080050": "AccessionNumber",
            "00100020": "PatientID",
            "0020000D": "StudyInstanceUID",
        }
        for tag, name in tags.items():
            found = [one for one in found if tag not in query or one.get(name) == query[tag]]
        if "00080020" in query:
            first, _, last = query["00080020"].partition("-")
            found = [one for one in found if first <= one.StudyDate <= (last or first)]
        for place, name in ((1, "StudyInstanceUID"), (3, "SeriesInstanceUID")):
            if len(steps) > place:
                found = [one for one in found if one.get(name) == steps[place]]
        if len(steps) == 4:
            self._files(found)
            return
        key = "StudyInstanceUID" if len(steps) == 1 else "SeriesInstanceUID"
        heads = {one[key].value: one for one in found}.values()
        groups = (0x0008, 0x0010, 0x0018, 0x0020)
        trees = [
            {
                tag: tree
                for group in groups
                for tag, tree in one.group_dataset(group).to_json_dict().items()
            }
            for one in heads
        ]
        self._answer(200 if trees else 204, "application/dicom+json", json.dumps(trees).encode())

    def _files(self, found: list[Dataset]) -> None:
        body = b""
        for one in found:
            body += b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + written(one)
        body = body[: len(body) // 2] if self.cut else body + b"\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        self._answer(200, kind, body)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def written(one: Dataset) -> bytes:
    stream = BytesIO()
    dcmwrite(stream, one)
    return stream.getvalue()


class World:
    """Both archives, and a configuration that names them."""

    def __init__(self, kit: Any, pixels: Any, root: Path) -> None:
        films = shelf(kit, pixels)
        self.root = root
        moved = kit.free_port()
        self.archive = Archive(films, kit.free_port(), moved)
        self.handler = type("Handler", (Web,), {"films": films, "seen": []})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        token = root / "token"
        token.write_text("secret-token\n")
        token.chmod(0o600)
        dicom = {"host": "127.0.0.1", "port": self.archive.port, "ae_title": "PEER"}
        url = f"http://127.0.0.1:{self.http.server_port}/dicom-web"
        place = {"port": moved, "ae_title": "MOVED"}
        self.settings = kit.settings(
            root / "spool",
            sources=[
                {"name": "cget", **dicom},
                {"name": "cmove", "method": "cmove", "move_to": place, **dicom},
                {"name": "dicomweb", "kind": "dicomweb", "url": url, "token_file": token},
                {"name": "away", **dicom, "port": kit.free_port()},
            ],
        )

    def fetch(self, out: Path, source: str, wanted: Any, **more: Any) -> list[tuple[Any, ...]]:
        rows = fetch_films(self.settings, FetchRequest(source, wanted, **more), out)
        return [(row.line, row.status, row.code, row.studies, row.films) for row in rows]

    def close(self) -> None:
        self.archive.server.shutdown()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def world(kit: Any, pixels: Any, tmp_path: Path) -> Iterator[World]:
    made = World(kit, pixels, tmp_path)
    yield made
    made.close()


LIST = """accession_number,study_instance_uid,patient_id,study_date
A1,,,
,{root}5.2,,
TWICE,,,
NONE,,,
,,P4,2021-01-01
A*,,,
A1,,,
,,,x
"""


@pytest.mark.parametrize("source", ["cget", "cmove", "dicomweb"])
def test_each_line_gets_one_row_and_each_chest_film_its_bytes(
    world: World, kit: Any, tmp_path: Path, source: str
) -> None:
    (tmp_path / "l.csv").write_text(LIST.format(root=kit.ROOT))
    out = tmp_path / "out"
    wanted = read_list(tmp_path / "l.csv")
    assert world.fetch(out, source, wanted) == [
        (2, "ok", "", 1, 2),
        (3, "skip", "NO_CHEST_FILM", 1, 0),
        (4, "reject", "SEVERAL_STUDIES", 2, 0),
        (5, "reject", "NOT_FOUND", 0, 0),
        (6, "ok", "", 1, 1),
        (7, "error", "LINE_INVALID", 0, 0),
        (8, "skip", "DUPLICATE_LINE", 0, 0),
        (9, "error", "LINE_INVALID", 0, 0),
    ]
    found = {dcmread(path).SOPInstanceUID: path for path in out.rglob("*.dcm")}
    assert set(found) == {f"{kit.ROOT}7.{number}" for number in (1, 2, 6)}
    for film in world.archive.films:
        path = found.get(film.SOPInstanceUID)
        if path is None:
            continue
        whole = written(film)
        if source == "dicomweb":
            assert path.read_bytes() == whole
        else:  # DICOM sends the data set alone
            assert path.read_bytes().endswith(whole[-film_size(film) :])
        assert path.stat().st_mode & 0o777 == 0o600
    assert list((out / "tmp").iterdir()) == []
    text = (out / "fetched.csv").read_text() + (out / "fetched.jsonl").read_text()
    for canary in ("CANARY", "A1", "TWICE", "P4", kit.ROOT):
        assert canary not in text
        assert not [path for path in out.rglob("*") if canary in path.name]
    rows = list(csv.DictReader((out / "fetched.csv").open()))
    assert [row["key"] for row in rows][:2] == ["accession_number", "study_instance_uid"]


def film_size(film: Dataset) -> int:
    """Bytes of the data set alone."""
    stream = DicomIO(BytesIO())
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, film)
    return len(stream.parent.getvalue())


def test_a_fetch_goes_on_where_it_stopped(world: World, kit: Any, tmp_path: Path) -> None:
    keys = [StudyKey(1, KeyKind.ACCESSION, "A1"), StudyKey(2, KeyKind.ACCESSION, "NONE")]
    out = tmp_path / "out"
    world.fetch(out, "cget", keys)
    assert len(world.archive.retrieved) == 2
    world.fetch(out, "cget", [StudyKey(7, KeyKind.ACCESSION, "A1")])
    assert len(world.archive.retrieved) == 2
    with (out / "fetched.jsonl").open("a") as journal:  # as a kill leaves it
        journal.write('{"entry": "ab')
    (out / "tmp" / "half").write_bytes(b"x")
    next(out.rglob("*.dcm")).unlink()
    assert world.fetch(out, "cget", keys)[0] == (1, "ok", "", 1, 2)
    assert len(world.archive.retrieved) == 4
    assert list((out / "tmp").iterdir()) == []
    with pytest.raises(UsageError, match="must hold films of the source dicomweb"):
        world.fetch(out, "dicomweb", keys)


def test_an_archive_that_ignores_the_key_gives_nothing(world: World, tmp_path: Path) -> None:
    world.archive.sloppy = True
    keys = [StudyKey(1, KeyKind.ACCESSION, "A9"), StudyKey(2, KeyKind.ACCESSION, "A2")]
    assert world.fetch(tmp_path / "out", "cget", keys) == [
        (1, "reject", "NOT_FOUND", 0, 0),
        (2, "skip", "NO_CHEST_FILM", 1, 0),
    ]


def test_a_source_that_fails_or_is_away_gives_rows(world: World, tmp_path: Path) -> None:
    keys = [StudyKey(line, KeyKind.ACCESSION, f"A{line}") for line in range(1, 6)]
    away = world.fetch(tmp_path / "away", "away", keys)
    assert {row[1:3] for row in away} == {("error", "SOURCE_UNREACHABLE")}
    world.archive.fail = 0xA700
    (row,) = world.fetch(tmp_path / "out", "cget", keys[:1])
    assert row[1:3] == ("error", "SOURCE_REFUSED")
    world.archive.fail = 0
    assert world.fetch(tmp_path / "out", "cget", keys[:1]) == [(1, "ok", "", 1, 2)]
    world.handler.redirect = "http://127.0.0.1:1/other"
    (row,) = world.fetch(tmp_path / "web", "dicomweb", keys[:1])
    assert row[1:3] == ("error", "SOURCE_REFUSED")
    assert set(world.handler.seen) == {"Bearer secret-token"}


def test_an_answer_that_breaks_off_leaves_no_half_film(world: World, tmp_path: Path) -> None:
    world.handler.cut = True
    keys = [StudyKey(1, KeyKind.ACCESSION, "A1")]
    (row,) = world.fetch(tmp_path / "out", "dicomweb", keys)
    assert row[1:3] == ("error", "SOURCE_UNREACHABLE")
    assert (
        list((tmp_path / "out").rglob("*.dcm")) == list((tmp_path / "out" / "tmp").iterdir()) == []
    )
    world.handler.cut = False
    assert world.fetch(tmp_path / "out", "dicomweb", keys) == [(1, "ok", "", 1, 2)]


@pytest.mark.parametrize("source", ["cget", "dicomweb"])
def test_a_query_finds_studies_by_their_days(world: World, tmp_path: Path, source: str) -> None:
    query = StudyQuery.model_validate(
        {"first_day": "2020-03-01", "last_day": "2020-03-31", "modalities": ["DX"]}
    )
    rows = world.fetch(tmp_path / "out", source, query)
    assert [row[1] for row in rows].count("ok") == 2
    small = query.model_copy(update={"at_most": 1})
    with pytest.raises(UsageError, match="must find 1 studies or fewer"):
        world.fetch(tmp_path / "out", source, small)


def test_a_list_and_a_query_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("name,view\na,b\n")
    with pytest.raises(UsageError, match="must have a column study_instance_uid"):
        read_list(path)
    path.write_text("Accession Number;Study UID\nA\\B;\n;1.2.x\n" + f"{'9' * 70};\n")
    assert [key.fault.split()[0] for key in read_list(path)] == ["the"] * 3
    path = tmp_path / "q.yaml"
    path.write_text("first_day: 2026-01-05\nlast_day: 2026-01-01\n")
    with pytest.raises(UsageError, match="last_day must not be before first_day"):
        read_query(path)
    path.write_text("first_day: 2026-01-05\nlast_dya: 2026-01-01\n")
    with pytest.raises(UsageError, match=r"q.yaml"):
        read_query(path)


def test_films_pass_at_the_rate_and_in_the_hours() -> None:
    waits: list[float] = []
    pace = Pace(2.0, clock=lambda: 0.0, sleep=waits.append)
    for _ in range(3):
        pace.film()
    assert waits == [0.5, 1.0]
    for text in ("0/s", "2", "1/min"):
        with pytest.raises(UsageError, match="--rate must be"):
            rate_of(text)
    for text in ("20", "25-3", "7-7"):
        with pytest.raises(UsageError, match="--hours must be"):
            Hours(text)


def test_the_verb_prints_the_table_and_its_exit_code(
    said: Any, world: World, kit: Any, tmp_path: Path
) -> None:
    config = tmp_path / "node.yaml"
    config.write_text(
        f"spool: spool\nsources:\n  - {{name: pacs, host: 127.0.0.1, port: {world.archive.port}, "
        "ae_title: PEER}\n"
    )
    (tmp_path / "l.csv").write_text("accession_number\nA1\n")
    words = ("fetch", "pacs", "--config", config, "-o", tmp_path / "out", "-q")
    code, out, err = said(*words, "--list", tmp_path / "l.csv")
    assert (code, out, err) == (0, f"{tmp_path / 'out' / 'fetched.csv'}\n", "")
    (tmp_path / "l.csv").write_text("accession_number\nA1\nB7\n")
    code, out, _ = said(*words, "--list", tmp_path / "l.csv", "--json")
    found = json.loads(out)
    assert (code, found["films"]) == (3, 2)
    assert found["outcomes"] == {"ok": 1, "reject NOT_FOUND": 1}
    assert said(*words)[0] == 2
    assert said("fetch", "vna", *words[2:], "--list", tmp_path / "l.csv")[0] == 2
