"""`hilum errors`: the calls of cases.csv, their films and heatmaps, and what it says without."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.domain.errors import BundleError
from hilum.report.evaluation.errors import CallKind
from hilum.stages.errors import ErrorRequest, browse_errors, read_calls

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy / "run", tmp_path / "run"))


def cells(html: str) -> dict[str, int]:
    """Count of each finding and kind, as the page's table has it."""
    return {
        name: int(count)
        for name, count in re.findall(r'data-name="([^"]+)" data-count="(\d+)"', html)
    }


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_counts_are_those_of_the_tables(run: Path, tmp_path: Path) -> None:
    browser = browse_errors(ErrorRequest(run), tmp_path / "out")
    html = (tmp_path / "out" / "errors.html").read_text("utf-8")
    cases = rows(run / "cases.csv")
    expected = Counter(f"{case['finding']} {case['kind']}" for case in cases)
    assert {name: count for name, count in cells(html).items() if count} == expected
    assert html.count('<li class="call ') == len(cases)
    thresholds = {case["finding"]: float(case["threshold"]) for case in cases}
    for finding, threshold in thresholds.items():
        label = [
            row[f"label_{finding}"] == "positive" for row in rows(run / "matched_predictions.csv")
        ]
        called = [float(row[finding]) >= threshold for row in rows(run / "matched_predictions.csv")]
        pairs = Counter(zip(called, label, strict=True))
        assert browser.totals[finding, CallKind.FALSE_POSITIVE] == pairs[True, False]
        assert browser.totals[finding, CallKind.FALSE_NEGATIVE] == pairs[False, True]
        assert browser.totals[finding, CallKind.TRUE_POSITIVE] == pairs[True, True]
        assert browser.totals[finding, CallKind.TRUE_NEGATIVE] == pairs[False, False]


def test_every_call_has_its_film_and_its_own_heatmap(run: Path, toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    browser = browse_errors(ErrorRequest(run), out)
    assert browser.notes == ()
    assert set(browser.pictures) == {call.film for call in browser.calls}
    seen: set[bytes] = set()
    for call in browser.calls:
        pictures = browser.pictures[call.film]
        with (
            Image.open(out / pictures.film) as film,
            Image.open(toy / "films" / "images" / call.film) as own,
        ):
            shrunk = np.asarray(own.convert("L").resize(film.size), float)
            assert np.abs(np.asarray(film.convert("L"), float) - shrunk).mean() < 12
        name = pictures.maps[call.finding]
        if name:
            with Image.open(out / name) as drawn:
                assert np.asarray(drawn.convert("RGBA"))[..., 3].max() > 150
            seen.add((out / name).read_bytes())
    assert len(seen) > 5


def test_without_the_films_the_table_stands_alone_and_says_why(
    run: Path, said: Said, tmp_path: Path
) -> None:
    alone = tmp_path / "evaluation"
    alone.mkdir()
    for name in ("cases.csv", "evaluation.json"):
        shutil.copyfile(run / name, alone / name)
    code, out, err = said("errors", alone)
    assert (code, out) == (0, f"{alone / 'errors' / 'errors.html'}\n")
    assert err.splitlines()[0].startswith("Pictures are left out: the films are not known. Name")
    html = (alone / "errors" / "errors.html").read_text("utf-8")
    assert html.count('<tr class="call"') == len(rows(run / "cases.csv"))
    assert "<img" not in html
    assert [path.name for path in (alone / "errors").iterdir()] == ["errors.html"]


def test_an_evaluation_gets_films_and_heatmaps_from_where_they_are_named(
    run: Path, toy: Path, said: Said, tmp_path: Path
) -> None:
    alone = tmp_path / "evaluation"
    alone.mkdir()
    for name in ("cases.csv", "evaluation.json"):
        shutil.copyfile(run / name, alone / name)
    code, out, _ = said(
        "errors", alone, "--data", toy / "films", "--maps", toy / "bundle", "--json"
    )
    assert code == 0
    found = json.loads(out)
    assert found["notes"] == []
    assert found["films"] == len({row["film"] for row in rows(run / "cases.csv")})


def test_a_run_writes_beside_itself_and_the_look_is_counted(run: Path, said: Said) -> None:
    looks = (run / "test_ledger.jsonl").read_text("utf-8").count("\n")
    code, out, err = said("errors", run)
    assert (code, out) == (0, f"{run / 'errors' / 'errors.html'}\n")
    assert re.search(r"\d+ calls, \d+ of them wrong", err)
    assert (run / "test_ledger.jsonl").read_text("utf-8").count("\n") == looks + 1
    assert "./errors/errors.html" in (run / "index.html").read_text("utf-8")


def test_an_edited_table_is_refused(run: Path) -> None:
    table = run / "cases.csv"
    table.write_text(table.read_text("utf-8").replace("false_positive", "maybe", 1))
    with pytest.raises(BundleError, match=r"cases\.csv must be as hilum wrote it"):
        read_calls(table)
    table.unlink()
    with pytest.raises(BundleError, match=r"has no cases\.csv\. Run `hilum evaluate` first"):
        read_calls(table)
