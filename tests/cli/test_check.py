"""`hilum check`: its tables, its files and its exit code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hilum.datasets import reader
from hilum.domain.documents.inspection import DatasetInspection
from hilum.files.sealed import is_sealed, read_sealed

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(said: Said) -> Said:
    """Call `hilum check` in this process: exit code, stdout and stderr."""
    return partial(said, "check")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return reader("nih").write_example(tmp_path / "nih")


def test_errors_give_code_3_and_stand_at_the_end(check: Said, root: Path) -> None:
    code, out, err = check(root)
    assert (code, err) == (3, "")
    assert out.startswith("# NIH ChestX-ray14")
    assert "this is a part: 8 of 112,120 films" in out
    assert "error ONE_CLASS" in out.partition("## Verdict")[2]


def test_a_sound_dataset_gives_code_0(check: Said, root: Path) -> None:
    header, *rows = (root / "Data_Entry_2017_v2020.csv").read_text().splitlines()
    names = "Cardiomegaly|Emphysema|Infiltration|Pleural_Thickening|Mass|Effusion|Pneumothorax"
    names += "|Atelectasis|Nodule|Pneumonia|Consolidation|Edema|Fibrosis|Hernia"
    rest = rows[0].split(",", 4)[4]
    table = [
        f"{n:08d}_000.png,{names if n % 2 else 'No Finding'},0,{n},{rest}" for n in range(1, 81)
    ]
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join([header, *table]))
    for shard in root.glob("images_*"):
        shutil.rmtree(shard)
    for name in ("test_list.txt", "train_val_list.txt", "BBox_List_2017.csv"):
        (root / name).unlink()
    code, out, _ = check(root)
    assert code == 0, out
    assert "Nothing was found" in out


def test_json_is_the_documented_model_and_files_are_written(
    check: Said, root: Path, tmp_path: Path
) -> None:
    code, out, err = check(root, "--json", "--sample", 2, "-o", tmp_path / "out")
    assert code == 3
    found = DatasetInspection.model_validate_json(out)
    assert found.films.asked == 2
    assert err == f"{tmp_path / 'out' / 'check.json'}\n"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {*("check.html", "check.json", "check.md", "check.png", "co_occurrence.csv")}
    assert is_sealed(json.loads((tmp_path / "out" / "check.json").read_text()))
    assert read_sealed(DatasetInspection, tmp_path / "out" / "check.json") == found


def test_the_page_alone_is_written_where_it_is_asked_for(
    check: Said, root: Path, tmp_path: Path
) -> None:
    page = tmp_path / "new" / "page.html"
    code, out, err = check(root, "--no-films", "--html", page)
    assert (code, err) == (3, "")
    assert out.splitlines()[-1] == str(page)
    assert "would make training or measuring wrong" in page.read_text("utf-8")
    assert list(page.parent.iterdir()) == [page]
    _, out, err = check(root, "--no-films", "--json", "--html", page)
    assert DatasetInspection.model_validate_json(out).listed
    assert err == f"{page}\n"


def test_films_named_in_a_file_are_left_out(check: Said, root: Path, tmp_path: Path) -> None:
    names = tmp_path / "unwanted.txt"
    names.write_text("00000001_000.png\n00000001_001.png\n")
    _, out, _ = check(root, "--no-films", "--json", "--exclude", names)
    found = DatasetInspection.model_validate_json(out)
    assert (found.listed, found.films.without_row) == (6, 0)


def test_policy_options_reach_the_policy(check: Said, tmp_path: Path) -> None:
    root = reader("chexpert").write_example(tmp_path / "chexpert")
    options = "--uncertain positive --blank negative --no-finding keep --views all --votes any"
    _, out, _ = check(root, "--no-films", "--json", *options.split(), "--label-set", "CheXpert-5")
    policy = json.loads(out)["policy"]
    said = ("uncertain", "blank", "no_finding", "views", "votes", "label_set")
    assert [policy[name] for name in said] == [
        *("positive", "negative", "keep", "all", "any", "CheXpert-5"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nowhere", "a dataset must be a folder or a table; there is none at"),
        (". --uncertain yes", "--uncertain must be one of ignore, positive, negative, soft"),
        (". --data-set nhi", "--data-set must be one of chexpert, mimic, nih"),
        (". --sample 0", "Invalid value for '--sample'"),
        (". --exclude nowhere.txt", "--exclude must be a readable list of films"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    check: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = check(*arguments.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
