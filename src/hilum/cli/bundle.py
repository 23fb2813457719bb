"""`hilum bundle`: from a run to the one folder that leaves the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.options import Out

__all__ = ["bundle", "write"]


def bundle(run: Annotated[Path, typer.Argument(help="A calibrated run.")], out: Out) -> None:
    """Put network, labels, preprocessing, calibrator, thresholds and evidence into one folder."""
    typer.echo(f"{out}  {write(run, out)}")


def write(run: Path, out: Path) -> str:
    """Write the bundle; its short id."""
    from hilum.bundle import write_bundle
    from hilum.domain.radiograph import Radiograph
    from hilum.phantom.film import draw_example
    from hilum.training.run import RunFolder

    # Drawn films, one of them oblong: a bundle carries no patient, and tests its geometry too.
    pixels = [draw_example("Effusion", seed=1).pixels, draw_example(None, seed=2).pixels[:, 20:220]]
    films = [Radiograph(p.copy(), source=f"drawn-{number}") for number, p in enumerate(pixels)]
    return write_bundle(RunFolder(run), films, out).id
