"""Shortcuts of a bundle, as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.api.lab import Advance
    from hilum.domain.documents.probe import ProbeRun
    from hilum.domain.policy import LabelPolicy

__all__ = ["probe"]


def probe(
    bundle: Path | str,
    films: Sequence[Path | str],
    out: Path | str,
    *,
    labels: Path | str | None = None,
    label_policy: LabelPolicy | None = None,
    sample: int = 200,
    resamples: int = 2000,
    seed: int = 0,
    threads: int = 2,
    advance: Advance | None = None,
) -> ProbeRun:
    """Alter films in ways that are no finding, and measure what the bundle's scores do.

    A letter, a border, lines, covered lungs, compression, contrast and position; each beside a
    control that differs in one thing. What is shown to be a shortcut is named in a sentence.

    Args:
        bundle: its folder, or the name of one that ships with hilum.
        films: files, folders, globs or lists.
        out: where probe.json and probe.html are written.
        labels: films with their labels; None to take the bundle's own calls for what is positive.
        label_policy: what the labels count as.
        sample: how many films are read, drawn by the seed.
        resamples: patient resamples behind each interval.
        seed: of the sample, the alterations and the resamples.
        threads: of the processor.
        advance: progress callback.

    Returns:
        The result; `named` is empty where no shortcut is shown.

    Raises:
        BundleError: for a bundle that is damaged.
        UsageError: when there are no films that can be scored.

    Example:
        >>> probe("starter", [], "out")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: a bundle is probed with films; got none. Name files or
        folders
    """
    from hilum.batch.inputs import list_films
    from hilum.bundle import Bundle
    from hilum.datasets import open_dataset
    from hilum.domain.policy import LabelPolicy, settle
    from hilum.stages.probe import ProbeRequest, probe_bundle

    if not films:
        raise UsageError("a bundle is probed with films; got none. Name files or folders")
    loaded = Bundle.load(bundle, threads=threads)
    truth = None
    if labels is not None:
        truth = settle(
            open_dataset(Path(labels)), LabelPolicy() if label_policy is None else label_policy
        )
    listed = list_films([str(film) for film in films])
    refused = sum(one.refusal is not None for one in listed)
    request = ProbeRequest(
        films=[one.path for one in listed if one.refusal is None],
        sample=sample,
        labels=truth,
        labels_name="" if labels is None else Path(labels).name,
        resamples=resamples,
        seed=seed,
        notes=(f"{refused:,} inputs are not read; left out",) if refused else (),
    )

    def step(done: int, total: int) -> None:
        if advance is not None:
            advance("altering films", done, total)

    return probe_bundle(loaded, request, Path(out), step)
