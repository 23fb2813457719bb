"""Patients that a model has seen: hashes that refuse what the names would have refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.domain.errors import BundleError, LeakError
from hilum.splits import SeenPatients, check_disjoint

names = st.lists(st.text("0123456789abé", min_size=1, max_size=4), max_size=20)


@given(names, names.filter(bool))
@settings(max_examples=25, deadline=None)
def test_hashes_refuse_exactly_what_names_refuse(training: list[str], patients: list[str]) -> None:
    def refusal(check: Callable[[], None]) -> str:
        try:
            check()
        except LeakError as refused:
            return str(refused)
        return "passed"

    seen = SeenPatients.of("nih", training)
    assert refusal(lambda: seen.refuse_overlap("nih", patients, "test")) == refusal(
        lambda: check_disjoint(training, patients, "test")
    )


@given(names, names)
@settings(max_examples=10, deadline=None)
def test_a_set_comes_back_from_its_file_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]
) -> None:
    seen = SeenPatients.of("nih", first).union(SeenPatients.of("chexpert", second))
    path = seen.write(tmp_path_factory.mktemp("seen") / "seen.txt")
    back = SeenPatients.read(path)
    assert back == seen
    assert back.sha256 == seen.sha256
    assert len(back) == len(set(first)) + len(set(second))


def test_the_file_says_dataset_and_count_and_holds_sorted_hashes(tmp_path: Path) -> None:
    path = SeenPatients.of("nih", ["1", "2", "1"]).write(tmp_path / "seen.txt")
    hashes = sorted(hashlib.sha256(f"nih\t{p}".encode()).hexdigest()[:16] for p in "12")
    assert path.read_text().splitlines() == ["# hilum seen patients of nih: 2", *hashes]


def test_a_union_sees_what_either_has_seen() -> None:
    both = SeenPatients.of("nih", ["1", "2"]).union(SeenPatients.of("nih", ["2", "3"]))
    assert both == SeenPatients.of("nih", ["1", "2", "3"])
    assert both.among("nih", ["3", "4"]) == {"3"}
    assert both.among("chexpert", ["3"]) == frozenset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0123456789abcdef\n", "line 1 must be a hash of 16 hex digits below a line"),
        ("# hilum seen patients of nih: 2\n0123456789abcdef\n", "must hold 2 patients of nih"),
        ("# hilum seen patients of nih: 1\n0123456789ABCDEF\n", "line 2 must be a hash"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "seen.txt"
    path.write_text(text)
    with pytest.raises(BundleError, match=message):
        SeenPatients.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no seen patients could be read"):
        SeenPatients.read(tmp_path / "none.txt")
