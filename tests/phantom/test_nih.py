"""The written folder is NIH's, to the byte of its headers."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.domain.findings import find, nih14
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.nih import write_nih

CORPUS = PhantomCorpus(14, seed=4, enrichment=4.0, size=64)
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "nih"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nih(CORPUS, tmp_path_factory.mktemp("nih"))


def listing(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def table(root: Path) -> list[dict[str, str]]:
    with (root / "Data_Entry_2017_v2020.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_same_corpus_same_bytes(root: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    again = write_nih(CORPUS, tmp_path / "again", lambda done, total: calls.append((done, total)))
    assert listing(again) == listing(root)
    total = len(CORPUS.films())
    assert calls == [(done, total) for done in range(1, total + 1)]


def test_every_film_is_listed_written_and_in_one_list(root: Path) -> None:
    names = [film.image_id for film in CORPUS.films()]
    assert [row["Image Index"] for row in table(root)] == names
    assert sorted(path.name for path in (root / "images").iterdir()) == sorted(names)
    train = (root / "train_val_list.txt").read_text().split()
    test = (root / "test_list.txt").read_text().split()
    assert sorted(train + test) == sorted(names)
    assert not {name[:8] for name in train} & {name[:8] for name in test}
    assert {str(int(name[:8])) for name in test} == set(CORPUS.test_patients())


def test_images_are_gray_8_bit_and_as_drawn(root: Path) -> None:
    plan = CORPUS.films()[0]
    image = cv2.imread(str(root / "images" / plan.image_id), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert (image.shape, image.dtype) == ((64, 64), np.uint8)
    assert np.abs(image / 255.0 - CORPUS.draw(plan).pixels).max() <= 0.5 / 255 + 1e-6


def test_rows_say_what_was_planned(root: Path) -> None:
    for row, plan in zip(table(root), CORPUS.films(), strict=True):
        labels = row["Finding Labels"]
        found = set() if labels == "No Finding" else set(labels.split("|"))
        assert found == set(plan.findings) <= set(nih14())
        assert row["Patient ID"] == plan.patient_id
        assert (row["Patient Gender"], row["View Position"]) == (plan.sex.value, plan.view.value)
        assert row["OriginalImage[Width"] == row["Height]"] == "1024"


def test_boxes_are_of_test_films_in_the_1024_frame(root: Path) -> None:
    lines = (root / "BBox_List_2017.csv").read_text().splitlines()
    test = set((root / "test_list.txt").read_text().split())
    labels = {film.image_id: film.findings for film in CORPUS.films()}
    assert len(lines) > 1
    for line in lines[1:]:
        name, label, *corner = line.split(",")
        x, y, width, height = map(float, corner)
        assert name in test
        assert find("Infiltration" if label == "Infiltrate" else label).name in labels[name]
        assert min(x, y) >= 0
        assert max(x + width, y + height) <= 1024
        assert min(width, height) > 0


def test_readme_says_that_nobody_was_filmed(root: Path) -> None:
    assert "not patients" in (root / "SYNTHETIC.txt").read_text()


@pytest.mark.skipif(not REAL.is_dir(), reason="the real NIH sample is not beside this checkout")
def test_headers_are_those_of_the_real_files(root: Path) -> None:
    for name in ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"):
        with (REAL / name).open(encoding="utf-8") as real, (root / name).open() as ours:
            assert ours.readline() == real.readline()
