"""The end of a test run tells what was skipped and why, and how many lines ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_peer(n):
    pytest.importorskip("no_such_peer", reason="no_such_peer is not installed")

def test_data():
    pytest.skip("no films here")

def test_words():
    from hilum.domain.findings import nih14
    assert len(nih14()) == 14
"""


def closing(folder: Path, *options: str) -> list[str]:
    (folder / "test_sample.py").write_text(TESTS, "utf-8")
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (folder / "closing.py").write_text(
        (ROOT / "tests" / "closing.py")
        .read_text("utf-8")
        .replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})")
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_it_tells_skips_by_reason_and_the_lines_that_ran(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    lines = closing(tmp_path, "--coverage", *workers)
    at = next(i for i, line in enumerate(lines) if "4 skipped, by reason" in line)
    assert lines[at + 1 : at + 3] == [
        "    3  no_such_peer is not installed",
        "    1  no films here",
    ]
    (told,) = [line for line in lines if "of the lines of src/hilum" in line]
    assert 0 < float(told.partition("%")[0]) < 20
    # what continuous integration counts by stays the last line
    assert lines[-1].startswith("1 passed, 4 skipped")


def test_without_the_option_nothing_is_counted(tmp_path: Path) -> None:
    assert not [line for line in closing(tmp_path) if "of the lines" in line]
