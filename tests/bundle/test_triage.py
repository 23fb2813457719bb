"""Triage of a film by a rule: what is not like the films of the rule is referred."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hilum.batch.run import run_batch
from hilum.batch.score import BatchRequest, reject_conflict
from hilum.bundle.bundle import Bundle
from hilum.bundle.triage import TriageFacts, read_rule, triage
from hilum.bundle.write import BundleParts
from hilum.domain.documents import SplitFacts
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.documents.rule_out import RULE_OUT, MissUnit, RuleOut, StratumRule, TriageWay
from hilum.domain.errors import BundleError, ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.files.sealed import write_sealed
from hilum.phantom.film import draw_example
from hilum.report.batch.clinical_csv import columns
from hilum.report.parts.text import triage_words
from hilum.runs.folder import RunFolder


def rule_of(*rules: StratumRule, **given: object) -> RuleOut:
    fields = {
        "model": "net",
        "bond": "b0",
        "miss": 0.02,
        "confidence": 0.95,
        "unit": MissUnit.PATIENT,
        "of": ("any",),
        "findings": ("Effusion", "Mass"),
        "family": 1,
        "positives_needed": 149,
        "population": "made",
        "prevalence": {"any": 0.3},
        "fitted_on": SplitFacts(name="calibrate", sha256="", images=900, patients=500),
        "date": "2026-01-02",
        "rules": rules or (one(),),
    }
    return RuleOut.model_validate({**fields, **given})


def one(finding: str = "any", stratum: str = "", threshold: float | None = 0.2) -> StratumRule:
    return StratumRule(
        finding=finding,
        stratum=stratum,
        threshold=threshold,
        flag_threshold=0.9,
        films=900,
        patients=500,
        positive_films=400,
        positive_patients=200,
    )


def found(effusion: float, mass: float, calibrated: bool = True) -> dict[str, FindingResult]:
    values = {"Effusion": effusion, "Mass": mass}
    return {n: FindingResult.called(p, 0.5, calibrated) for n, p in values.items()}


FINE = TriageFacts(view=ViewPosition.PA)


def test_three_ways() -> None:
    rule = rule_of(ppv=0.5)
    low = triage(rule, found(0.1, 0.05), FINE)
    assert (low.way, low.rule) == (TriageWay.RULE_OUT, rule.rule_sha256)
    assert low.guarantee.startswith("of patients with any finding, the mean share of films ruled")
    assert low.guarantee.endswith("(labels of made, n = 200, 2026-01-02)")
    middle = triage(rule, found(0.1, 0.15), FINE)  # 1 - 0.9 x 0.85 = 0.235
    assert (middle.way, middle.guarantee) == (TriageWay.REFER, "")
    assert middle.reason == "its score of any finding is at or above 0.2"
    high = triage(rule, found(0.95, 0.1), FINE)
    assert high.way is TriageWay.FLAG
    assert "at least 50% have any finding" in high.guarantee
    assert "the prevalence is 30.0%" in high.guarantee
    assert "void once `hilum watch` finds that it moved" in high.guarantee


@pytest.mark.parametrize(
    ("facts", "calibrated", "words"),
    [
        (replace(FINE, codes=(ReasonCode.OOD_SCORE_HIGH,)), True, "OOD_SCORE_HIGH"),
        (replace(FINE, as_calibrated=False), True, "not calibrated"),
        (FINE, False, "not calibrated"),
    ],
)
def test_what_the_rule_was_not_measured_on_is_referred(
    facts: TriageFacts, calibrated: bool, words: str
) -> None:
    way = triage(rule_of(), found(0.01, 0.01, calibrated), facts)
    assert way.way is TriageWay.REFER
    assert words in way.reason


def test_a_positive_finding_is_never_ruled_out() -> None:
    low = {n: FindingResult.called(0.01, 0.005, calibrated=True) for n in ("Effusion", "Mass")}
    flagless = one().model_copy(update={"flag_threshold": None})
    way = triage(rule_of(flagless), low, FINE)
    assert (way.way, way.reason) == (
        TriageWay.REFER,
        "at or above the operating point: Effusion, Mass",
    )


def test_strata_and_several_findings() -> None:
    rules = (one(stratum="PA, F"), one(stratum="PA, M", threshold=None))
    rule = rule_of(*rules, within=("view", "sex"))
    woman = replace(FINE, sex=Sex.FEMALE)
    low = found(0.01, 0.01)
    ruled = triage(rule, low, woman)
    assert ruled.way is TriageWay.RULE_OUT
    assert "PA, F" not in ruled.guarantee  # the sex may not be shown
    for facts in (replace(woman, sex=Sex.MALE), FINE):
        assert triage(rule, low, facts).way is TriageWay.REFER
    both = rule_of(one("Effusion"), one("Mass", threshold=0.05), of=("Effusion", "Mass"))
    assert triage(both, found(0.1, 0.01), FINE).way is TriageWay.RULE_OUT
    assert triage(both, found(0.1, 0.1), FINE).reason == "its score of Mass is at or above 0.05"


def test_the_row_and_the_sentence() -> None:
    given = triage(rule_of(), found(0.1, 0.05), FINE)
    row = ImageResult(
        input="a.png",
        image_id="a.png",
        sha256=None,
        status=Status.OK,
        triage=given,
        bundle="b",
        precision="f32",
    )
    assert ImageResult.model_validate_json(row.model_dump_json()) == row
    words = triage_words(row)
    assert words.startswith("Ruled out by the bundle's rule: its score of any finding is below 0.2")
    assert "normal" not in words.lower()
    assert triage_words(row.model_copy(update={"triage": None})) == ""
    assert "triage" in columns(LabelSet("one", ("Mass",)))
    conflict = reject_conflict(row, "first.png").triage
    assert conflict is not None
    assert conflict.way is TriageWay.REFER


@pytest.fixture(scope="module")
def ruled(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's run with a rule that rules out whatever is not positive, and its bundle."""
    from hilum.cli.bundle import write

    root = tmp_path_factory.mktemp("triage")
    shutil.copytree(toy / "run", root / "run")
    run = RunFolder(root / "run")
    calibration = json.loads(run.calibration.read_text())
    names = tuple(n for n, c in calibration["calibrator"]["findings"].items() if c["calibrated"])
    rule = rule_of(one(threshold=1.0), bond=calibration["bond"], findings=names)
    write_sealed(rule, run.rule_out)
    write(run.root, root / "bundle")
    return root


def test_a_bundle_carries_the_rule_and_sorts_films(ruled: Path, toy: Path) -> None:
    bundle = Bundle.load(ruled / "bundle")
    assert bundle.rule is not None
    plain = Bundle.load(toy / "bundle")
    assert plain.rule is None
    assert plain.id != bundle.id
    film = draw_example(None, seed=2).pixels
    prediction = bundle.predict(film)
    assert prediction.triage is not None
    assert prediction.triage.rule == bundle.rule.rule_sha256
    warned = bool(prediction.codes) or bool(prediction.positives)
    assert (prediction.triage.way is TriageWay.RULE_OUT) is not warned
    assert prediction.to_dict()["triage"]["way"] == prediction.triage.way.value
    assert plain.predict(film).triage is None
    more = Bundle.load(ruled / "bundle", views=2)  # not what was calibrated
    doubled = more.predict(film).triage
    assert doubled is not None
    assert doubled.way is TriageWay.REFER


def test_every_row_of_a_batch_has_its_way(ruled: Path, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no film")
    films = [*sorted((toy / "films" / "images").iterdir())[:2], tmp_path / "broken.png"]
    out = tmp_path / "out"
    bundle = Bundle.load(ruled / "bundle")
    batch = run_batch(bundle, films, out, BatchRequest(pictures=None)).batch
    assert bundle.rule is not None
    results = list(batch.results)
    for result in results:
        assert result.triage is not None
        assert result.triage.rule == bundle.rule.rule_sha256
        careful = result.status is not Status.OK or bool(result.positives)
        assert (result.triage.way is TriageWay.RULE_OUT) is not careful
    broken = next(one for one in results if one.image_id == "broken.png").triage
    assert broken is not None
    assert broken.reason == "it was not scored"
    with (out / "final_clinical_report.csv").open(newline="") as file:
        ways = [row["triage"] for row in csv.DictReader(file)]
    assert ways == [result.triage.way.value for result in results if result.triage]
    page = (out / "report.html").read_text("utf-8")
    assert "the bundle&#39;s rule" in page or "Referred to a reader" in page


def test_a_rule_of_another_calibration_is_refused(ruled: Path, tmp_path: Path) -> None:
    parts = BundleParts.from_run(RunFolder(ruled / "run"))
    write_sealed(rule_of(), tmp_path / RULE_OUT)
    with pytest.raises(BundleError, match="a rule must be of this network with this calibration"):
        read_rule(tmp_path / RULE_OUT, parts.calibration)
