"""Runs that differ in their seed alone: planned, compared as one model, and refused otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from hilum.domain.errors import BundleError, UsageError
from hilum.domain.record import Split
from hilum.evaluation.compare import ComparisonRequest
from hilum.files.sealed import file_sha256
from hilum.runs.folder import Places, RunFolder
from hilum.runs.recipe import TrainingConfig, load_config
from hilum.stages.compare import Compared, compare_runs, write_comparison
from hilum.stages.films import TrainingRequest, split_of
from hilum.stages.seeds import plan_runs
from hilum.stages.sides import Side, places_of

REQUEST = ComparisonRequest("", False, resamples=100)
Network = Callable[..., onnx.ModelProto]


def reseeded(run: Path, seed: int, network: Network, **changes: object) -> None:
    """Make of a copied run what a different seed, or recipe, would have left."""
    folder = RunFolder(run)
    facts = folder.facts()
    config = folder.config().with_seed(seed).model_copy(update=changes)
    onnx.save(network(seed=seed), folder.model)
    folder.calibration.unlink(missing_ok=True)
    folder.evaluation.unlink(missing_ok=True)
    folder.write_config(config)
    network_facts = facts.network.model_copy(update={"model_sha256": file_sha256(folder.model)})
    origin = facts.origin.model_copy(update={"seed": seed, "config_sha256": config.sha256()})
    folder.write_facts(facts.model_copy(update={"network": network_facts, "origin": origin}))


@pytest.fixture
def sides(toy: Path, tmp_path: Path, network: Network) -> Path:
    """plain/ with three runs and heavy/ with two, of seeds 0 to 2 and 3 to 4."""
    for side, seeds, changes in (
        ("plain", (0, 1, 2), {}),
        ("heavy", (3, 4), {"batch_size": 4}),
    ):
        for seed in seeds:
            run = tmp_path / side / f"seed-{seed}"
            shutil.copytree(toy / "run", run)
            reseeded(run, seed, network, **changes)
    return tmp_path


def compared(root: Path, *names: str) -> Compared:
    found = [Side.of(places_of(root / name)) for name in names]
    # the toy has two tune films; those of calibrate are enough for intervals
    runs = [(run, split_of(run, Split.CALIBRATE, None)) for side in found for run in side.runs]
    return compare_runs(runs, REQUEST, sides=found)


def test_two_models_of_several_runs(sides: Path) -> None:
    found = compared(sides, "plain", "heavy")
    (pair,) = found.comparison.pairs
    assert (pair.first, pair.second) == ("plain", "heavy")
    assert pair.seeds == "seeds were varied: 2 and 3 runs"
    assert pair.words.endswith(pair.seeds)
    spread = pair.macro_auroc.spread
    assert spread is not None
    assert spread.patients > 0.0
    assert spread.one_run >= spread.seeds >= 0.0
    plain = found.comparison.models["plain"]
    assert list(plain.runs) == ["seed-0", "seed-1", "seed-2"]
    assert plain.auroc.value == pytest.approx(sum(plain.runs.values()) / 3)
    assert plain.facts["batch_size"] != found.comparison.models["heavy"].facts["batch_size"]
    assert plain.facts["seed"] == "0, 1, 2"
    assert "split_seed" not in plain.facts
    write_comparison(found, sides / "out")
    page = (sides / "out" / "comparison.html").read_text("utf-8")
    text = (sides / "out" / "comparison.md").read_text("utf-8")
    for written in (page, text):
        assert "Standard error of the macro AUROC" in written
        assert "seed-1" in written


def test_an_interval_with_seeds_is_not_that_of_one_run(sides: Path) -> None:
    """The mean of runs is a better known number, and seeds make it a worse known one."""
    alone = compared(sides, "plain/seed-0", "heavy/seed-3").comparison.pairs[0]
    assert alone.macro_auroc.spread is None
    assert alone.words.endswith("seeds were not varied: one run a side")
    both = compared(sides, "plain", "heavy").comparison.pairs[0]
    assert both.macro_auroc.difference != alone.macro_auroc.difference


def test_one_run_a_side_says_that_seeds_were_not_varied(sides: Path) -> None:
    found = compared(sides, "plain/seed-0", "heavy/seed-3")
    write_comparison(found, sides / "out")
    names = ("comparison.html", "comparison.md", "comparison.json")
    for name in names:
        text = (sides / "out" / name).read_text("utf-8").lower()
        assert "seeds were not varied: one run a side" in text
        assert "seeds were not varied: one run a model" in text


def test_a_single_run_beside_several(sides: Path) -> None:
    (pair,) = compared(sides, "plain", "heavy/seed-3").comparison.pairs
    assert pair.seeds == "seeds of seed-3 were not varied: it has one run"
    assert pair.macro_auroc.spread is None


def test_runs_of_one_model_differ_in_their_seed_alone(sides: Path, network: Network) -> None:
    reseeded(sides / "plain" / "seed-2", 2, network, batch_size=4)
    with pytest.raises(UsageError, match=r"seed alone; .*seed-0 and .*seed-2 differ in batch_size"):
        compared(sides, "plain", "heavy")


def test_a_seed_counts_once(sides: Path) -> None:
    shutil.copytree(sides / "plain" / "seed-1", sides / "plain" / "seed-9")
    with pytest.raises(
        UsageError, match=r"different seeds; .*seed-1 and .*seed-9 both have seed 1"
    ):
        compared(sides, "plain", "heavy")


def test_a_stopped_run_is_not_left_out_silently(sides: Path) -> None:
    (sides / "plain" / "seed-1" / "run.json").unlink()
    with pytest.raises(UsageError, match=r"must be finished; .*seed-1 is not\. Finish it with"):
        compared(sides, "plain", "heavy")


def test_a_folder_without_runs_is_no_run(sides: Path) -> None:
    (sides / "empty").mkdir()
    side = Side.of(places_of(sides / "empty"))
    with pytest.raises(BundleError, match=r"must have run\.json; .*empty has none"):
        side.first.facts()


def test_runs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 100):
        (tmp_path / f"seed-{number}").mkdir()
        (tmp_path / f"seed-{number}" / "run.json").touch()
    side = Side.of([tmp_path])
    assert [run.root.name for run in side.runs] == ["seed-9", "seed-10", "seed-100"]


# planning


@pytest.fixture
def request_of(toy: Path) -> TrainingRequest:
    return TrainingRequest(load_config(str(toy / "toy.yaml")), toy / "films")


def places(root: Path) -> Places:
    return Places(RunFolder(root), root)


def test_runs_have_seeds_of_their_own_and_one_split(
    request_of: TrainingRequest, tmp_path: Path
) -> None:
    own = replace(request_of, config=request_of.config.with_seed(5))
    planned = plan_runs(own, places(tmp_path / "runs"), 3, resume=False)
    assert [one.places.run.root.name for one in planned] == ["seed-5", "seed-6", "seed-7"]
    cohort = own.read()
    splits = [one.request.settled(cohort)[1] for one in planned]
    alone = request_of.settled(cohort)[1]
    for split in Split:
        assert {one.sha256(split) for one in splits} == {alone.sha256(split)}


def test_a_finished_run_is_not_trained_again(
    request_of: TrainingRequest, tmp_path: Path, toy: Path, network: Network
) -> None:
    def finished(config: TrainingConfig) -> None:
        run = tmp_path / "runs" / f"seed-{config.seed}"
        shutil.copytree(toy / "run", run)
        folder = RunFolder(run)
        facts = folder.facts()
        origin = facts.origin.model_copy(update={"config_sha256": config.sha256()})
        folder.write_facts(facts.model_copy(update={"origin": origin}))

    finished(request_of.config.with_seed(1))
    planned = plan_runs(request_of, places(tmp_path / "runs"), 3, resume=False)
    assert [one.finished for one in planned] == [False, True, False]
    changed = request_of.config.model_copy(update={"batch_size": 4})
    with pytest.raises(UsageError, match="seed-1 is finished, with a different configuration"):
        plan_runs(replace(request_of, config=changed), places(tmp_path / "runs"), 3, resume=False)


def test_a_stopped_run_goes_on_only_with_resume(
    request_of: TrainingRequest, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "runs" / "seed-1")
    run.root.mkdir(parents=True)
    run.write_config(request_of.config.with_seed(1))
    with pytest.raises(UsageError, match=r"seed-1 holds one that was stopped\. Resume"):
        plan_runs(request_of, places(tmp_path / "runs"), 3, resume=False)
    assert len(plan_runs(request_of, places(tmp_path / "runs"), 3, resume=True)) == 3


def test_the_folder_of_a_run_holds_no_seeds(request_of: TrainingRequest, toy: Path) -> None:
    with pytest.raises(UsageError, match=r"folders of their own; .*run is a run\. Name"):
        plan_runs(request_of, places(toy / "run"), 3, resume=False)


def test_a_split_seed_that_is_not_set_is_in_no_file_and_no_hash(
    request_of: TrainingRequest,
) -> None:
    config = request_of.config
    assert "split_seed" not in config.model_dump(mode="json")
    assert config.with_seed(4).with_seed(config.seed).split_seed == config.seed
