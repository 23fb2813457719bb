"""Parts of a batch put together: the files of one run, to the byte; and nothing else is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hilum import Bundle
from hilum.batch.inputs import Shard, list_films
from hilum.batch.merge import merge
from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest
from hilum.domain.errors import ReasonCode, UsageError
from hilum.reading.process import ReaderProcess

DX = "1.2.840.10008.5.1.4.1.1.1.1"
PARTS = 3


@pytest.fixture(scope="module", autouse=True)
def readers(inline: type[ReaderProcess]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hilum.batch.engines.lanes.ReaderProcess", inline)
        yield


def dicom(film: Path, to: Path, uid: str) -> None:
    """The same pixels with a DICOM identity."""
    with Image.open(film) as image:
        pixels = np.asarray(image.convert("L"))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DX, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = DX, uid
    made.Modality, made.ViewPosition, made.BodyPartExamined = "DX", "PA", "CHEST"
    made.PatientAge, made.PatientID = "050Y", "P1"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = pixels.tobytes()
    made.save_as(to, enforce_file_format=True)


def files_of(out: Path) -> dict[str, Any]:
    """Every file's bytes; the journal's lines without their order and its header."""
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    journal = found.pop("journal.jsonl")
    return {**found, "journal.jsonl": sorted(journal.splitlines())}


def differing(out: Path, whole: Path) -> list[str]:
    """Files that two folders do not have alike; lines of the journal that only one has."""
    ours, theirs = files_of(out), files_of(whole)
    names = [name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)]
    lines = set(ours["journal.jsonl"]) ^ set(theirs["journal.jsonl"])
    return [*sorted(names), *(line.decode() for line in sorted(lines))]


@dataclass(frozen=True)
class World:
    bundle: Bundle
    inbox: Path
    whole: Path
    parts: list[Path]

    def run(self, out: Path, part: int | None = None, **asked: object) -> None:
        shard = None if part is None else Shard(part, PARTS)
        films = list_films([str(self.inbox)])
        run_batch(self.bundle, films, out, BatchRequest(lanes=2, shard=shard, **asked))


@pytest.fixture(scope="module")
def world(toy: Path, tmp_path_factory: pytest.TempPathFactory, readers: None) -> World:
    """Films, a damaged one, and three files of one identity of which one shows another film.

    Of the three the first by name is alone in its part, and the two others are in one: there the
    last is rejected for what the whole rejects itself.
    """
    root = tmp_path_factory.mktemp("merge")
    inbox = root / "inbox"
    inbox.mkdir()
    films = sorted((toy / "films" / "images").iterdir())
    for number in (3, 6):
        shutil.copyfile(films[number], inbox / f"{number}.png")
    whole = films[0].read_bytes()
    (inbox / "7.png").write_bytes(whole[: len(whole) // 2])
    for name, film in (("1.dcm", 1), ("2.dcm", 2), ("5.dcm", 1), ("4.dcm", 4)):
        dicom(films[film], inbox / name, "1.2.9" if name == "4.dcm" else "1.2.3")
    world = World(
        Bundle.load(toy / "bundle"), inbox, root / "whole", [root / f"part{n}" for n in (1, 2, 3)]
    )
    world.run(world.whole)
    for part, out in enumerate(world.parts, start=1):
        world.run(out, part)
    return world


def test_the_parts_together_are_the_whole_to_the_byte(world: World, tmp_path: Path) -> None:
    before = [files_of(part) for part in world.parts]
    merged = merge(world.bundle, world.parts, tmp_path / "a")
    assert differing(tmp_path / "a", world.whole) == []
    merge(world.bundle, world.parts[::-1], tmp_path / "b")
    assert differing(tmp_path / "b", world.whole) == []
    assert [files_of(part) for part in world.parts] == before
    codes = {result.image_id: result.codes for result in merged.results}
    conflicts = [name for name, c in codes.items() if ReasonCode.DUPLICATE_SOP_CONFLICT in c]
    assert conflicts == ["2.dcm"]


def test_a_part_rejects_what_the_whole_shows(world: World) -> None:
    """Or the test above would not show that pictures of a part are kept for the whole."""
    lines = (world.parts[1] / "results.jsonl").read_text().splitlines()
    codes = {line["image_id"]: line["codes"] for line in map(json.loads, lines)}
    assert codes["5.dcm"] == ["DUPLICATE_SOP_CONFLICT"]
    assert "DUPLICATE_SOP_CONFLICT" not in codes["2.dcm"]
    pictures = {path.stem for path in (world.whole / "films").iterdir()}
    assert {"1", "2", "5"} <= pictures  # a rejected film is shown, and its heatmaps are not
    drawn = {path.stem.partition("__")[0] for path in (world.whole / "maps").iterdir()}
    assert "2" not in drawn


def test_what_was_put_together_goes_on_as_a_batch(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    merge(world.bundle, world.parts, out)
    films = list_films([str(world.inbox)])
    done = run_batch(world.bundle, films, out, BatchRequest(lanes=1))
    assert done.resumed == len(films) - 1  # the pictures of the one rejected are not there
    assert differing(out, world.whole) == []


def test_the_precision_told_is_that_of_the_parts(world: World, tmp_path: Path) -> None:
    assert merge(world.bundle, world.parts, tmp_path / "out").bundle.precision == "f32"


Change = Callable[[World, Path], list[Path]]


def missing(world: World, _: Path) -> list[Path]:
    return world.parts[:2]


def twice(world: World, _: Path) -> list[Path]:
    return [world.parts[0], *world.parts[:2]]


def no_part(world: World, _: Path) -> list[Path]:
    return [world.whole]


def foreign(world: World, folder: Path) -> list[Path]:
    world.run(folder / "other", 3, threshold=0.5)
    return [*world.parts[:2], folder / "other"]


def unfinished(world: World, folder: Path) -> list[Path]:
    shutil.copytree(world.parts[2], folder / "part3")
    (folder / "part3" / "results.jsonl").unlink()
    return [*world.parts[:2], folder / "part3"]


def cut(world: World, folder: Path) -> list[Path]:
    """Finished, and then its journal lost its end."""
    shutil.copytree(world.parts[2], folder / "part3")
    journal = folder / "part3" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    return [*world.parts[:2], folder / "part3"]


def nothing_there(world: World, folder: Path) -> list[Path]:
    return [*world.parts[:2], folder / "nowhere"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing, "every part must be there once; got 1/3, 2/3 and need 1/3, 2/3, 3/3"),
        (twice, "every part must be there once; got 1/3, 1/3, 2/3 and need"),
        (no_part, "every part must be there once; got .* need folders scored with --shard"),
        (foreign, "parts must be of one batch"),
        (unfinished, "a part must be finished; .*part3 is not"),
        (cut, "a part must be finished; .*part3 is not"),
        (nothing_there, "must have its journal; .*nowhere"),
    ],
)
def test_what_is_not_all_parts_of_one_batch_is_refused(
    world: World, tmp_path: Path, change: Change, message: str
) -> None:
    parts = change(world, tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        merge(world.bundle, parts, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_parts_are_put_together_once(world: World, tmp_path: Path) -> None:
    merge(world.bundle, world.parts, tmp_path / "out")
    for out in (tmp_path / "out", world.parts[0]):
        with pytest.raises(UsageError, match=r"in a new folder; .* holds a batch already"):
            merge(world.bundle, world.parts, out)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_putting_together_that_was_stopped_may_be_begun_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    out, replaced = tmp_path / "out", Path.replace
    left = [after]

    def full(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise OSError(28, "No space left on device", str(path))
        left[0] -= 1
        return replaced(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            merge(world.bundle, world.parts, out)
    merge(world.bundle, world.parts, out)
    assert differing(out, world.whole) == []


def test_an_empty_part_is_a_part(world: World, tmp_path: Path) -> None:
    film = next(world.inbox.glob("*.png"))
    parts = [tmp_path / "1", tmp_path / "2"]
    for index, part in enumerate(parts, start=1):
        run_batch(world.bundle, [film], part, BatchRequest(lanes=1, shard=Shard(index, 2)))
    run_batch(world.bundle, [film], tmp_path / "whole", BatchRequest(lanes=1))
    merge(world.bundle, parts, tmp_path / "out")
    assert differing(tmp_path / "out", tmp_path / "whole") == []
