"""index.html of a run: what is there, what is missing, and what is of an earlier calibration."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.record import Split
from hilum.files.sealed import read_sealed
from hilum.runs.folder import RunFolder
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.films import split_of
from hilum.stages.index import note_bundle, write_index

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(toy / "run", tmp_path / "run")))


def page(run: RunFolder) -> str:
    write_index(run)
    return (run.root / "index.html").read_text("utf-8")


def state(html: str, heading: str) -> str:
    """The word beside a stage's heading."""
    part = html[html.index(f">{heading} <span") :]
    return part[part.index('">') + 2 : part.index("</span>")]


def test_headlines_are_those_of_the_documents_with_their_films(run: RunFolder) -> None:
    html = page(run)
    found = read_sealed(Evaluation, run.evaluation)
    assert state(html, "Evaluation") == "done"
    assert f"<dd>{found.macro.auroc.short()}</dd>" in html
    split = found.split
    assert f"{split.images} films of {split.patients} patients, {split.sha256[:12]}." in html
    assert "Synthetic films" in html
    for name in ("evaluation.html", "cases.csv", "split.csv"):
        assert f'href="./{name}"' in html
    assert page(run) == html


def test_what_is_missing_stands_with_its_command(run: RunFolder) -> None:
    html = page(run)
    assert state(html, "Heatmaps: where they point") == "not yet"
    assert "<code>hilum localize run</code>" in html
    run.evaluation.unlink()
    run.calibration.unlink()
    html = page(run)
    assert state(html, "Calibration") == state(html, "Evaluation") == "not yet"
    assert "<code>hilum evaluate run</code>" in html


def test_an_evaluation_of_an_earlier_calibration_is_out_of_date(run: RunFolder) -> None:
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), CalibrationRequest("isotonic"))
    html = page(run)
    assert state(html, "Evaluation") == "out of date"
    assert "It is of an earlier calibration." in html


def test_an_edited_document_hides_no_other(run: RunFolder) -> None:
    text = run.evaluation.read_text("utf-8")
    run.evaluation.write_text(text.replace('"look": 1', '"look": 0'))
    html = page(run)
    assert state(html, "Evaluation") == "unreadable"
    assert state(html, "Calibration") == "done"


def test_a_bundle_is_linked_while_it_is_there(run: RunFolder, toy: Path) -> None:
    bundle = Path(shutil.copytree(toy / "bundle", run.root.parent / "served"))
    note_bundle(run, bundle, "0123abcd")
    html = page(run)
    assert state(html, "Bundle") == "done"
    assert 'href="./../served/CARD.md"' in html
    shutil.rmtree(bundle)
    assert state(page(run), "Bundle") == "not yet"


def test_the_verbs_keep_it_up_to_date(run: RunFolder, said: Said) -> None:
    assert said("calibrate", run.root)[0] == 0
    assert state((run.root / "index.html").read_text("utf-8"), "Calibration") == "done"
    assert said("bundle", run.root, "-o", run.root.parent / "out")[0] == 0
    assert state((run.root / "index.html").read_text("utf-8"), "Bundle") == "done"


def test_a_folder_that_is_no_run_gets_none(tmp_path: Path) -> None:
    write_index(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []
