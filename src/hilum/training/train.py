"""One call from a cohort and its splits to a finished run folder."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelSet
from hilum.domain.provenance import provenance
from hilum.domain.record import Cohort, Split, prevalences
from hilum.domain.seal import file_sha256
from hilum.imaging.stack import read_stack
from hilum.model import weights
from hilum.model.classifier import Classifier, classifier
from hilum.model.export import export_onnx
from hilum.splits import SeenPatients, SplitTable
from hilum.training import losses
from hilum.training.config import TrainingConfig
from hilum.training.curves import draw_curves
from hilum.training.fit import Advance, Films, fit
from hilum.training.inherited import (
    inherited_notes,
    inherited_patients,
    refuse_contaminated,
)
from hilum.training.run import RunFacts, RunFolder

__all__ = ["train"]


def train(
    config: TrainingConfig,
    cohort: Cohort,
    splits: SplitTable,
    places: tuple[RunFolder, Path],
    advance: Advance,
) -> None:
    """Train on the train split, choose on tune, export; calibrate and test are not read.

    Args:
        config: the run.
        cohort: records with films; those without one are left out and counted.
        splits: of the cohort; refused when a patient stands in two.
        places: the run folder, made here, and the dataset's folder, written down.
        advance: told (what, done, total) as films are read and batches trained.

    Raises:
        LeakError: when patients cross splits.
        DatasetError: when train or tune has no readable film.
    """
    run, data = places
    splits.check(cohort)
    refuse_contaminated(config.model, cohort, splits)
    run.write_config(config)
    splits.write(run.split)
    seen = _write_seen(run, config, cohort, splits)
    films, missed = _films(config, splits.of(cohort, Split.TRAIN), Split.TRAIN, advance)
    tune, missed_too = _films(config, splits.of(cohort, Split.TUNE), Split.TUNE, advance)
    network = _network(config, cohort.labels)
    fitted = fit(config, network, (films, tune), run, advance)
    draw_curves(run.epochs(), fitted.best_epoch, run.root / "curves.png")
    weights.load(network, run.checkpoint("best"))
    parity = export_onnx(
        network, run.model, config.preprocessing.size, config.preprocessing.channels
    )
    facts = RunFacts(
        dataset=cohort.dataset,
        data=str(data),
        synthetic=cohort.synthetic,
        label_set=cohort.labels.name,
        labels=cohort.labels.findings,
        records_sha256=cohort.sha256(),
        config_sha256=config.sha256(),
        split_name=splits.name,
        split_sha256={split.value: splits.sha256(split) for split in Split},
        patients_sha256={split.value: splits.patients_sha256(split) for split in Split},
        seen_sha256=seen.sha256,
        train_prevalence=prevalences(cohort.labels, films.states),
        positive_weights=_weights(config, cohort, films),
        best_epoch=fitted.best_epoch,
        best_tune_auroc=fitted.best_tune_auroc,
        model_sha256=file_sha256(run.model),
        parity={"logits": parity.logits, "heatmaps": parity.heatmaps},
        backbone_sha256=fitted.backbone_sha256,
        notes=(*cohort.notes, *inherited_notes(config.model), *missed, *missed_too),
        provenance=provenance(),
    )
    run.write_facts(facts)


def _write_seen(
    run: RunFolder, config: TrainingConfig, cohort: Cohort, splits: SplitTable
) -> SeenPatients:
    """Whom the run will have seen: its own patients but test, and those of its first weights."""
    own = (splits.patients(split) for split in Split if split is not Split.TEST)
    patients = SeenPatients.of(cohort.dataset, frozenset[str]().union(*own))
    seen = patients.union(inherited_patients(config.model))
    seen.write(run.seen)
    return seen


def _network(config: TrainingConfig, labels: LabelSet) -> Classifier:
    channels = config.preprocessing.channels
    model = config.model
    network = classifier(model.backbone, labels, channels, model.options, config.seed)
    if model.weights is not None:
        weights.load_backbone(network, model.weights)
    return network


def _films(
    config: TrainingConfig, cohort: Cohort, split: Split, advance: Advance
) -> tuple[Films, list[str]]:
    present = [(i, r.path) for i, r in enumerate(cohort.records) if r.path is not None]
    stack = read_stack(
        [path for _, path in present],
        config.preprocessing,
        config.threads,
        lambda done, total: advance(f"reading {split}", done, total),
    )
    if not stack.kept:
        raise DatasetError(
            f"the {split} split needs readable films; {cohort.dataset} has {len(cohort)} rows "
            f"there and {len(present)} films on disk, none readable"
        )
    notes: list[str] = []
    if len(present) < len(cohort):
        notes.append(f"{split}: {len(cohort) - len(present)} rows have no film on disk; left out")
    if stack.refused:
        first = next(iter(stack.refused))
        name = cohort.records[present[first][0]].image_id
        notes.append(
            f"{split}: {len(stack.refused)} films could not be used, first {name}: "
            f"{stack.refused[first].code}"
        )
    rows = [present[position][0] for position in stack.kept]
    return Films(stack.rasters, cohort.states()[rows]), notes


def _weights(config: TrainingConfig, cohort: Cohort, films: Films) -> dict[str, float]:
    """The weights of the positive terms of the loss, as training computes them."""
    y, mask = losses.targets(films.states, config.labels, config.seed)
    found = losses.positive_weights(y, mask, config.loss).tolist()
    return dict(zip(cohort.labels, found, strict=True))
