"""From a film or a dataset to a calibrated run, as functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hilum.domain.errors import choice

if TYPE_CHECKING:
    from hilum.bundle.manifest import Calibration
    from hilum.bundle.source import Source
    from hilum.domain.documents.inspection import DatasetInspection
    from hilum.domain.policy import LabelPolicy
    from hilum.domain.radiograph import Radiograph
    from hilum.domain.scores import Target
    from hilum.inference.engine import Precision
    from hilum.stages.seeds import PlannedRun
    from hilum.training.fit import Callback
    from hilum.training.sinks import Sinks

__all__ = [
    "Advance",
    "Remark",
    "calibrate",
    "check",
    "nothing",
    "path_of",
    "read",
    "shares",
    "train",
    "unsaid",
]

Advance: TypeAlias = Callable[[str, int, int], None]
"""Progress callback: called with (what, done, total); films are counted."""
Remark: TypeAlias = Callable[[str], None]
"""Callback for remarks on a result, each a sentence."""


def read(source: Source) -> Radiograph:
    """Read one film from a file, bytes, an open file, an array, an image or a data set.

    Args:
        source: as `Bundle.predict` takes it.

    Raises:
        FilmError: when the source cannot be read or is not a film; it has a reason code.
        UsageError: when the source is of a type that holds no film.

    Example:
        >>> import numpy as np
        >>> read(np.zeros((512, 400), np.uint8)).shape
        (512, 400)
    """
    from hilum.bundle.source import film_of

    return film_of(source)


def check(
    place: Path | str,
    *,
    data_set: str | None = None,
    policy: LabelPolicy | None = None,
    films: bool = True,
    sample: int | None = None,
    exclude: Collection[str] = (),
    allow_unlabelled: bool = False,
    seed: int = 0,
    advance: Advance | None = None,
) -> DatasetInspection:
    """Check a dataset: counts, labels, splits, missing, damaged and copied films.

    Args:
        place: the dataset's top folder, or one of its tables.
        data_set: name of its reader, where the place is ambiguous.
        policy: what labels count as; the default leaves uncertain labels as a problem.
        films: whether to read the films that are here.
        sample: how many of them to read; None for all.
        exclude: names of films to leave out.
        allow_unlabelled: whether films without a row are expected.
        seed: of the sample.
        advance: progress callback.

    Returns:
        The inspection; `sound` is False where something would make training or measuring wrong.

    Raises:
        DatasetError: when no dataset is recognized, or its table breaks its format.

    Example:
        >>> import tempfile
        >>> from hilum.datasets import reader
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     inspection = check(reader("nih").write_example(Path(folder)), films=False)
        >>> inspection.card.title
        'NIH ChestX-ray14'
    """
    from hilum.domain.policy import LabelPolicy
    from hilum.inspection.inspect import InspectionRequest, inspect_dataset

    request = InspectionRequest(
        place=Path(place),
        dataset=data_set,
        policy=LabelPolicy() if policy is None else policy,
        films=films,
        sample=sample,
        seed=seed,
        excluded=frozenset(exclude),
        allow_unlabelled=allow_unlabelled,
    )
    return inspect_dataset(request, advance)


def train(
    config: Path | str,
    data: Path | str,
    out: Path | str,
    *,
    changes: Mapping[str, object] | None = None,
    exclude: Path | str | None = None,
    allow_unlabelled: bool = False,
    resume: bool = False,
    seeds: int | None = None,
    cache: Path | str | None = None,
    sinks: Sequence[str] = (),
    watch: Callback | None = None,
) -> Path:
    """Train a network on a dataset's train split; calibrate and test stay unread.

    It needs the extra `train`.

    Args:
        config: name of a preset, or a YAML file.
        data: the dataset's top folder.
        out: the run's folder, which must not hold a run unless `resume` is set.
        changes: fields of the configuration to change, such as `{"model.backbone": "resnet50"}`.
        exclude: a file with the names of films to leave out, one a line.
        allow_unlabelled: whether films without a row are expected.
        resume: go on with a run that was stopped.
        seeds: train this many runs that differ in their seed alone, in folders below `out`, such
            as `seed-0`; finished ones stay. None for one run in `out`.
        cache: folder in which reduced films are kept and looked up.
        sinks: where finished epochs are also logged: `tensorboard`, `mlflow` or `mlflow=URI`.
        watch: progress callbacks.

    Returns:
        The run's folder, for `calibrate` and `evaluate`; with `seeds` the folder of the runs, for
        `compare`.

    Raises:
        UsageError: for an unknown preset or field, or a folder that is in use.
        DatasetError: when no dataset is recognized, or a split is empty.
        LeakError: when patients cross splits.

    Example:
        >>> train("demo", "data", "run", changes={"sed": 7})
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: demo: sed: no such field. Did you mean 'seed'?
    """
    import json

    from hilum.runs.folder import Places, RunFolder
    from hilum.runs.recipe import load_config
    from hilum.stages.films import TrainingRequest

    words = tuple(f"{field}={json.dumps(value)}" for field, value in (changes or {}).items())
    request = TrainingRequest(
        load_config(str(config), words), Path(data), path_of(exclude), allow_unlabelled
    )
    from hilum.stages.seeds import plan_runs

    places = Places(RunFolder(Path(out)), Path(data), path_of(cache))
    for planned in plan_runs(request, places, seeds, resume):
        if not planned.finished:
            _train(planned, tuple(sinks), watch)
    return places.run.root


def _train(planned: PlannedRun, sinks: Sequence[str], watch: Callback | None) -> None:
    from hilum.stages.index import write_index
    from hilum.training.fit import NO_CALLBACK
    from hilum.training.sinks import opened
    from hilum.training.train import train as train_run

    request, places = planned.request, planned.places
    cohort, splits = request.settled(request.read())
    request.keep_excluded(places.run)
    with opened(tuple(sinks), places.run.root, request.config) as logged:
        watched = _Logged(NO_CALLBACK if watch is None else watch, logged)
        train_run(request.config, cohort, splits, places, watched)
    write_index(places.run)


def calibrate(
    run: Path | str,
    *,
    method: str = "platt",
    target: Target | str = "f1",
    goal: float | None = None,
    prevalence: Mapping[str, float] | None = None,
    precision: Precision | str = "f32",
    data: Path | str | None = None,
    advance: Advance | None = None,
) -> Calibration:
    """Fit calibrator and operating points of a run on its calibrate split, and write them into it.

    Args:
        run: a finished run's folder.
        method: the calibrator, named as a file of `hilum.calibration.curves`.
        target: what thresholds are chosen for: `f1`, `youden`, `balanced_accuracy`,
            `sensitivity`, `specificity` or `ppv`.
        goal: the sensitivity, specificity or PPV to reach, in (0, 1).
        prevalence: share of films with a finding where the model will be used, by finding.
        precision: the arithmetic of serving: `f32`, `bf16`, `int8` or `int8-bf16`; the last two
            need the extra `train`.
        data: the dataset's folder, if it was moved; an imported network is bound to it.
        advance: progress callback.

    Raises:
        DatasetError: when the dataset differs from the one that the run was trained on.
        LeakError: for a film of another split.
        UsageError: for an unknown method, target or precision.

    Example:
        >>> calibrate("run", target="f2")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: target must be one of f1, youden, balanced_accuracy,
        sensitivity, specificity, ppv, given; got 'f2'.
    """
    from functools import partial

    from hilum.domain.record import Split
    from hilum.domain.scores import Target
    from hilum.inference.engine import Precision
    from hilum.runs.folder import RunFolder
    from hilum.stages.calibrate import CalibrationRequest, calibrate_run
    from hilum.stages.films import bind, split_of
    from hilum.stages.index import write_index

    request = CalibrationRequest(
        method,
        choice(Target, target, "target"),
        goal,
        choice(Precision, precision, "precision"),
        shares(prevalence),
    )
    folder = RunFolder(Path(run))
    if data is not None:
        bind(folder, Path(data))
    cohort = split_of(folder, Split.CALIBRATE, path_of(data))
    step = advance or nothing
    if request.precision.quantized:
        from hilum.training.quantize import quantize_run

        reading = partial(step, "reading films to quantize by")
        quantize_run(folder, Split.CALIBRATE.value, cohort, reading)
    calibration = calibrate_run(folder, cohort, request, partial(step, "reading calibrate"))
    write_index(folder)
    return calibration


def path_of(place: Path | str | None) -> Path | None:
    """Return a path for text, and None for None."""
    return None if place is None else Path(place)


def nothing(_what: str, _done: int, _total: int) -> None:
    """Ignore progress that nobody watches."""


def unsaid(_remark: str) -> None:
    """Ignore a remark that nobody reads."""


def shares(prevalence: Mapping[str, float] | None) -> dict[str, float]:
    """Return prevalences by the catalog's names of the findings.

    >>> shares({"Pleural Effusion": 0.05})
    {'Effusion': 0.05}
    """
    from hilum.domain.findings import find

    return {find(name).name: share for name, share in (prevalence or {}).items()}


class _Logged:
    """The callbacks of a caller, with finished epochs handed to the sinks first."""

    def __init__(self, watch: Callback, sinks: Sinks) -> None:
        self._watch, self._sinks = watch, sinks

    def advance(self, what: str, done: int, total: int) -> None:
        self._watch.advance(what, done, total)

    def log(self, line: dict[str, Any]) -> None:
        self._sinks.line(line)
        self._watch.log(line)
