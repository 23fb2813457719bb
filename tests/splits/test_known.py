"""Lists that the field trains and tests on, and families that do not go together."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hilum.domain.errors import LeakError, UsageError
from hilum.domain.record import Split, digest
from hilum.splits import KnownSplit, known_splits, recognize, refuse_other_family

TABLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "tables"


def named(name: str) -> KnownSplit:
    return next(split for split in known_splits() if split.name == name)


def listed(name: str) -> list[str]:
    if not TABLES.is_dir():
        pytest.skip("the official lists of NIH are not beside the checkout")
    with gzip.open(TABLES / f"{name}.txt.gz", "rt") as file:
        return file.read().split()


def test_each_family_s_lists_add_up_to_the_whole_dataset() -> None:
    for names in (
        ("NIH official test", "NIH official train_val"),
        ("NIH random test", "NIH random train", "NIH random tune"),
    ):
        assert sum(named(name).films for name in names) == 112_120
        assert sum(named(name).patients for name in names) == 30_805


def test_names_are_unique_and_hashes_whole_or_two_ends() -> None:
    splits = known_splits()
    assert len({split.name for split in splits}) == len(splits)
    for split in splits:
        assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{8}…[0-9a-f]{4,7}", split.sha256)
        assert split.source


@pytest.mark.parametrize(
    ("file", "name"),
    [("test_list", "NIH official test"), ("train_val_list", "NIH official train_val")],
)
def test_the_official_lists_are_recognized_in_any_order(file: str, name: str) -> None:
    films = listed(file)
    found = recognize(reversed(films))
    assert found is not None
    assert found.name == name
    assert found.films == len(films)
    assert found.patients == len({film[:8] for film in films})
    assert recognize(films[1:]) is None
    assert recognize([*films[1:], "another.png"]) is None


def test_a_hash_known_by_its_ends_needs_both_and_the_count() -> None:
    films = ["b", "a"]
    whole = digest(films)
    split = replace(named("NIH random test"), films=2, sha256=f"{whole[:8]}…{whole[-4:]}")
    assert split.matches(2, whole)
    assert not split.matches(3, whole)
    assert not split.matches(2, "0" + whole[1:])
    assert not split.matches(2, whole[:-1] + "-")


def test_weights_of_one_family_may_not_be_tested_on_the_other() -> None:
    with pytest.raises(LeakError, match=r"20,383 of 25,596 films \(79\.6 %\) of NIH official test"):
        refuse_other_family(named("NIH random train"), named("NIH official test"))
    with pytest.raises(LeakError, match=r"17,220 of 22,433 films \(76\.8 %\) of NIH random test"):
        refuse_other_family("nih-official", named("NIH random test"))
    with pytest.raises(LeakError, match="its patients may have trained the weights"):
        refuse_other_family("nih-random", named("NIH official train_val"))


def test_within_a_family_only_the_test_list_tests() -> None:
    refuse_other_family(named("NIH official train_val"), named("NIH official test"))
    refuse_other_family("nih-random", named("NIH random test"))
    with pytest.raises(LeakError, match="is train of nih-official, as is NIH official train_val"):
        refuse_other_family(
            named("NIH official train_val"), named("NIH official train, jlianglab division")
        )


def test_an_unknown_family_is_refused_and_another_dataset_passes() -> None:
    with pytest.raises(UsageError, match=r"got 'nih-randm'\. Did you mean 'nih-random'"):
        refuse_other_family("nih-randm", named("NIH official test"))
    elsewhere = KnownSplit("x", "other", "other", (Split.TEST,), 1, 1, "0" * 64, "nowhere")
    refuse_other_family("nih-random", elsewhere)
