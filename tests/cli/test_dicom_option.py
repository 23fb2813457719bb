"""`--dicom` with and without kinds, and what is wrong with one in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.cli.dicom_option import with_kinds

Said = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["b", "in", "--dicom"], ["b", "in", "--dicom", "usual"]),
        (["b", "in", "--dicom", "-o", "out"], ["b", "in", "--dicom", "usual", "-o", "out"]),
        (["b", "--dicom", "sr,sc", "in"], ["b", "--dicom", "sr,sc", "in"]),
        (["b", "--dicom", "a.dcm"], ["b", "--dicom", "usual", "a.dcm"]),
        (["b", "--dicom", "srr", "in"], ["b", "--dicom", "srr", "in"]),
        (["b", "in", "-o", "out"], ["b", "in", "-o", "out"]),
    ],
    ids=["last", "before an option", "kinds", "before a film", "misspelled", "absent"],
)
def test_kinds_may_be_left_out(words: list[str], read: list[str]) -> None:
    assert with_kinds(words) == read


def test_a_folder_that_is_there_is_no_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    assert with_kinds(["b", "--dicom", "films"]) == ["b", "--dicom", "usual", "films"]


def test_a_misspelled_kind_is_refused_in_one_line(said: Said, toy: Path, tmp_path: Path) -> None:
    film = next((toy / "films" / "images").glob("*.png"))
    code, out, err = said(
        "predict", toy / "bundle", film, "-o", tmp_path / "out", "--dicom", "srr,sc"
    )
    assert (code, out) == (2, "")
    assert "no DICOM object 'srr'" in err
    assert "Did you mean 'sr'?" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
