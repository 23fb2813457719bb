"""The network at a run's start, and what must be known of the weights it starts from."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.model import weights
from hilum.model.classifier import Classifier, classifier
from hilum.runs.recipe import TrainingConfig
from hilum.training.inherited import inherited_notes

__all__ = ["empty_network", "start_notes", "starting_network"]

CLOSE = 0.02
"""Grey levels, of 1, that a mean or deviation may differ by unremarked."""


def empty_network(config: TrainingConfig, labels: LabelSet) -> Classifier:
    """The run's network with the weights that its seed draws."""
    model, channels = config.model, config.preprocessing.channels
    return classifier(model.backbone, labels, channels, model.options, config.seed, model.drop_path)


def starting_network(config: TrainingConfig, labels: LabelSet) -> Classifier:
    """The run's network, its backbone, and the head if asked for, filled with other weights.

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
    """What the starting weights have seen, and whether they were fed as they are fed here."""
    return (*inherited_notes(config.model), *_normalisation_notes(config))


def _normalisation_notes(config: TrainingConfig) -> tuple[str, ...]:
    """Whether pretrained weights get other grey levels than they learned on: slower, not wrong."""
    expected = weights.expected_normalisation(config.model.backbone)
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
        f"films are normalised to {words[0]}; the starting weights were trained with {words[1]}",
    )
