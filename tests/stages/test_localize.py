"""`hilum localize`: the right films, the right places, and checks that can fail."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilum.cli.localize import localize as verb
from hilum.datasets import open_dataset
from hilum.domain.documents.heatmaps import HeatmapEvaluation, Sanity
from hilum.domain.errors import BundleError, DatasetError, UsageError
from hilum.domain.radiograph import Radiograph
from hilum.domain.record import Box, Cohort, Split
from hilum.files.sealed import read_sealed
from hilum.imaging.read import read
from hilum.metrics.localization import pointing_game
from hilum.runs.folder import RunFolder
from hilum.splits import SeenPatients
from hilum.stages.films import split_of
from hilum.stages.localize import Subject, localize, sanity, subject_of, unseen
from hilum.stages.localize_reference import DrawnMasks, FilmRead, ReaderBoxes, reference_of


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy / "run", tmp_path / "run"))


@pytest.fixture(scope="module")
def subject(toy: Path) -> Subject:
    return subject_of(toy / "bundle")


@pytest.fixture(scope="module")
def cohort(toy: Path) -> Cohort:
    return open_dataset(toy / "films")


def test_drawn_films_are_compared_with_the_masks_they_were_drawn_with(
    subject: Subject, cohort: Cohort, toy: Path
) -> None:
    found = localize(subject, cohort, toy / "films", seed=0)
    assert found.localisation.reference == "drawn masks"
    assert "synthetic" in found.split.name
    assert found.look is None
    assert found.provenance["bundle"]
    reference = reference_of(toy / "films", cohort, subject.engine.preprocessing)
    hits: list[bool] = []
    for record in cohort.records:
        if record.path is not None and "Effusion" in reference.findings(record):
            film = read(record.path)
            raster = subject.engine.preprocessing.raster(film)
            small = subject.engine.run(raster[None]).heatmaps[0, cohort.labels.index("Effusion")]
            heatmap = subject.engine.preprocessing.to_film(small, film.shape)
            mask = reference.masks(FilmRead(record, film.shape, raster))["Effusion"]
            hits.append(pointing_game(heatmap, mask) is True)
    effusion = found.localisation.findings["Effusion"]
    assert effusion.maps == len(hits)
    assert effusion.hits.value == pytest.approx(np.mean(hits))


def test_a_film_that_was_not_drawn_so_has_no_masks(
    subject: Subject, cohort: Cohort, toy: Path
) -> None:
    reference = reference_of(toy / "films", cohort, subject.engine.preprocessing)
    assert isinstance(reference, DrawnMasks)
    record = next(record for record in cohort.records if reference.findings(record))
    blank = Radiograph(np.zeros((128, 128), np.float32), "blank")
    raster = subject.engine.preprocessing.raster(blank)
    with pytest.raises(DatasetError, match="its masks are not known"):
        reference.masks(FilmRead(record, (128, 128), raster))


def test_boxes_are_the_reference_of_films_that_were_taken(
    subject: Subject, cohort: Cohort, tmp_path: Path
) -> None:
    taken = replace(
        cohort,
        synthetic=False,
        records=tuple(
            replace(record, boxes=(Box("Mass", 0.25, 0.5, 0.5, 0.25),) * (number < 4))
            for number, record in enumerate(cohort.records)
        ),
    )
    assert isinstance(reference_of(tmp_path, taken, subject.engine.preprocessing), ReaderBoxes)
    found = localize(subject, taken, tmp_path, seed=0)
    assert found.localisation.reference == "reader boxes"
    assert found.split.images == 4
    mass = found.localisation.findings["Mass"]
    assert (mass.maps, mass.boxes) == (4, 4)
    assert mass.area == pytest.approx(0.125)
    assert mass.prior_hits.value == 1.0  # the box is always there
    bare = replace(cohort, synthetic=False, records=cohort.records[:1])
    bare = replace(bare, records=(replace(bare.records[0], boxes=()),))
    with pytest.raises(DatasetError, match="boxes or drawn masks"):
        localize(subject, bare, tmp_path, seed=0)


def test_patients_that_the_network_has_seen_are_left_out_and_counted(
    subject: Subject, cohort: Cohort, tmp_path: Path
) -> None:
    patients = sorted(set(cohort.patients().tolist()))
    half = SeenPatients.of(cohort.population, patients[::2]).write(tmp_path / "half.txt")
    kept = unseen(replace(subject, seen=half), cohort)
    assert set(kept.patients().tolist()) == set(patients[1::2])
    assert f"seen: {len(cohort) - len(kept)}" in kept.notes[-1]
    everyone = SeenPatients.of(cohort.population, patients).write(tmp_path / "all.txt")
    with pytest.raises(DatasetError, match="has seen all"):
        unseen(replace(subject, seen=everyone), cohort)
    unknown = unseen(replace(subject, seen=tmp_path / "none.txt"), cohort)
    assert "a leak cannot be excluded" in unknown.notes[-1]


def test_a_folder_that_is_neither_run_nor_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="run or bundle"):
        subject_of(tmp_path)


def test_sanity_of_a_network_of_one_convolution(subject: Subject, cohort: Cohort) -> None:
    checked = sanity(subject, cohort, seed=0)
    assert len(checked.steps) >= 2
    assert checked.two_findings is not None
    assert checked.baseline.pairs > 10
    assert checked == sanity(subject, cohort, seed=0)
    without = replace(cohort, records=())
    with pytest.raises(DatasetError, match="needs films with findings"):
        sanity(subject, without, seed=0)


def test_a_look_at_a_runs_test_films_is_counted(run: Path) -> None:
    subject = subject_of(run)
    films = split_of(RunFolder(run), Split.TEST, None)
    place = Path(RunFolder(run).films().data)
    looks = [localize(subject, films, place, seed=0).look for _ in range(2)]
    assert looks == [1, 2]


# the verb


def test_the_verb_writes_both_documents_and_can_fail(
    toy: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    verb(toy / "bundle", toy / "films", out, quiet=True)
    assert "| all, each map once |" in capsys.readouterr().out
    heatmaps = read_sealed(HeatmapEvaluation, out / "heatmaps.json")
    assert (out / "heatmaps.md").is_file()
    assert heatmaps.localisation.mean is not None
    verb(run, None, out, quiet=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["look"] == 1

    import typer

    from hilum.explain import sanity as checks

    monkeypatch.setattr(checks, "LIMIT", -1.0)
    with pytest.raises(typer.Exit) as failed:
        verb(toy / "bundle", toy / "films", out, sanity=True, quiet=True)
    assert failed.value.exit_code == 3
    assert "FAILED" in capsys.readouterr().out
    assert not read_sealed(Sanity, out / "sanity.json").passed


def test_a_bundle_needs_films_and_a_place_to_write(toy: Path, tmp_path: Path) -> None:
    for data, out in ((None, tmp_path), (toy / "films", None)):
        with pytest.raises(UsageError, match="--data DATASET and -o OUT"):
            verb(toy / "bundle", data, out)
