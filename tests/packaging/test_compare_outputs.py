"""The comparison of two versions: what is the same, what is declared, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts.compare_outputs import DECLARED, compare, difference


def pair(folder: Path, name: str, old: str, new: str) -> tuple[Path, Path]:
    paths = folder / "before" / name, folder / "after" / name
    for path, text in zip(paths, (old, new), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return paths


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "time": "x"}, {"a": 1, "time": "y"}, None),
        ({"a": 1}, {"a": 1, "schema_version": 2}, None),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ".a.b[1]: '2' and '3'"),
        ({"a": 1}, {"a": 1, "b": 2}, ".b: only after"),
        ({"a": 1}, {"a": 1.0}, ".a: '1' and '1.0'"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "top: keys in a different order"),
        ({"a": [1]}, {"a": [1, 2]}, ".a: '[1]' and '[1, 2]'"),
    ],
)
def test_json_differs_at_a_key(
    tmp_path: Path, old: object, new: object, expected: str | None
) -> None:
    paths = pair(tmp_path, "a.json", json.dumps(old), json.dumps(new, indent=1))
    assert difference(*paths, set(DECLARED)) == expected


def test_a_journal_comes_in_any_order_and_results_in_one(tmp_path: Path) -> None:
    texts = '{"a": 1}\n{"a": 2}\n', '{"a": 2}\n{"a": 1}\n'
    assert difference(*pair(tmp_path, "journal.jsonl", *texts), set()) is None
    found = difference(*pair(tmp_path, "results.jsonl", *texts), set())
    assert found == "line 1, .a: '1' and '2'"


def test_a_changed_byte_or_a_missing_file_is_told(tmp_path: Path) -> None:
    pair(tmp_path, "same.html", "<p>", "<p>")
    pair(tmp_path, "page.html", "<p>\n<b>one</b>", "<p>\n<b>two</b>")
    pair(tmp_path, "picture.png", "abc", "abd")
    (tmp_path / "before" / "gone.csv").write_text("x")
    found = compare(tmp_path / "before", tmp_path / "after", set(DECLARED))
    assert found["html"].same == 1
    assert found["html"].differing == ["page.html: line 2: '<b>one</b>' and '<b>two</b>'"]
    assert found["png"].differing == ["picture.png: 3 and 3 bytes"]
    assert found["csv"].differing == ["gone.csv: only before"]


def test_sentences_may_differ_and_numbers_may_not(tmp_path: Path) -> None:
    pair(tmp_path, "page.html", "<p>AUROC 0.71 of 1,000", "<p>0.71 on 1,000")
    pair(tmp_path, "moved.md", "1 of 20 films", "20 films, 1 of them")
    pair(tmp_path, "a.json", '{"note": "2 asked for", "n": 1}', '{"note": "2 requested", "n": 1}')
    pair(tmp_path, "b.json", '{"n": 1}', '{"n": 2}')
    found = compare(tmp_path / "before", tmp_path / "after", set(), words=True)
    assert (len(found["html"].reworded), found["html"].differing) == (1, [])
    assert found["md"].differing == ["moved.md: line 1: '1 of 20 films' and '20 films, 1 of them'"]
    assert [line[:6] for line in found["json"].reworded] == ["a.json"]
    assert found["json"].differing == ["b.json: .n: '1' and '2'"]
