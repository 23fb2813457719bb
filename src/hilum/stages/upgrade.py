"""A new bundle beside the old one: measured on the same films, judged by a policy, and written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hilum.domain.documents import SplitFacts
from hilum.domain.documents.rule_out import RuleOut
from hilum.domain.documents.upgrade import (
    UPGRADE,
    CarryOver,
    RuleOutChange,
    ServedChange,
    Upgrade,
    UpgradeBundle,
)
from hilum.domain.errors import UsageError
from hilum.domain.record import Cohort, digest
from hilum.evaluation.upgrade.gate import ServedShares, decide, lost_findings, verdict_of
from hilum.evaluation.upgrade.measure import (
    INTERVALS,
    PairedFilms,
    auroc_change,
    counted_findings,
    finding_changes,
    flips,
    group_changes,
)
from hilum.evaluation.upgrade.paired import ShareChange, change_interval, no_interval
from hilum.evaluation.upgrade.policy import UpgradePolicy
from hilum.files.sealed import write_sealed
from hilum.report.upgrade import upgrade_page
from hilum.stages.evaluate import LEDGER, count_look
from hilum.stages.upgrade_films import (
    LoadedSide,
    UpgradeSide,
    map_overlap,
    pair,
    reasons,
    triage_ways,
)

__all__ = ["UpgradeRequest", "compare_bundles"]


@dataclass(frozen=True)
class UpgradeRequest:
    """What to compare by.

    Attributes:
        labels: films with their labels, settled; None to compare without.
        labels_name: source of the labels, in words.
        policy: what decides; None to decide nothing.
        policy_sha256: of its file.
    """

    labels: Cohort | None = None
    labels_name: str = ""
    policy: UpgradePolicy | None = None
    policy_sha256: str = ""


def compare_bundles(
    old: UpgradeSide, new: UpgradeSide, out: Path, request: UpgradeRequest
) -> Upgrade:
    """Compare two bundles on the films that both were given, and write upgrade.json and .html.

    Films are paired by the hash of their bytes. Against labels only patients count that neither
    bundle has seen.

    Args:
        old: the bundle that serves, with its results.
        new: the one that may replace it, with its own.
        out: where to write; the look at labeled films is counted there.
        request: labels and policy.

    Raises:
        BundleError: for a bundle that is edited, or a rule of a different one.
        UsageError: for results of a different bundle, or with thresholds given by hand; for
            bundles without a film or finding in common; for a policy that needs labels.
        LeakError: when every labeled film is of a patient that one of them has seen.
    """
    if request.policy is not None and request.policy.needs_labels and request.labels is None:
        raise UsageError("a policy with limits on AUROC, sensitivity or specificity needs --labels")
    sides = (LoadedSide.load(old), LoadedSide.load(new))
    films, notes = pair(*sides, request.labels)
    also = _served(sides, films)
    rules = ()
    if request.policy is not None:
        lost = lost_findings(sides[0].manifest.labels, sides[1].manifest.labels)
        rules = (*lost, *decide(request.policy, films, also))
    verdict, words = verdict_of(rules)
    out.mkdir(parents=True, exist_ok=True)
    measured = _measured(films, out, sides) if request.labels is not None else {}
    labels = films.cohort.labels
    found = Upgrade(
        old=_described(sides[0]),
        new=_described(sides[1]),
        films=SplitFacts.of("films that both bundles scored", films.cohort),
        labels=request.labels_name,
        synthetic=films.cohort.synthetic,
        findings=labels.findings,
        only_old=tuple(n for n in sides[0].manifest.labels if n not in labels),
        only_new=tuple(n for n in sides[1].manifest.labels if n not in labels),
        flips=flips(films, *(one.manifest.calibration.thresholds() for one in sides)),
        groups=group_changes(films),
        rule_out=_rule_out(sides, films, also.ruled_out),
        served=also.served,
        fit_anew=tuple(_fit_anew(*sides)),
        rules=rules,
        policy_sha256=request.policy_sha256,
        verdict=verdict,
        words=words,
        interval=INTERVALS,
        notes=(*_notes(*sides), *notes),
        **measured,
    )
    write_sealed(found, out / UPGRADE)
    page = upgrade_page(found, new.results, out)
    (out / "upgrade.html").write_text(page, "utf-8")
    return found


def _measured(
    films: PairedFilms, out: Path, sides: tuple[LoadedSide, LoadedSide]
) -> dict[str, Any]:
    """Measure against the labels, and count the look at them."""
    macro = auroc_change(films, counted_findings(films))
    bonds = [one.manifest.calibration.bond for one in sides]
    split = digest(films.cohort.image_ids())
    return {
        "changes": finding_changes(films),
        "macro_auroc": None if macro is None else change_interval(macro),
        "look": count_look(out / LEDGER, split, {"old_bond": bonds[0], "new_bond": bonds[1]}),
    }


def _described(side: LoadedSide) -> UpgradeBundle:
    return UpgradeBundle(
        name=side.manifest.name,
        id=side.id,
        bond=side.manifest.calibration.bond,
        precision=side.precision,
    )


def _served(sides: tuple[LoadedSide, LoadedSide], films: PairedFilms) -> ServedShares:
    old, new = sides
    both = [key for key in old.rows if key in new.rows]
    lost = np.array([old.scored(key) and not new.scored(key) for key in both], np.bool_)
    people = [old.rows[key].patient or key for key in both]
    owners = np.unique(people, return_inverse=True)[1]
    unscored = ShareChange(lost, np.zeros_like(lost), owners, one_way=True) if both else None
    overlap, maps = map_overlap(old, new, films)
    served = ServedChange(
        inputs=len(both),
        unscored_old=sum(not old.scored(key) for key in both),
        unscored_new=sum(not new.scored(key) for key in both),
        newly_unscored=int(lost.sum()),
        reasons=reasons(old, new),
        seconds_old=old.side.seconds,
        seconds_new=new.side.seconds,
        network_bytes_old=(old.side.root / "model.onnx").stat().st_size,
        network_bytes_new=(new.side.root / "model.onnx").stat().st_size,
        maps=maps,
        overlap=no_interval("no heatmap of both") if overlap is None else change_interval(overlap),
    )
    ruled = None
    before, after = triage_ways(old, films.keys), triage_ways(new, films.keys)
    if before is not None and after is not None:
        ruled = ShareChange(after & ~before, before & ~after, films.patients())
    return ServedShares(served, unscored, ruled, overlap, same=old.id == new.id)


def _rule_out(
    sides: tuple[LoadedSide, LoadedSide], films: PairedFilms, change: ShareChange | None
) -> RuleOutChange | None:
    ways = [triage_ways(side, films.keys) for side in sides]
    if all(way is None for way in ways):
        return None
    none = np.zeros(len(films.keys), np.bool_)
    old, new = (none if way is None else way for way in ways)
    missing = no_interval("one of the two bundles has no rule")
    return RuleOutChange(
        films=len(films.keys),
        old=int(old.sum()),
        new=int(new.sum()),
        both=int((old & new).sum()),
        change=missing if change is None else change_interval(change),
        old_bound=_bound(sides[0].rule),
        new_bound=_bound(sides[1].rule),
    )


def _bound(rule: RuleOut | None) -> str:
    if rule is None:
        return "no rule"
    served = [one for one in rule.rules if one.threshold is not None]
    more = f"; and {len(served) - 2} more" if len(served) > 2 else ""
    return "; ".join(rule.guarantee(one) for one in served[:2]) + more


def _fit_anew(old: LoadedSide, new: LoadedSide) -> Sequence[CarryOver]:
    """Say what of the old bundle the new one may use, and what must be fitted on how many films."""
    bonds = (old.manifest.calibration.bond, new.manifest.calibration.bond)
    carries = bonds[0] == bonds[1]

    def entry(what: str, words: str) -> CarryOver:
        if carries:
            words = "network, calibrator and operating points are the same"
        return CarryOver(what=what, old=bonds[0], new=bonds[1], carries_over=carries, words=words)

    fitted, points = new.manifest.calibration.fitted_on, new.manifest.calibration.thresholds()
    without = [name for name, threshold in points.items() if threshold is None]
    words = (
        f"refused: bound to a different network or calibrator. The new bundle has its own, fitted "
        f"on {fitted.images:,} films of {fitted.patients:,} patients"
    )
    if without:
        words += f"; none for {', '.join(without)}: `hilum calibrate` with films that have them"
    found = [entry("calibrator and operating points", words)]
    if old.rule is not None:
        found.append(entry("rule-out rule", _new_rule(old.rule, new.rule)))
    found += [
        entry(
            f"drift reference ({name})",
            "refused: it describes the old bundle's scores. Fit it anew with results of the new "
            "bundle, on as many films and weeks as before",
        )
        for name in old.manifest.files
        if "reference" in name or "watch" in name
    ]
    return found


def _new_rule(old: RuleOut, new: RuleOut | None) -> str:
    if new is not None:
        own = new.fitted_on
        return (
            f"refused: bound to a different calibration. The new bundle has its own "
            f"({new.rule_sha256[:12]}), chosen on {own.images:,} films of {own.patients:,} patients"
        )
    needed = old.positives_needed
    rarest = min((share for share in old.prevalence.values() if share > 0.0), default=0.0)
    films = f", about {math.ceil(needed / rarest):,} films at {rarest:.1%}" if rarest else ""
    return (
        f"refused: bound to a different calibration. Fit one on the new run with `hilum rule-out "
        f"RUN {old.option} --confidence {old.confidence:g} --unit {old.unit.value}`: it "
        f"needs {needed:,} independent positives without a miss{films}, among calibrate films"
    )


def _notes(old: LoadedSide, new: LoadedSide) -> list[str]:
    notes: list[str] = []
    for side, other, name in ((old, new, "old"), (new, old, "new")):
        if alone := sum(key not in other.rows for key in side.rows):
            notes.append(f"{alone:,} films were given to the {name} bundle only; left out")
        if side.copies:
            notes.append(f"{side.copies:,} inputs of the {name} bundle are copies; counted once")
        if side.precision != side.manifest.calibration.precision.value:
            notes.append(
                f"the {name} bundle computed in {side.precision}, and was calibrated in "
                f"{side.manifest.calibration.precision.value}"
            )
    if old.id == new.id:
        notes.append("the two are one bundle")
    return notes
