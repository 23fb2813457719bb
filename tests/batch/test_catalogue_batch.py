"""The catalog of bad inputs among good films, through the command: every row as it should be."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
MAKER = SHARED / "tools" / "make_bad_inputs.py"
FILMS = SHARED / "data" / "nih" / "images"
SOURCE = sorted((SHARED / "data" / "nih_1024").glob("*.png"))
GOOD = 20
HILUM = str(Path(sys.executable).with_name("hilum"))
ALLOWED_MB = 300
MEASURED = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
sys.stderr.write(done.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.returncode)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MAKER.exists() or not SOURCE, reason="no ../shared beside here"),
]


def predicted(inbox: Path, out: Path, told: str = "") -> tuple[int, float]:
    """Exit code, and the most memory that a process held, in MB; it must print `told`."""
    command = [HILUM, "predict", "starter", str(inbox), "-o", str(out), "--phi", "none", "--quiet"]
    command += ["--timeout", "25"]  # with what it takes to end a reader, 30 s a film
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=True
    )
    peak_kb, code = map(int, done.stdout.split())
    assert done.stderr == told
    return code, peak_kb / 1024


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "final_clinical_report.csv").open(newline="", encoding="utf-8") as file:
        return {json.loads(row["path_json"]): row for row in csv.DictReader(file)}


def test_every_case_has_its_row_and_good_films_are_as_without_them(tmp_path: Path) -> None:
    good, mixed = tmp_path / "good", tmp_path / "mixed"
    made = [sys.executable, "-W", "ignore", str(MAKER), str(mixed), "--png", str(SOURCE[0])]
    subprocess.run(made, check=True, capture_output=True)
    cases = json.loads((mixed / "manifest.json").read_text("utf-8"))
    good.mkdir()
    for film in sorted(FILMS.iterdir())[:GOOD]:
        shutil.copyfile(film, good / film.name)
        shutil.copyfile(film, mixed / film.name)
    code, few_mb = predicted(good, tmp_path / "alone")
    assert code == 0
    code, many_mb = predicted(
        mixed, tmp_path / "out", "passed over, not films by their first bytes: 1 .json\n"
    )
    assert code == 3
    assert many_mb - few_mb < ALLOWED_MB
    alone, found = rows(tmp_path / "alone"), rows(tmp_path / "out")
    for path, row in alone.items():
        beside = found[str(mixed / Path(path).name)]
        differ = {key for key in row if row[key] != beside[key]}
        assert differ <= {"path_json"}
    assert not [row["Image_ID"] for row in found.values() if "TIMEOUT" in row["codes"]]
    wrong: list[str] = []
    for case in cases:
        if case["code"] == "PERMISSION_DENIED" and os.geteuid() == 0:
            continue  # nothing is denied to root
        row = found.get(str(mixed / case["file"].replace("\\xff\\xfe", "\udcff\udcfe")))
        if row is None:
            wrong.append(f"{case['file']}: no row")
            continue
        codes = row["codes"].split(";")
        if row["status"] != case["expect"] or (case["code"] and case["code"] not in codes):
            wrong.append(
                f"{case['file']}: {row['status']} {row['codes']}, "
                f"not {case['expect']} {case['code']}"
            )
    assert wrong == []
