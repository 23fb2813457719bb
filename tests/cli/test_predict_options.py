"""What `hilum predict` is asked for is what it does: thresholds, shards, links, patients, time."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hilum.reading.process import Limits

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def inbox(toy: Path, tmp_path: Path) -> Path:
    """Three films."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    for film in sorted((toy / "films" / "images").iterdir())[:3]:
        shutil.copyfile(film, folder / film.name)
    return folder


@pytest.fixture
def predict(toy: Path, inbox: Path, tmp_path: Path, said: Said) -> Said:
    def predict(*options: object, out: str = "out") -> tuple[int, str, str]:
        return said("predict", toy / "bundle", inbox, "-o", tmp_path / out, *options)

    return predict


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "final_clinical_report.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def results(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_strict_makes_a_refused_film_a_failure(predict: Said, inbox: Path) -> None:
    assert predict("--strict", "--quiet")[0] == 0
    (inbox / "empty.png").touch()
    assert predict("--quiet")[0] == 3
    code, out, err = predict("--strict", "--quiet")
    assert (code, err) == (1, "")
    assert out.endswith("report.html\n")


def test_a_threshold_is_for_every_finding(predict: Said, tmp_path: Path) -> None:
    assert predict("--threshold", 0.0)[0] == 0
    for result in results(tmp_path / "out"):
        assert result["threshold_source"] == "hand"
        for said in result["findings"].values():
            assert (said["threshold"], said["positive"]) == (0.0, True)
    code, _, err = predict("--threshold", 0.5)
    assert code == 2
    assert "was scored with another threshold" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threshold", 1.5), r"a threshold must be a number in [0, 1]; got 1.5"),
        (("--threshold", "nan"), r"a threshold must be a number in [0, 1]; got nan"),
        (("--shard", "4/3"), "a shard must read i/n with 1 <= i <= n, such as 2/3; got '4/3'"),
        (("--phi", "some"), "--phi"),
        (("--style", "warm"), "--style"),
        (("--precision", "f17"), "f17"),
        (("--timeout", 0), "--timeout"),
        (("--heatmaps", "Efusion"), "Did you mean 'Effusion'?"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line_before_anything_is_done(
    predict: Said, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    code, out, err = predict(*options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_tables_alone_have_no_pictures_and_the_same_numbers(predict: Said, tmp_path: Path) -> None:
    assert predict("--tables-only", "--quiet", out="tables")[0] == 0
    assert predict("--quiet")[0] == 0
    assert not list((tmp_path / "tables" / "films").iterdir())
    assert not list((tmp_path / "tables" / "maps").iterdir())
    assert list((tmp_path / "out" / "films").iterdir())
    for alone, drawn in zip(rows(tmp_path / "tables"), rows(tmp_path / "out"), strict=True):
        differ = {key for key in alone if alone[key] != drawn[key]}
        assert differ <= {"maps"}


def test_shards_are_merged_into_the_files_of_one_run(
    predict: Said, toy: Path, tmp_path: Path, said: Said
) -> None:
    parts = [tmp_path / f"part{index}" for index in (1, 2)]
    for index, part in enumerate(parts, start=1):
        assert predict("--shard", f"{index}/2", "--quiet", out=part.name)[0] == 0
    assert [len(rows(part)) for part in parts] == [2, 1]
    assert predict("--quiet")[0] == 0
    together = tmp_path / "together"
    code, out, _ = said("merge", toy / "bundle", *parts, "-o", together)
    assert (code, out) == (0, f"{together / 'report.html'}\n")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and path.name != "journal.jsonl":
            name = path.relative_to(tmp_path / "out")
            assert (together / name).read_bytes() == path.read_bytes(), name
    code, out, err = said("merge", toy / "bundle", *parts, "-o", together)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "holds a batch already" in err


def test_a_link_out_of_the_folder_is_followed_where_that_is_asked_for(
    predict: Said, toy: Path, inbox: Path, tmp_path: Path
) -> None:
    outside = sorted((toy / "films" / "images").iterdir())[4]
    (inbox / "link.png").symlink_to(outside)
    assert predict("--quiet")[0] == 3
    assert rows(tmp_path / "out")[-1]["codes"] == "SYMLINK_OUTSIDE_ROOT"
    assert predict("--quiet", "--follow-links", out="followed")[0] == 0
    assert rows(tmp_path / "followed")[-1]["status"] in ("ok", "warn")


def test_the_key_of_the_pseudonyms_is_made_where_it_is_named_and_nowhere_else(
    predict: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(settings))
    assert predict("--quiet", "--phi", "none")[0] == 0
    assert not settings.exists()
    key = tmp_path / "keys" / "phi.key"
    assert predict("--quiet", "--phi-key", key, out="named")[0] == 0
    assert key.stat().st_size == 32
    assert not settings.exists()
    assert predict("--quiet", out="default")[0] == 0
    assert [path.name for path in settings.rglob("*") if path.is_file()] == ["phi.key"]
    code, _, err = predict("--phi-key", key, out="default")
    assert code == 2
    assert "was scored with another patients" in err


def test_the_time_for_a_film_is_what_was_asked_for(
    predict: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Limits] = []

    def stopped(*given: Any, **_: object) -> None:
        asked.append(given[3].limits)
        raise KeyboardInterrupt

    monkeypatch.setattr("hilum.batch.run.run_batch", stopped)
    assert predict("--timeout", 7)[0] == 75
    assert [limits.timeout_s for limits in asked] == [7]


def test_no_process_to_read_films_with_is_one_line_and_may_be_tried_again(
    predict: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.reading.COMMAND", ("/no/such/program",))
    code, out, err = predict("--quiet")
    assert (code, out) == (75, "")
    assert err == "hilum: a process that reads films did not start: No such file or directory\n"


def test_quiet_does_not_hide_what_has_no_row(predict: Said, inbox: Path, tmp_path: Path) -> None:
    first, *_ = sorted(inbox.iterdir())
    (inbox / "notes.txt").write_text("x")
    quiet = ("--tables-only", "--quiet")
    passed = "passed over, not films by their first bytes: 1 .txt\n"
    assert predict(*quiet)[2] == passed
    first.unlink()
    code, _, err = predict(*quiet)
    assert code == 0
    assert err.startswith(passed)
    assert f"held 1 input of an earlier run that is not among these ({first})" in err
    assert len(results(tmp_path / "out")) == 2


def test_results_below_the_films_are_passed_over_on_every_run(
    toy: Path, inbox: Path, said: Said
) -> None:
    for _ in range(2):
        code, _, err = said("predict", toy / "bundle", inbox, "-o", inbox / "report", "--quiet")
        assert code == 0
        assert len(results(inbox / "report")) == 3
    assert f"passed over, results of hilum: the pictures in {inbox / 'report'}\n" in err
