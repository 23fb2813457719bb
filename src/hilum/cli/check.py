"""`hilum check`: what is here, what is missing, what would leak."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import exits
from hilum.cli.label_options import (
    Blank,
    LabelSet,
    NoFinding,
    Uncertain,
    Views,
    Votes,
    label_policy,
)
from hilum.cli.options import Quiet, Seed
from hilum.cli.progress import progress

if TYPE_CHECKING:
    from hilum.domain.documents.inspection import DatasetInspection

__all__ = ["check"]


def check(
    place: Annotated[Path, typer.Argument(help="The dataset's top folder, or one of its tables.")],
    data_set: Annotated[str | None, typer.Option(help="Its reader, if it is ambiguous.")] = None,
    uncertain: Uncertain = None,
    blank: Blank = None,
    no_finding: NoFinding = None,
    views: Views = None,
    votes: Votes = None,
    label_set: LabelSet = None,
    films: Annotated[bool, typer.Option("--films/--no-films", help="Read the films here.")] = True,
    sample: Annotated[int | None, typer.Option(min=1, help="Read only so many films.")] = None,
    exclude: Annotated[
        Path | None, typer.Option(help="Leave these films out: a file with one name a line.")
    ] = None,
    allow_unlabelled: Annotated[
        bool, typer.Option("--allow-unlabelled", help="Films without a row are expected.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, not tables.")] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Also write JSON, tables and a picture here.")
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Check a dataset: counts, labels, splits, missing, damaged and copied films.

    Exit code 3: checked to the end, and something would make training or measuring wrong.
    """
    from hilum import api
    from hilum.report.inspection import markdown
    from hilum.stages.training_films import film_names

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"votes": votes, "label_set": label_set}
    policy = label_policy(**words)
    excluded = () if exclude is None else film_names(exclude)
    with progress(quiet) as step:
        inspection = api.check(
            place,
            data_set=data_set,
            policy=policy,
            films=films,
            sample=sample,
            exclude=excluded,
            allow_unlabelled=allow_unlabelled,
            seed=seed,
            advance=step,
        )
    typer.echo(inspection.model_dump_json(indent=2) if json else markdown(inspection), nl=json)
    if out is not None:
        _write(inspection, out)
        typer.echo(out / "check.json", err=json)
    if not inspection.sound:
        raise typer.Exit(exits.REFUSED)


def _write(inspection: DatasetInspection, out: Path) -> None:
    from hilum.files.sealed import write_sealed
    from hilum.report.inspection import co_occurrence_csv, markdown, write_figure

    out.mkdir(parents=True, exist_ok=True)
    write_sealed(inspection, out / "check.json")
    (out / "check.md").write_text(markdown(inspection), "utf-8")
    (out / "co_occurrence.csv").write_text(co_occurrence_csv(inspection.labels), "utf-8")
    write_figure(inspection, out / "check.png")
