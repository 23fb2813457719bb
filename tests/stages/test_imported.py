"""An imported network: calibrated, evaluated, compared and bundled like one that was trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from hilum import Bundle
from hilum.bundle.manifest import read_calibration
from hilum.bundle.write import BundleParts, write_bundle
from hilum.cli.bundle import write
from hilum.datasets import open_dataset
from hilum.domain.errors import BundleError, DatasetError, UsageError
from hilum.domain.record import Split
from hilum.evaluation.compare import ComparisonRequest
from hilum.files.sealed import read_seal
from hilum.runs.facts import Imported, RunFacts
from hilum.runs.folder import RunFolder
from hilum.splits import SeenPatients, SplitTable
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.compare import compare_runs
from hilum.stages.evaluate import RunEvaluation, evaluate_run
from hilum.stages.films import bind, split_of

Said = Callable[..., tuple[int, str, str]]

ORIGIN = Imported(file="net.pth", sha256="ab" * 32, format="pytorch", profile="published-14")


@pytest.fixture
def run(toy: Path, tmp_path: Path) -> RunFolder:
    """What an import leaves: a network and its facts, no configuration and no films."""
    run = RunFolder(tmp_path / "imported")
    run.root.mkdir()
    shutil.copyfile(toy / "run" / "model.onnx", run.model)
    network = RunFolder(toy / "run").facts().network
    run.write_facts(RunFacts(network=network, origin=ORIGIN))
    return run


@pytest.mark.parametrize("verb", ["calibrate", "evaluate", "localize"])
def test_without_films_one_line_says_how_to_name_them(
    run: RunFolder, said: Said, verb: str
) -> None:
    code, _, err = said(verb, run.root)
    assert code == 2
    assert err == (
        f"hilum: a run must be bound to films; the network in {run.root} was imported and has "
        f"none. Name the dataset with --data: hilum calibrate {run.root} --data ROOT\n"
    )
    assert not run.split.exists()


def test_a_named_dataset_is_bound_once(
    run: RunFolder, toy: Path, said: Said, tmp_path: Path
) -> None:
    code, _, err = said("calibrate", run.root, "--data", toy / "films", "--quiet")
    assert (code, err) == (0, "")
    films = run.films()
    assert (films.dataset, films.data) == ("nih", str(toy / "films"))
    assert films.synthetic
    fitted = read_calibration(run).fitted_on
    assert fitted.sha256 == films.split_sha256["calibrate"]
    other = Path(shutil.copytree(toy / "films", tmp_path / "films"))
    table = other / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("No Finding", "Hernia", 1))
    bind(run, other)
    assert run.films() == films
    with pytest.raises(DatasetError, match=r"films, patients or labels in .* differ"):
        split_of(run, Split.CALIBRATE, other)


@pytest.fixture
def evaluated(run: RunFolder, toy: Path, undrawn: None) -> RunFolder:
    bind(run, toy / "films")
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), CalibrationRequest("sigmoid"))
    evaluate_run(run, split_of(run, Split.TEST, None), RunEvaluation(100, 0))
    return run


def test_its_bundle_tells_where_it_is_from_and_no_word_of_training(
    evaluated: RunFolder, tmp_path: Path
) -> None:
    document = json.loads(evaluated.evaluation.read_text())
    assert document["provenance"]["imported_sha256"] == ORIGIN.sha256
    assert "config_sha256" not in document["provenance"]
    write(evaluated.root, tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.manifest.facts == evaluated.facts().for_bundle()
    card = (bundle.root / "CARD.md").read_text()
    assert (
        f"- imported from: `net.pth` (sha256 {ORIGIN.sha256[:12]}), pytorch, profile published-14\n"
        "- films: nih, synthetic films, split `nih-official-site` (calibrate films sha256 "
        f"{evaluated.films().split_sha256['calibrate'][:12]}), " in card
    )
    for word in ("train", "epoch", "seed", "tune", "configuration"):
        assert word not in card.split("## Evaluation")[0], word
        assert word not in card.split("## Limits")[1], word
    assert bundle.evaluation() is not None


def test_it_is_compared_by_its_origin(evaluated: RunFolder, toy: Path, tmp_path: Path) -> None:
    second = RunFolder(Path(shutil.copytree(evaluated.root, tmp_path / "second")))
    facts = second.facts()
    origin = ORIGIN.model_copy(update={"file": "other.pth"})
    second.write_facts(facts.model_copy(update={"origin": origin}))
    found = compare_runs(
        [(run, split_of(run, Split.TUNE, None)) for run in (evaluated, second)],
        ComparisonRequest("", False, resamples=100),
    ).comparison
    told = {name: model.facts for name, model in found.models.items()}
    assert told == {"imported": {"file": "net.pth"}, "second": {"file": "other.pth"}}


def test_parts_of_two_networks_make_no_bundle(
    evaluated: RunFolder, tmp_path: Path, network: Callable[..., onnx.ModelProto]
) -> None:
    parts = BundleParts.from_run(evaluated)
    onnx.save(network(seed=1), tmp_path / "other.onnx")
    other = BundleParts(parts.facts, tmp_path / "other.onnx", parts.calibration)
    with pytest.raises(BundleError, match="a bundle's network must be the one that was calibr"):
        write_bundle(other, [], tmp_path / "bundle")
    served = parts.facts.network
    wider = served.preprocessing.model_copy(update={"size": 96})
    facts = parts.facts.model_copy(
        update={"network": served.model_copy(update={"preprocessing": wider})}
    )
    with pytest.raises(BundleError, match="a bundle's preprocessing must be the one that was"):
        write_bundle(BundleParts(facts, parts.network, parts.calibration), [], tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_is_calibrated_to_a_site_and_its_next_version_names_it(
    run: RunFolder, toy: Path, said: Said, tmp_path: Path
) -> None:
    first, site = tmp_path / "first", tmp_path / "site"
    bind(run, toy / "films")
    patients = sorted(SplitTable.read(run.split).patients(Split.CALIBRATE))
    SeenPatients.of("drawn-nih", patients[:2]).write(run.seen)
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), CalibrationRequest("sigmoid"))
    write(run.root, first)
    assert said("import", first, "-o", site, "--quiet")[0] == 0
    there = RunFolder(site)
    assert there.calibration.read_bytes() == run.calibration.read_bytes()
    assert there.seen.read_bytes() == run.seen.read_bytes()
    given = ("evaluate", site, "--data", toy / "films", "--resamples", "100", "--quiet")
    assert said(*given)[0] == 0
    there.evaluation.unlink()  # of the old calibration: a bundle of the new one would refuse it
    code, _, err = said("calibrate", site, "--data", toy / "films", "--method", "intercept")
    assert code == 0
    assert "refused, since the network has seen the patients: " in err
    assert " of 2 patients" in err
    table = SplitTable.read(there.split)
    assert sorted(table.patients(Split.TRAIN)) == patients[:2]
    assert sorted(table.patients(Split.CALIBRATE)) == patients[2:]

    seal = read_seal(first / "bundle.json")
    code, out, err = said("bundle", site, "-o", tmp_path / "second", "--json")
    assert (code, json.loads(out)["replaces"]) == (0, seal)
    assert f"replaces bundle {seal[:12]}" in err
    card = (tmp_path / "second" / "CARD.md").read_text("utf-8")
    assert f"- replaces: bundle {seal[:12]} (sha256 {seal})" in card
    assert (tmp_path / "second" / "seen_patients.txt").read_bytes() == run.seen.read_bytes()
    said("bundle", site, "-o", tmp_path / "same", "--quiet")
    assert read_seal(tmp_path / "same" / "bundle.json") == read_seal(
        tmp_path / "second" / "bundle.json"
    )
    assert said("calibrate", site, "--quiet")[0] == 0
    said("bundle", site, "-o", tmp_path / "third", "--quiet")
    replaced = Bundle.load(tmp_path / "third").manifest.replaces
    assert replaced == read_seal(tmp_path / "second" / "bundle.json")


def test_a_site_whose_patients_were_all_seen_is_refused(
    run: RunFolder, toy: Path, said: Said
) -> None:
    patients = set(open_dataset(toy / "films").patients().tolist())
    SeenPatients.of("drawn-nih", patients).write(run.seen)
    code, _, err = said("calibrate", run.root, "--data", toy / "films")
    assert code == 2
    assert "must be calibrated on patients that it has not seen; it has seen" in err
    assert not run.split.exists()


def test_a_bundle_needs_no_profile(toy: Path, said: Said, tmp_path: Path) -> None:
    code, _, err = said("import", toy / "bundle", "-o", tmp_path / "a", "--profile", "mine.yaml")
    assert code == 2
    assert "a bundle says everything by itself" in err


def test_a_configuration_is_asked_of_trained_runs_only(run: RunFolder) -> None:
    with pytest.raises(BundleError, match="only a trained run has a configuration"):
        run.config()
    with pytest.raises(UsageError, match="must be bound to films"):
        split_of(run, Split.TEST, None)
