"""Models compared on the same films, as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.api.lab import nothing, path_of
from hilum.domain.errors import UsageError, choice

if TYPE_CHECKING:
    from hilum.api.lab import Advance
    from hilum.domain.documents.comparison import Comparison
    from hilum.domain.policy import LabelPolicy
    from hilum.evaluation.compare import ComparisonRequest
    from hilum.stages.compare import Compared

__all__ = ["compare"]


def compare(
    models: Sequence[Path | str | Sequence[Path | str]],
    labels: Path | str | None = None,
    out: Path | str | None = None,
    *,
    choose_on: str = "tune",
    margin: float = 0.0,
    policy: LabelPolicy | None = None,
    resamples: int = 2000,
    seed: int = 0,
    advance: Advance | None = None,
) -> Comparison:
    """Compare models in pairs, every one with the first, on the same films.

    Runs are compared and chosen on their tune films; predictions on the films and findings that
    all tables have, and nothing is chosen.

    Args:
        models: runs, or CSVs of predictions; two or more. A model of several runs that differ in
            their seed alone is a folder of runs, as `train` writes with `seeds`; or their
            paths, in a list or with commas between. Its intervals include seeds.
        labels: the dataset with the labels; for runs None for their own.
        out: where to write comparison.json, .md and .html; None to write nothing.
        choose_on: `tune`, or `test`, which is flagged.
        margin: AUROC that may be lost by a model that is still called no worse.
        policy: what labels count as; for predictions only.
        resamples: patient resamples behind each interval.
        seed: of the resamples.
        advance: progress callback.

    Raises:
        DatasetError: when the models have no films or findings in common.
        UsageError: for runs mixed with CSVs, CSVs without labels, or runs of one model that differ
            in more than their seed.

    Example:
        >>> compare(["a.csv", "b.csv"])
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: predictions are compared with --labels DATASET
    """
    from hilum.evaluation.compare import ComparisonRequest
    from hilum.stages.sides import places_of

    sides = [places_of(model) for model in models]
    places = [place for side in sides for place in side]
    folders = [place for place in places if place.is_dir()]
    if folders and len(folders) < len(places):
        raise UsageError("compare runs, or CSVs, not both; a run is a folder")
    request = ComparisonRequest("the films of the CSVs", False, margin, resamples, seed)
    if folders:
        found = _compare_runs(sides, path_of(labels), choose_on, request, advance)
    elif labels is None:
        raise UsageError("predictions are compared with --labels DATASET")
    else:
        from hilum.datasets import open_dataset
        from hilum.domain.policy import LabelPolicy, settle
        from hilum.stages.compare import compare_predictions

        cohort = settle(open_dataset(Path(labels)), LabelPolicy() if policy is None else policy)
        found = compare_predictions(places, cohort, request, [len(side) for side in sides])
    if out is not None:
        from hilum.stages.compare import write_comparison

        write_comparison(found, Path(out))
    return found.comparison


def _compare_runs(
    models: Sequence[Sequence[Path]],
    data: Path | None,
    choose_on: str,
    request: ComparisonRequest,
    advance: Advance | None,
) -> Compared:
    from hilum.domain.record import Split
    from hilum.stages.compare import choose_on_test, compare_runs
    from hilum.stages.films import split_of
    from hilum.stages.sides import Side

    use = choice(Split, choose_on, "choose_on")
    if use not in (Split.TUNE, Split.TEST):
        raise UsageError(f"--choose-on must be tune, or test (flagged); got {use}")
    sides = [Side.of(places) for places in models]
    runs = [run for side in sides for run in side.runs]
    step = advance or nothing
    found = compare_runs(
        [(run, split_of(run, Split.TUNE, data)) for run in runs],
        request,
        lambda name, done, total: step(f"reading tune for {name}", done, total),
        sides,
    )
    return choose_on_test(found, runs) if use is Split.TEST else found
