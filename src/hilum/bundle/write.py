"""From the facts and files of a network to a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hilum.bundle.bundle import Bundle
from hilum.bundle.card import card
from hilum.bundle.golden import write_golden
from hilum.bundle.manifest import (
    Calibration,
    Manifest,
    network_of,
    read_calibration,
    read_evaluation,
)
from hilum.bundle.reference import read_reference
from hilum.bundle.triage import read_rule
from hilum.domain.documents.rule_out import RULE_OUT
from hilum.domain.documents.watch import WATCH_REFERENCE
from hilum.domain.errors import BundleError, UsageError
from hilum.domain.provenance import provenance
from hilum.domain.radiograph import Radiograph
from hilum.files.atomic import atomic_folder
from hilum.files.sealed import file_sha256, write_sealed
from hilum.imaging.gate import GateRules
from hilum.inference.engine import Engine
from hilum.runs.facts import BUNDLE, Imported, RunFacts
from hilum.runs.folder import RunFolder

__all__ = ["PRIVATE", "BundleParts", "write_bundle"]

PRIVATE = frozenset({"table"})
"""Dataset readers for unpublished data. A hash can be guessed from a patient's number, so
the patients seen travel only with bundles of public datasets."""


@dataclass(frozen=True)
class BundleParts:
    """Everything that a bundle is made of, wherever the network came from.

    Attributes:
        facts: the network, its origin and the films it is bound to.
        network: the ONNX file that serves, in the precision of the calibration.
        calibration: calibrator and operating points of exactly this network.
        evaluation: evaluation.json of this network and calibration; None if not evaluated.
        seen: hashes of the patients that the network has seen; None where they are not known.
        rule: rule_out.json of this network and calibration; None where there is no rule.
        reference: watch_reference.json of this network, calibration, gate and rule; None without.
        replaces: seal of the bundle with the calibration before this one; empty for the first.
    """

    facts: RunFacts
    network: Path
    calibration: Calibration
    evaluation: Path | None = None
    seen: Path | None = None
    rule: Path | None = None
    reference: Path | None = None
    replaces: str = ""

    @classmethod
    def from_run(cls, run: RunFolder) -> Self:
        """Collect the parts of a calibrated run.

        Raises:
            BundleError: when the run is not calibrated, or a part was edited or belongs to another
                run.
        """
        run.refuse_edited_config()
        calibration = read_calibration(run)
        return cls(
            run.facts(),
            network_of(run, calibration.precision),
            calibration,
            run.evaluation if run.evaluation.exists() else None,
            run.seen if run.seen.exists() else None,
            run.rule_out if run.rule_out.exists() else None,
            replaces=_replaced(run, calibration),
        )

    def refuse_mixed(self) -> None:
        """Refuse a calibration that was fitted on a different network or preprocessing.

        Raises:
            BundleError: naming the part that differs.
        """
        found = {
            "network": (file_sha256(self.network), self.calibration.model_sha256),
            "preprocessing": (
                self.facts.network.preprocessing.sha256(),
                self.calibration.preprocessing_sha256,
            ),
        }
        for part, (own, fitted) in found.items():
            if own != fitted:
                raise BundleError(
                    f"a bundle's {part} must be the one that was calibrated; its sha256 is "
                    f"{own[:12]}, the calibration was fitted on {fitted[:12]}. Run `hilum "
                    "calibrate` again"
                )


def _replaced(run: RunFolder, calibration: Calibration) -> str:
    """Return the seal of the run's last bundle with another calibration; empty without one."""
    lines = run.bundles.read_text("utf-8").splitlines() if run.bundles.is_file() else []
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError):
            known = json.loads(line)
            if known["bond"] != calibration.bond:
                return str(known["seal"])
    return ""


def write_bundle(
    parts: BundleParts, films: Sequence[Radiograph], path: Path, gate: GateRules | None = None
) -> Bundle:
    """Put network, calibrator, thresholds and evaluation into one sealed folder.

    Written to a temporary folder and moved to its place whole, then loaded as a user would.

    Args:
        parts: facts and files, as `BundleParts.from_run` collects them.
        films: synthetic films for the self-test.
        path: the bundle's folder, which must not exist yet.
        gate: the rules of the input gate; None for the default rules.

    Raises:
        UsageError: when the folder exists.
        BundleError: when a part belongs to a different network.
    """
    if path.exists():
        raise UsageError(f"a bundle is written to a new folder; {path} exists. Choose another name")
    parts.refuse_mixed()
    facts, calibration = parts.facts, parts.calibration
    with atomic_folder(path) as work:
        shutil.copyfile(parts.network, work / "model.onnx")
        outputs, preprocessing = facts.network.outputs, facts.network.preprocessing
        engine = Engine(parts.network, preprocessing, outputs, calibration.precision)
        write_golden(engine, films, work / "golden.npz")
        evaluation = None
        if parts.evaluation is not None:
            evaluation = read_evaluation(parts.evaluation, calibration)
            shutil.copyfile(parts.evaluation, work / "evaluation.json")
        rule = None
        if parts.rule is not None:
            rule = read_rule(parts.rule, calibration)
            shutil.copyfile(parts.rule, work / RULE_OUT)
        # those of an imported bundle are the patients that came with it
        again = isinstance(facts.origin, Imported) and facts.origin.format == BUNDLE
        public = again or (facts.films is not None and facts.films.dataset not in PRIVATE)
        if parts.seen is not None and public:
            shutil.copyfile(parts.seen, work / "seen_patients.txt")
        manifest = Manifest(
            facts=facts.for_bundle(),
            gate=gate or GateRules(),
            calibration=calibration,
            replaces=parts.replaces,
            provenance=provenance(),
            files={},
        )
        if parts.reference is not None:
            read_reference(parts.reference, manifest, rule)
            shutil.copyfile(parts.reference, work / WATCH_REFERENCE)
        (work / "CARD.md").write_text(card(manifest, evaluation), "utf-8")
        files = {file.name: file_sha256(file) for file in sorted(work.iterdir())}
        write_sealed(manifest.model_copy(update={"files": files}), work / "bundle.json")
    return Bundle.load(path)
