"""`hilum phantom`: write a synthetic corpus."""

from __future__ import annotations

from typing import Annotated

import typer

from hilum.cli.options import Out, Quiet, Seed
from hilum.cli.terminal import progress
from hilum.domain.errors import UsageError

__all__ = ["phantom"]


def phantom(
    layout: Annotated[str, typer.Argument(help="Whose files to imitate: nih or chexpert.")],
    out: Out,
    patients: Annotated[int, typer.Option(min=1, help="How many patients to draw.")] = 300,
    seed: Seed = 0,
    enrichment: Annotated[
        float, typer.Option(min=1.0, help="Odds of rare findings, times this.")
    ] = 1.0,
    quiet: Quiet = False,
) -> None:
    """Draw chest films with known findings, in the layout of a public dataset.

    The films are synthetic: nobody's chest.
    """
    from hilum.phantom.chexpert import write_chexpert
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.phantom.nih import write_nih

    writers = {"nih": write_nih, "chexpert": write_chexpert}
    if layout not in writers:
        raise UsageError(f"the layout must be {' or '.join(writers)}; got '{layout}'")
    corpus = PhantomCorpus(patients=patients, seed=seed, enrichment=enrichment)
    with progress(quiet) as step:
        writers[layout](corpus, out, lambda done, total: step("drawing films", done, total))
    typer.echo(out)
