"""A folder that is not trusted: every name in it comes to something, and nothing leads astray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hilum.batch.inputs import list_films
from hilum.domain.errors import UsageError

LOOP, ODD = ("skip", "SYMLINK_LOOP"), ("skip", "NOT_REGULAR_FILE")
OUTSIDE, GONE = ("reject", "SYMLINK_OUTSIDE_ROOT"), ("error", "FILE_NOT_FOUND")
FILM = None


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`inbox`, to be searched, and `other` beside it."""
    monkeypatch.chdir(tmp_path)
    for name in ("inbox/a.png", "inbox/deep/b.dcm", "inbox/.store/raw", "other/far.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def link(name: str, target: str) -> None:
    Path("inbox", name).symlink_to(target)


def listed(*named: str, follow: bool = False) -> dict[str, tuple[str, str] | None]:
    found = list_films(named or ("inbox",), follow)
    paths = [item.path.as_posix() for item in found]
    assert paths == sorted(set(paths))
    return {
        item.path.as_posix(): item.refusal and (item.refusal.status.value, item.refusal.code.value)
        for item in found
    }


FILMS = {"inbox/a.png": FILM, "inbox/deep/b.dcm": FILM}


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("target", [".", "..", "deep", "../inbox", "../../inbox"])
def test_a_link_into_the_folder_ends_and_is_said(tree: Path, target: str, follow: bool) -> None:
    Path("inbox/deep/self").symlink_to(target)
    assert listed(follow=follow) == FILMS | {
        "inbox/deep/self": GONE if target in ("deep", "../inbox") else LOOP
    }


def test_a_link_to_itself_is_a_loop(tree: Path) -> None:
    link("self.png", "self.png")
    link("one.png", "two.png")
    link("two.png", "one.png")
    assert listed() == FILMS | dict.fromkeys(
        ("inbox/self.png", "inbox/one.png", "inbox/two.png"), LOOP
    )


def test_a_link_to_nothing_is_an_error(tree: Path) -> None:
    link("gone.png", "nowhere.png")
    link("log.txt", "nowhere.txt")  # by its name no film
    assert listed() == FILMS | {"inbox/gone.png": GONE}


def test_a_link_within_the_folder_is_a_film_of_its_own(tree: Path) -> None:
    link("again.png", "deep/b.dcm")
    link("stored.png", ".store/raw")
    assert listed() == FILMS | {"inbox/again.png": FILM, "inbox/stored.png": FILM}


def test_a_link_out_of_the_folder_is_refused(tree: Path) -> None:
    link("passwd.png", "/etc/passwd")
    link("far.png", "../other/far.png")
    link("other", "../other")
    (tree / "inbox-2").mkdir()
    link("sibling", "../inbox-2")  # whose path begins like the folder's
    names = ("inbox/passwd.png", "inbox/far.png", "inbox/other", "inbox/sibling")
    assert listed() == FILMS | dict.fromkeys(names, OUTSIDE)
    (item,) = [item for item in list_films(["inbox"]) if item.path.name == "passwd.png"]
    assert "etc" not in str(item.refusal)


def test_links_are_followed_when_that_is_asked_for(tree: Path) -> None:
    link("far.png", "../other/far.png")
    link("other", "../other")
    link("same", "../other")
    Path("other/back").symlink_to("../inbox")
    assert listed(follow=True) == FILMS | {
        "inbox/far.png": FILM,
        "inbox/other/far.png": FILM,
        "inbox/other/back": LOOP,
        "inbox/same": LOOP,
    }


def test_what_the_user_names_is_taken_as_it_is(tree: Path) -> None:
    link("far.png", "../other/far.png")
    Path("door").symlink_to("inbox")
    assert listed("inbox/far.png") == {"inbox/far.png": FILM}
    assert listed("inbox", "inbox/far.png") == listed("inbox/far.png", "inbox")
    assert listed("inbox", "inbox/far.png")["inbox/far.png"] is FILM
    assert listed("door") == {"door/a.png": FILM, "door/deep/b.dcm": FILM, "door/far.png": OUTSIDE}


def test_what_is_no_file_is_said_to_be_none(tree: Path) -> None:
    os.mkfifo("inbox/pipe.png")
    os.mkfifo("inbox/pipe.txt")
    link("null.png", "/dev/null")
    link("pipe2.png", "pipe.png")
    Path("inbox/folder.png").mkdir()
    Path("inbox/folder.png/c.png").touch()
    Path("inbox/1.2.840.5").mkdir()
    assert listed() == FILMS | {
        "inbox/pipe.png": ODD,
        "inbox/null.png": OUTSIDE,
        "inbox/pipe2.png": ODD,
        "inbox/folder.png": ODD,
        "inbox/folder.png/c.png": FILM,
    }


def test_suffixes_and_hidden_files(tree: Path) -> None:
    for name in ("B.PNG", "IM0001", "c.Jpeg", "d.tiff", ".e.png", "notes.txt", "f.nii.gz", "g.GIF"):
        Path("inbox", name).touch()
    for name in ("._c.Jpeg", ".DS_Store", ".trash/a.png", ".odd.png/a.png"):
        Path("inbox", name).parent.mkdir(exist_ok=True)
        Path("inbox", name).touch()
    assert set(listed()) - set(FILMS) == {
        *("inbox/B.PNG", "inbox/IM0001", "inbox/c.Jpeg", "inbox/d.tiff", "inbox/g.GIF"),
        "inbox/.e.png",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_said(tree: Path) -> None:
    Path("inbox/closed").mkdir(mode=0)
    assert listed() == FILMS | {"inbox/closed": ("error", "PERMISSION_DENIED")}
    Path("inbox/closed").chmod(0o700)


def test_a_folder_that_cannot_be_read_is_said(tree, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.scandir

    def failing(path: str):
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return whole(path)

    monkeypatch.setattr("hilum.batch.walk.os.scandir", failing)
    assert listed() == {"inbox/a.png": FILM, "inbox/deep": ("error", "PERMISSION_DENIED")}


def test_a_name_that_is_not_utf8_is_a_film_with_a_word(tree: Path) -> None:
    name = b"inbox/\xff\xfe.png"
    try:
        os.close(os.open(name, os.O_CREAT))
    except OSError:
        pytest.skip("this disk takes only names in UTF-8")
    for named in ("inbox", os.fsdecode(name)):
        codes = {os.fsencode(item.path): item.codes for item in list_films([named])}
        assert codes.pop(name) == ("NAME_NOT_UTF8",)
        assert set(codes.values()) <= {()}


def test_a_pattern_does_not_go_round_in_links(tree: Path) -> None:
    for name in ("one", "two", "three"):
        link(name, ".")
    assert listed("**/*.png") == {"inbox/a.png": FILM, "other/far.png": FILM}
    assert listed(f"{tree}/inbox/**/*.dcm") == {f"{tree}/inbox/deep/b.dcm": FILM}
    Path("inbox/.hidden.png").touch()
    assert listed("inbox/**/*.png") == {"inbox/a.png": FILM}
    assert listed("inbox/**/.*.png") == {"inbox/.hidden.png": FILM}
    with pytest.raises(UsageError, match="a pattern must be one of a path"):
        listed("inbox/**.png")


def test_a_folder_deeper_than_a_path_can_tell_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(25):
        Path("deep" * 50).mkdir()
        os.chdir("deep" * 50)
    os.chdir(tmp_path)
    (item,) = list_films([str(tmp_path)])
    assert item.refusal is not None
    assert item.refusal.code == "READ_FAILED"


MEASURE = """
import resource, sys
from hilum.batch.inputs import list_films
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
opened = []
sys.addaudithook(lambda event, given: event == "open" and opened.append(given[0]))
films = list_films([sys.argv[1]])
megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(len(films), sum(str(name).endswith(".png") for name in opened), megabytes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("films", [10_000, pytest.param(100_000, marks=pytest.mark.exhaustive)])
def test_many_films_are_listed_without_opening_one(films: int, tmp_path: Path) -> None:
    for number in range(films):
        os.close(os.open(tmp_path / f"{number:08d}_000.png", os.O_CREAT))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    count, opened, megabytes = map(float, done.stdout.split())
    assert (count, opened) == (films, 0)
    assert megabytes < 100
