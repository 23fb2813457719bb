"""Ways to bound a miss rate, tried on halves of patients: the table of the docs, drawn again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scripts import try_bounds

from hilum.calibration.abstention.thresholds import RuleFilms

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-a-bound-says.md"


def test_the_table_of_the_page_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["try_bounds"])
    try_bounds.main()
    title, _, table = capsys.readouterr().out.partition("\n\n")
    page = PAGE.read_text()
    assert table.strip() in page
    assert title[1:] in page


def test_shares_are_of_films_and_of_patients() -> None:
    films = RuleFilms(
        np.array([0.1, 0.2, 0.3, 0.4, 0.1, 0.9]),
        np.array([True, True, True, True, False, False]),
        np.array([0, 0, 0, 1, 2, 3]),
    )
    found = try_bounds.tried(films, 0.35)
    assert (found.ruled_out, found.normal) == (pytest.approx(4 / 6), pytest.approx(0.5))
    assert (found.by_film, found.by_patient) == (pytest.approx(0.75), pytest.approx(0.5))
    assert try_bounds.tried(films, None) == try_bounds.Tried(0.0, 0.0, 0.0, 0.0)


def test_a_table_is_read_with_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number:03d}.png" for number in range(400)]
    draw = np.random.default_rng(0)
    sick = draw.random(400) < 0.6
    scores = np.clip(0.3 * sick + draw.random(400) * 0.6, 0.0, 1.0)
    labels, table = tmp_path / "labels.csv", tmp_path / "table.csv"
    rows = [f"{n},{n[:3]},{int(s)}" for n, s in zip(names, sick, strict=True)]
    labels.write_text("\n".join(["image_id,patient_id,Effusion", *rows]) + "\n")
    rows = [f"{n},{s:.4f}" for n, s in zip(names, scores, strict=True)]
    table.write_text("\n".join(["image_id,Effusion", *rows]) + "\n")
    given = [str(table), "--labels", str(labels), "--miss", "0.05", "--splits", "5"]
    monkeypatch.setattr(sys, "argv", ["try_bounds", *given])
    try_bounds.main()
    printed = capsys.readouterr().out
    assert printed.startswith("table.csv: 400 films of 400 patients, 5")
    assert printed.count("| 5% |") == len(try_bounds.WAYS)
