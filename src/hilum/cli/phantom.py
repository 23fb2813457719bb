"""`hilum phantom`: write a synthetic corpus."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from hilum.cli.options import INPUT, Json, Out, Quiet, Seed
from hilum.cli.terminal import print_json, progress

__all__ = ["phantom"]


def phantom(
    layout: Annotated[
        Literal["nih", "chexpert"], typer.Argument(help="Public dataset whose layout to write.")
    ],
    out: Out,
    patients: Annotated[
        int, typer.Option(min=1, help="Number of patients to draw.", rich_help_panel=INPUT)
    ] = 300,
    seed: Seed = 0,
    enrichment: Annotated[
        float,
        typer.Option(min=1.0, help="Factor on the odds of rare findings.", rich_help_panel=INPUT),
    ] = 1.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw chest films with known findings, as a public dataset.

    The films are synthetic: nobody's chest.
    """
    from hilum.phantom.chexpert import write_chexpert
    from hilum.phantom.corpus import PhantomCorpus
    from hilum.phantom.nih import write_nih

    writers = {"nih": write_nih, "chexpert": write_chexpert}
    corpus = PhantomCorpus(patients=patients, seed=seed, enrichment=enrichment)
    with progress(quiet) as step:
        writers[layout](corpus, out, lambda done, total: step("drawing films", done, total))
    if as_json:
        print_json({"out": str(out), "layout": layout, "films": len(corpus.films())})
    else:
        typer.echo(out)
