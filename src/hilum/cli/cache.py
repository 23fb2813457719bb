"""`hilum cache`: a dataset's films at a preset's size, to be trained on again and again."""

from __future__ import annotations

import typer

from hilum.cli.options import Data, Exclude, Json, Out, Quiet, StrayFilms, Verbose
from hilum.cli.terminal import print_json, progress, say, telling
from hilum.cli.train import Changes, Config
from hilum.domain.errors import counted

__all__ = ["cache"]


def cache(
    config: Config,
    data: Data,
    out: Out,
    changes: Changes = None,
    exclude: Exclude = None,
    allow_unlabelled: StrayFilms = False,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Reduce a dataset's films once, for `hilum train --cache`.

    It serves every run with the same preprocessing, whatever its seed or network.
    """
    from hilum.domain.policy import settle
    from hilum.runs.recipe import load_config
    from hilum.stages.films import TrainingRequest
    from hilum.training.data.cache import write

    resolved = load_config(config, tuple(changes or ()))
    cohort = settle(
        TrainingRequest(resolved, data, exclude, allow_unlabelled).read(), resolved.labels
    )
    preprocessing, threads = resolved.preprocessing, resolved.compute.threads
    with telling(verbose), progress(quiet) as step:
        made = write(cohort, preprocessing, out, threads, step)
    films, side = made.rasters.shape[0], preprocessing.size
    refused = len(made.index.refused)
    say(
        f"{counted(films, 'film')} of {side} px, "
        f"{made.rasters.nbytes / 1e9:.2f} GB; {refused} refused",
        quiet,
    )
    if as_json:
        print_json({"out": str(out), "films": films, "side": side, "refused": refused})
    else:
        typer.echo(out)
