"""`hilum upgrade` from films to a verdict: what is scored, paired, refused and written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum import api
from hilum.cli.bundle import write
from hilum.domain.documents.upgrade import UPGRADE, Upgrade
from hilum.domain.errors import BundleError, LeakError, UsageError
from hilum.domain.record import Split
from hilum.domain.scores import Target
from hilum.files.sealed import read_sealed, seal
from hilum.report.upgrade import printed
from hilum.runs.folder import RunFolder
from hilum.splits import SeenPatients, SplitTable
from hilum.stages.calibrate import CalibrationRequest, calibrate_run
from hilum.stages.films import split_of

FLIPS = "flips: {at_most: 0.99, confidence: 0.6}\nheatmaps: {at_least: 0.1}\n"


@pytest.fixture(scope="module")
def compared(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """old/, new/ (the same network, calibrated for a sensitivity), test/ films and out/."""
    root = tmp_path_factory.mktemp("upgrade")
    shutil.copytree(toy / "run", root / "run")
    run = RunFolder(root / "run")
    split = SplitTable.read(run.split)
    seen = [p.patient_id for p in split.films.values() if p.split is not Split.TEST]
    SeenPatients.of("drawn-nih", seen).write(run.seen)
    wanted = CalibrationRequest(target=Target.SPECIFICITY, goal=0.6)
    calibrate_run(run, split_of(run, Split.CALIBRATE, None), wanted)
    run.evaluation.unlink()
    write(run.root, root / "new")
    shutil.copytree(toy / "bundle", root / "old")
    (root / "films").mkdir()
    for use, most in ((Split.TEST, 6), (Split.CALIBRATE, 5)):
        names = [name for name, place in split.films.items() if place.split is use]
        for name in names[:most]:
            shutil.copyfile(toy / "films" / "images" / name, root / "films" / name)
    (root / "films" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "policy.yaml").write_text(FLIPS)
    api.upgrade(
        root / "old",
        root / "new",
        [root / "films"],
        root / "out",
        labels=toy / "films",
        policy=root / "policy.yaml",
    )
    return root


@pytest.fixture(scope="module")
def found(compared: Path) -> Upgrade:
    return read_sealed(Upgrade, compared / "out" / UPGRADE)


def test_a_recalibrated_bundle_flips_calls_and_keeps_its_scores_in_order(found: Upgrade) -> None:
    assert sum(one.gained + one.lost for one in found.flips.values()) > 0
    assert found.old.id != found.new.id
    assert found.served.overlap.value == pytest.approx(1.0)  # the network is the same
    assert found.served.maps > 0
    assert found.served.unscored_old == found.served.unscored_new == 1
    assert found.served.newly_unscored == 0
    assert found.served.seconds_old is not None
    assert found.served.seconds_old > 0.0
    assert found.verdict.value in ("allowed", "not enough films")
    assert {rule.rule for rule in found.rules} == {"flips", "heatmaps"}
    assert found.synthetic


def test_labels_of_patients_that_a_bundle_has_seen_are_not_used(
    found: Upgrade, compared: Path, toy: Path
) -> None:
    test = SplitTable.read(toy / "run" / "split.csv")
    named = [p.name for p in (compared / "films").iterdir() if p.name != "damaged.png"]
    unseen = [name for name in named if test.films[name].split is Split.TEST]
    assert 0 < len(unseen) < len(named)
    assert max(change.n for change in found.changes.values()) == len(unseen)
    assert any("a bundle has seen them" in note for note in found.notes)
    (line,) = (compared / "out" / "test_ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["new_bond"] == found.new.bond
    assert found.look == 1
    folders: list[Path] = []
    for name in ("old", "new"):  # results of one film that the new bundle was calibrated on
        (folder := compared / f"seen_{name}").mkdir()
        lines = (compared / "out" / name / "results.jsonl").read_text().splitlines(keepends=True)
        seen = next(film for film in named if film not in unseen)
        (folder / "results.jsonl").write_text("".join(line for line in lines if seen in line))
        folders.append(folder)
    out = compared / "out_seen"
    with pytest.raises(LeakError, match="patients that no bundle has seen"):
        api.upgrade(compared / "old", compared / "new", folders, out, labels=toy / "films")


def test_what_was_scored_is_not_scored_again(compared: Path, found: Upgrade) -> None:
    before = (compared / "out" / "old" / "results.jsonl").stat().st_mtime_ns
    folders = [compared / "out" / "old", compared / "out" / "new"]
    again = api.upgrade(compared / "old", compared / "new", folders, compared / "again")
    for name, one in again.flips.items():
        assert (one.gained, one.lost) == (found.flips[name].gained, found.flips[name].lost)
    assert again.served.seconds_old is None
    assert again.verdict.value == "no policy"
    assert not again.changes
    assert (compared / "out" / "old" / "results.jsonl").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="results must be of the bundle"):
        api.upgrade(compared / "new", compared / "old", folders, compared / "no")
    with pytest.raises(UsageError, match="or two folders of finished predictions"):
        api.upgrade(compared / "old", compared / "new", folders[:1], compared / "no")


def test_a_bundle_beside_itself_is_empty(compared: Path) -> None:
    folders = [compared / "out" / "old"] * 2
    (compared / "strict.yaml").write_text("flips: {at_most: 0}\nrejects: {at_most: 0}\n")
    policy = compared / "strict.yaml"
    own = api.upgrade(
        compared / "old", compared / "old", folders, compared / "itself", policy=policy
    )
    assert all(one.gained == one.lost == 0 for one in own.flips.values())
    assert own.served.overlap.value == pytest.approx(1.0)
    assert own.verdict.value == "allowed"
    assert all(item.carries_over for item in own.fit_anew)


def test_thresholds_and_rules_of_the_old_bundle_are_refused_by_hash(
    found: Upgrade, compared: Path, tmp_path: Path
) -> None:
    (points,) = found.fit_anew
    assert not points.carries_over
    assert (points.old, points.new) == (found.old.bond, found.new.bond)
    assert "refused: bound to a different network or calibrator" in points.words
    forged = tmp_path / "forged"
    shutil.copytree(compared / "new", forged)
    for name in ("old", "new"):
        tree = json.loads((compared / name / "bundle.json").read_text())
        if name == "old":
            calibration = tree["calibration"]
    tree["calibration"]["operating_points"] = calibration["operating_points"]
    del tree["seal"]
    tree["seal"] = seal(tree)
    (forged / "bundle.json").write_text(json.dumps(tree))
    with pytest.raises(BundleError, match="must belong to this model, calibrator"):
        api.upgrade(compared / "old", forged, [compared / "films"], tmp_path / "out")
    assert not (tmp_path / "out").exists()  # before a film is scored


def test_the_command_ends_with_3_where_a_limit_does_not_hold(
    said: Callable[..., tuple[int, str, str]], compared: Path, toy: Path
) -> None:
    results = (compared / "out" / "old", compared / "out" / "new")
    (compared / "hard.yaml").write_text("flips: {at_most: 0.0001}\n")
    words = ("upgrade", compared / "old", compared / "new", *results, "-o", compared / "cli")
    code, out, err = said(*words, "--policy", compared / "hard.yaml")
    assert code == 3
    assert out.splitlines()[-1] == str(compared / "cli" / "upgrade.json")
    assert err == f"{compared / 'cli' / 'upgrade.html'}\n"
    assert "STOPPED: the old bundle stays" in out
    code, out, err = said(*words, "--json", "-q")
    assert (code, err) == (0, "")
    assert json.loads(out)["verdict"] == "no policy"
    (compared / "auroc.yaml").write_text("auroc_loss: {at_most: 0.02}\n")
    code, out, err = said(*words, "--policy", compared / "auroc.yaml")
    assert (code, out) == (2, "")
    assert err == (
        "hilum: a policy with limits on AUROC, sensitivity or specificity needs --labels\n"
    )


def test_the_page_stands_alone_and_says_what_was_found(found: Upgrade, compared: Path) -> None:
    page = (compared / "out" / "upgrade.html").read_text()
    assert page.count(found.notice) == 2
    body = page.partition("</style>")[2]
    assert "normal" not in body.lower()
    assert not re.search("(src|href)=.https?:", body)
    assert 'src="./new/films/' in page
    assert found.words in page
    text = printed(found, 80)
    assert max(map(len, text.splitlines())) <= 80
