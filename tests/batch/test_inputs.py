"""What the user named, as films: all of it, once, in order; and safe names for the output."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.batch.inputs import Shard, list_films, output_names
from hilum.domain.errors import UsageError

letters = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
raw = st.binary(min_size=1, max_size=12).filter(lambda name: not set(name) & set(b"/\0"))
names = st.text(letters, min_size=1, max_size=12) | raw.map(os.fsdecode)
paths = st.lists(
    st.builds(lambda parts: Path("root", *parts), st.lists(names, min_size=1, max_size=2)),
    unique=True,
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.dcm", "deep/c.JPG", "deep/er/IM0001", "notes.txt", ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".DS_Store").touch()
    return tmp_path


def found(*named: str) -> list[str]:
    return [item.path.as_posix() for item in list_films(named)]


def test_a_folder_is_searched_through_and_sorted(tree: Path) -> None:
    assert found(".") == ["a.dcm", "b.png", "deep/c.JPG", "deep/er/IM0001"]
    assert found("deep") == ["deep/c.JPG", "deep/er/IM0001"]


def test_a_film_named_in_several_ways_is_listed_once(tree: Path) -> None:
    assert found("b.png", ".", str(tree / "b.png"), "deep/../b.png", "*.png") == found("b.png", ".")


def test_a_file_is_taken_whatever_its_suffix_and_whether_it_is_there(tree: Path) -> None:
    assert found("notes.txt", "gone.png") == ["gone.png", "notes.txt"]
    long = "x" * 300
    assert found(long) == [long]


def test_patterns_find_files_and_search_folders(tree: Path) -> None:
    assert found("*.png") == ["b.png"]
    assert found("d*p") == ["deep/c.JPG", "deep/er/IM0001"]
    assert found("**/*.JPG") == ["deep/c.JPG"]
    with pytest.raises(UsageError, match=r"a pattern must match something; '\*\.bmp'"):
        found("*.bmp")
    # a file that is there is never taken for a pattern
    (tree / "[x].png").touch()
    assert found("[x].png") == ["[x].png"]


@pytest.mark.parametrize("column", ["path", "Path", "Image Index", "image_id", "Image_ID", "input"])
def test_a_csv_lists_films_beside_it(tree: Path, column: str) -> None:
    rows = f"\ufeffid,{column}\n1,c.JPG\n2,\n3,{tree / 'b.png'}\n4,gone.png\n"
    (tree / "deep" / "list.csv").write_text(rows, "utf-8")
    assert found("deep/list.csv") == [str(tree / "b.png"), "deep/c.JPG", "deep/gone.png"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"note\nbone\n", "must have one of the columns path, .*; list.csv has note"),
        (b"", "list.csv has none"),
        (b"path\n\xff\xfe\n", "a list of films must be CSV in UTF-8; list.csv"),
        (b"path\n" + b"x" * 200_000, "a list of films must be CSV in UTF-8"),
    ],
)
def test_a_list_that_is_none_is_refused(tree: Path, data: bytes, message: str) -> None:
    (tree / "list.csv").write_bytes(data)
    with pytest.raises(UsageError, match=message) as caught:
        found("list.csv")
    assert "\n" not in str(caught.value)


def test_nothing_found_is_refused(tree: Path) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(UsageError, match="there must be a film to score; nothing in empty"):
        found("empty")


# names of what is written


@given(paths)
@settings(max_examples=100, deadline=None)
def test_names_are_unique_safe_and_short(films: list[Path]) -> None:
    made = output_names(films)
    assert len(made) == len(films) == len(set(made))
    for name in made:
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,88}", name)
        assert Path(name).name == name


@given(paths)
@settings(max_examples=25, deadline=None)
def test_the_order_asked_in_changes_no_name(films: list[Path]) -> None:
    forth = dict(zip(films, output_names(films), strict=True))
    back = dict(zip(films[::-1], output_names(films[::-1]), strict=True))
    assert forth == back


def test_harmless_names_stay() -> None:
    assert output_names([Path("a/00000001_000.png"), Path("b.c.dcm")]) == ["00000001_000", "b.c"]


def test_a_film_cannot_take_the_name_that_another_gets() -> None:
    films = [Path("a/y z.png"), Path("b/x.png")]
    (given, _) = output_names(films)
    thief = Path("c", f"{given}.png")
    made = output_names([*films, thief])
    assert made[0] == given
    assert len(set(made)) == 3


def test_names_are_told_apart_by_more_than_case() -> None:
    made = output_names([Path("a/Film.png"), Path("a/film.png"), Path("b/x.png")])
    assert len({name.lower() for name in made}) == 3
    assert made[2] == "x"


@pytest.mark.parametrize("name", ["CON.png", "nul.tar.png", "Com1.dcm"])
def test_no_name_is_a_device(name: str) -> None:
    (made,) = output_names([Path(name)])
    assert made.startswith("_")


def test_many_films_of_one_name_get_names_of_their_own() -> None:
    made = output_names([Path(f"study{n}/image.dcm") for n in range(20_000)])
    assert len(set(made)) == 20_000


# parts of a list


@given(st.lists(st.integers()), st.integers(1, 12))
def test_shards_are_the_whole_list_and_nothing_twice(items: list[int], count: int) -> None:
    parts = [Shard(index, count).of(items) for index in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert Shard.parse("1/1").of(items) == items


@pytest.mark.parametrize("word", ["", "0/3", "4/3", "1", "1/", "/2", "-1/2", "1/2/3", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=r"a shard must read i/n .* got '"):
        Shard.parse(word)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "x" * 250 + ".png", os.fsdecode(b"\xff\xfe.png"), "胸.png"]
)
def test_hostile_names_become_harmless(name: str) -> None:
    (made,) = output_names([Path("films", name)])
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,88}", made)
