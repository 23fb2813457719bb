"""The patients that starting weights have seen: they may train again, and do nothing else."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.record import Cohort, Split
from hilum.runs.folder import RunFolder
from hilum.runs.recipe_parts import ModelConfig
from hilum.splits import SeenPatients, SplitTable, known_splits, recognise, refuse_other_family

__all__ = ["inherited_notes", "inherited_patients", "refuse_contaminated"]


def inherited_patients(model: ModelConfig) -> SeenPatients:
    """The patients of the run that the weights come from; nobody where they come from elsewhere."""
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
    test = recognise(name for name, place in splits.films.items() if place.split is Split.TEST)
    family = model.weights_trained_on
    if test is not None and family in {known.family for known in known_splits()}:
        refuse_other_family(family, test)


def inherited_notes(model: ModelConfig) -> tuple[str, ...]:
    """What must be known of the weights' past, for every report of the run."""
    source = _source(model)
    if model.weights is None:
        return ()
    if model.weights == "imagenet":
        return ("started from timm's weights, trained on ImageNet: no radiograph among them",)
    if source is not None and source.seen.exists():
        return (f"started from the weights of {source.root.name}; its patients only train here",)
    if model.weights_trained_on is not None:
        return (f"started from weights trained on {model.weights_trained_on}, as was said",)
    return (
        f"possibly contaminated: nobody said which films {Path(model.weights).name} was trained on "
        "(model.weights_trained_on)",
    )


def _source(model: ModelConfig) -> RunFolder | None:
    """The run whose checkpoint the weights are."""
    if not isinstance(model.weights, Path) or model.weights.parent.name != "checkpoints":
        return None
    return RunFolder(model.weights.parent.parent)
