"""The notebooks are stripped of what they printed, and run from the first to the last."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    tree = json.loads(notebook.read_text("utf-8"))
    assert tree["nbformat"] == 4
    return tree["cells"]


def code(notebook: Path) -> str:
    sources = ["".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "code"]
    return "\n\n".join(sources)


def test_there_is_one_to_explore_one_to_train_and_one_to_evaluate() -> None:
    names = [notebook.stem for notebook in NOTEBOOKS]
    assert names == ["01_explore", "02_train", "03_eval_cam"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_printed_is_not_kept(notebook: Path) -> None:
    assert cells(notebook)[0]["cell_type"] == "markdown"
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.slow
def test_they_run_in_order(tmp_path: Path, prepared: dict[str, str]) -> None:
    """In one folder, since each takes what the one before has left."""
    for notebook in NOTEBOOKS:
        done = subprocess.run(
            ["python", "-c", f"import matplotlib; matplotlib.use('agg')\n{code(notebook)}"],
            env=prepared,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{notebook.name}\n{done.stdout}\n{done.stderr}"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"notebook-films", "notebook-run", "notebook-bundle"}
