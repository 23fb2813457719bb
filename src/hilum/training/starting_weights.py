"""The network at a run's start, and the patients that its starting weights have seen."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort, Split
from hilum.model import weights
from hilum.model.classifier import Classifier, classifier
from hilum.runs.folder import RunFolder
from hilum.runs.recipe import TrainingConfig
from hilum.runs.recipe_parts import ModelConfig
from hilum.splits import (
    SeenPatients,
    SplitTable,
    TrainingFilms,
    certify,
    known_splits,
    recognize,
    refuse_leak,
    refuse_other_family,
)

__all__ = [
    "empty_network",
    "inherited_notes",
    "inherited_patients",
    "refuse_contaminated",
    "start_notes",
    "starting_network",
]

CLOSE = 0.02
"""Largest difference of mean or deviation that needs no note, where white is 1."""


def empty_network(config: TrainingConfig, labels: LabelSet) -> Classifier:
    """Return the run's network with random weights drawn from its seed."""
    model, channels = config.model, config.preprocessing.channels
    return classifier(model.backbone, labels, channels, model.options, config.seed, model.drop_path)


def starting_network(config: TrainingConfig, labels: LabelSet) -> Classifier:
    """Return the run's network, with backbone (and head, if configured) from the starting weights.

    Raises:
        UsageError: for an unknown backbone or option, or weights that cannot be had.
        BundleError: for weights that do not fit.
    """
    network = empty_network(config, labels)
    if config.model.weights == "imagenet":
        weights.load_imagenet(network)
    elif config.model.weights is not None:
        weights.load_backbone(network, config.model.weights)
    if config.model.head == "inherited":
        if not isinstance(config.model.weights, Path):
            raise UsageError(
                "model.head=inherited must have a head to inherit: name a hilum checkpoint with "
                f"model.weights; got {config.model.weights}"
            )
        weights.load_head(network, config.model.weights)
    return network


def start_notes(config: TrainingConfig) -> tuple[str, ...]:
    """Return notes on what the starting weights were trained on, and with which normalization."""
    return (*inherited_notes(config.model), *_normalization_notes(config))


def _normalization_notes(config: TrainingConfig) -> tuple[str, ...]:
    """Note whether pretrained weights get a different normalization here: slower, not wrong."""
    expected = weights.expected_normalization(config.model.backbone)
    if config.model.weights != "imagenet" or expected is None:
        return ()
    own = (config.preprocessing.mean, config.preprocessing.std)
    gaps = [abs(fmean(a) - fmean(b)) for a, b in zip(own, expected, strict=True)]
    if max(gaps) <= CLOSE:
        return ()
    words = [
        f"mean {fmean(mean):.3f} and deviation {fmean(std):.3f}" for mean, std in (own, expected)
    ]
    return (
        f"films are normalized to {words[0]}; the starting weights were trained with {words[1]}",
    )


def inherited_patients(model: ModelConfig) -> SeenPatients:
    """Return the patients of the run that the weights come from; none where it is not a run."""
    source = _source(model)
    if source is None or not source.seen.exists():
        return SeenPatients({})
    return SeenPatients.read(source.seen)


def refuse_contaminated(model: ModelConfig, cohort: Cohort, splits: SplitTable) -> None:
    """Refuse to tune, calibrate or test on patients that the starting weights have seen.

    Raises:
        LeakError: for such patients; or when the weights are of a known family of lists, and this
            run's test films are another family's list, or the very list.
    """
    seen = inherited_patients(model)
    for split in (Split.TUNE, Split.CALIBRATE, Split.TEST):
        patients = [p.patient_id for p in splits.films.values() if p.split is split]
        seen.refuse_overlap(cohort.population, patients, split.value)
        if len(seen):
            # a table of a dataset's films is met by their names, where ids are spelled anew
            part = cohort.select(lambda r, use=split: splits.films[r.image_id].split is use)
            inherited = TrainingFilms(
                "the starting weights", frozenset(), frozenset(), 0, seen=seen
            )
            refuse_leak(certify(inherited, part))
    test = recognize(name for name, place in splits.films.items() if place.split is Split.TEST)
    family = model.weights_trained_on
    if test is not None and family in {known.family for known in known_splits()}:
        refuse_other_family(family, test)


def inherited_notes(model: ModelConfig) -> tuple[str, ...]:
    """Return notes on the origin of the starting weights, for every report of the run."""
    source = _source(model)
    if model.weights is None:
        return ()
    if model.weights == "imagenet":
        return ("started from timm's weights, trained on ImageNet: no radiograph among them",)
    if source is not None and source.seen.exists():
        return (f"started from the weights of {source.root.name}; its patients only train here",)
    if model.weights_trained_on is not None:
        return (f"started from weights trained on {model.weights_trained_on}, as declared",)
    return (
        f"possibly contaminated: which films {Path(model.weights).name} was trained on is unknown "
        "(model.weights_trained_on)",
    )


def _source(model: ModelConfig) -> RunFolder | None:
    """Return the run to which the checkpoint belongs; None if it belongs to none."""
    if not isinstance(model.weights, Path) or model.weights.parent.name != "checkpoints":
        return None
    return RunFolder(model.weights.parent.parent)
