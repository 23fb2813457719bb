"""Opening a folder, and leaving films out of a cohort."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.datasets import open_dataset, reader, without
from hilum.datasets.parts.disk import film_index, read_list, read_rows
from hilum.domain.errors import DatasetError, UsageError


def test_a_folder_without_a_dataset_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset was recognized in .*no table of labels"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="must be a folder or a table; there is none at"):
        open_dataset(tmp_path / "gone")


def test_an_unknown_reader_has_its_nearest_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no dataset reader 'nih14'; .* Did you mean 'nih'"):
        open_dataset(tmp_path, "nih14")
    with pytest.raises(UsageError, match="no dataset reader 'base'"):
        reader("base")


def test_a_reader_refuses_a_folder_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none is in"):
        reader("nih").read(tmp_path)


def test_films_are_left_out_with_a_note(tmp_path: Path) -> None:
    cohort = open_dataset(reader("nih").write_example(tmp_path))
    less = without(cohort, ["images\\00000002_000.PNG"], "once JPEG")
    assert len(less) == len(cohort) - 1
    assert "00000002_000.png" not in less.image_ids()
    assert less.notes == (*cohort.notes, "films left out, once JPEG: 1 of 8")
    assert less.official_test == cohort.official_test


def rows_of(folder: Path, data: bytes) -> list[tuple[int, list[str]]]:
    table = folder / "t.csv"
    table.write_bytes(data)
    return list(read_rows(table, ["a", "b"]))


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"a,b\n1,2\n") == rows_of(tmp_path, b"b,x,a\n2,9,1\n")


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n") == [
        (2, ["1", "2"]),
        (4, ["3", "4"]),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must have the columns a, b; it lacks a, b"),
        (b"a,c\n", "it lacks b"),
        (b"a;b\n1;2\n", "separated by ';': save it with commas"),
        (b"sep=;\r\na;b\r\n1;2\r\n", "separated by ';': save it with commas"),
        ("a,b\n1,2\n".encode("utf-16"), "must be UTF-8; it has the byte 0xff"),
        (b"a,b\n1\n", "row 2 must have 2 fields or more; it has 1"),
        (b"a,b\n1,\xe9\n", "must be UTF-8; it has the byte 0xe9"),
        (b"a,b\n1,2\n\0\0\0,\n", "line 3 must be text; it has a zero byte"),
        (b'a,b\n1,"2\n', "row 2 is not CSV"),
        (b"a,b\n1," + b"2" * 200_000 + b"\n", "row 2 is not CSV: field larger"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        rows_of(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_a_broken_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(DatasetError, match=r"t\.csv\.gz must be a whole archive"):
        list(read_rows(tmp_path / "t.csv.gz", ["a"]))


def test_a_list_is_read_or_refused_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    assert read_list(path) is None
    path.write_bytes(b"\xef\xbb\xbfa.png\r\n\r\nb.png")
    assert read_list(path) == {"a.png", "b.png"}
    path.write_bytes(b"\n")
    with pytest.raises(DatasetError, match="it is empty"):
        read_list(path)


def test_the_first_folder_holds_and_copies_of_macos_do_not_count(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/a.png", "two/B.PNG", "two/._a.png", "two/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = [tmp_path / name for name in ("one", "none", "two")]
    (tmp_path / "two/1.2.840.11").write_bytes(bytes(128) + b"DICM")
    assert dict(film_index(folders)) == {
        "a.png": tmp_path / "one/a.png",
        "1.2.840.11": tmp_path / "two/1.2.840.11",
        "B.PNG": tmp_path / "two/B.PNG",
    }
