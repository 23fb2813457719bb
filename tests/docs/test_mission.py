"""The table of promises is whole, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "mission.md").read_text("utf-8").splitlines()
    if re.match(r"\| S\d-\d\d \|", line)
]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row[-1])})
PROMISED = {0: 30, 1: 26, 2: 32, 3: 26, 4: 40}
"""System to how many promises it makes."""


def test_every_promise_is_in_the_table_once() -> None:
    ids = Counter(row[0] for row in ROWS)
    promised = [
        f"S{system}-{number:02d}"
        for system, last in PROMISED.items()
        for number in range(1, last + 1)
    ]
    assert ids == Counter(promised)


def test_every_row_says_how_it_stands_and_what_shows_it() -> None:
    assert {len(row) for row in ROWS} == {5}
    assert {row[2] for row in ROWS} == {"kept", "differs", "in part", "not shown"}
    assert [row[0] for row in ROWS if "`tests/" not in row[-1]] == []


@pytest.mark.parametrize("name", NAMED)
def test_every_test_it_names_exists(name: str) -> None:
    path, test = name.split("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
