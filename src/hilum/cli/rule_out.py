"""`hilum rule-out`: which films may be ruled out, with what risk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.options import (
    MODEL,
    OUTPUT,
    Blank,
    Json,
    Labels,
    LabelSet,
    NoFinding,
    Quiet,
    Resamples,
    Seed,
    TrainedOn,
    Uncertain,
    Views,
    label_policy,
    prevalences,
    writable,
)
from hilum.cli.terminal import columns, progress, say

__all__ = ["rule_out"]

Within = Annotated[
    str | None,
    typer.Option(
        help="Attributes with thresholds of their own: view,sex,age (default: none).",
        rich_help_panel=MODEL,
    ),
]
Of = Annotated[
    list[str] | None,
    typer.Option(help="Findings to bound, or any (default: any).", rich_help_panel=MODEL),
]
TableOut = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Folder to write to; a table needs one (default: into the run).",
        rich_help_panel=OUTPUT,
        callback=writable,
    ),
]
Miss = Annotated[
    float | None,
    typer.Option(help="Miss rate to stay below (default: 0.02).", rich_help_panel=MODEL),
]
Npv = Annotated[
    float | None,
    typer.Option(
        help="NPV of films ruled out to bound, in place of a miss rate (default: none).",
        rich_help_panel=MODEL,
    ),
]
Local = Annotated[
    list[str] | None,
    typer.Option(
        "--prevalence",
        help="Prevalence for --npv, such as any=0.3 (default: that of the films).",
        rich_help_panel=MODEL,
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        help="Share of films to rule out, its miss rate bounded (default: none).",
        rich_help_panel=MODEL,
    ),
]
Confidence = Annotated[float, typer.Option(help="Confidence of the bound.", rich_help_panel=MODEL)]
Unit = Annotated[
    Literal["patient", "film"], typer.Option(help="Unit of the rate.", rich_help_panel=MODEL)
]
Ppv = Annotated[
    float | None,
    typer.Option(
        help="Predictive value to bound for flagged films (default: flag none).",
        rich_help_panel=MODEL,
    ),
]


def rule_out(
    subject: Annotated[
        Path, typer.Argument(help="A calibrated run, or a table of predictions (CSV or TSV).")
    ],
    labels: Labels = None,
    out: TableOut = None,
    miss: Miss = None,
    npv: Npv = None,
    prevalence: Local = None,
    coverage: Coverage = None,
    confidence: Confidence = 0.95,
    unit: Unit = "patient",
    of: Of = None,
    within: Within = None,
    ppv: Ppv = None,
    trained_on: TrainedOn = None,
    uncertain: Uncertain = None,
    blank: Blank = None,
    no_finding: NoFinding = None,
    views: Views = None,
    label_set: LabelSet = None,
    resamples: Resamples = 500,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the score below which few with a finding are missed.

    The rule is frozen on a run's calibrate films and checked on its test films, and the look is
    counted. A table's patients are dealt into halves: one to choose, one to check. Miss rates are
    of the labels, per film and per patient. --npv bounds the predictive value at a prevalence;
    --coverage fixes the share ruled out.
    """
    from hilum import api
    from hilum.domain.documents.rule_out import RULE_OUT
    from hilum.report.rule_out import printed

    words = {"uncertain": uncertain, "blank": blank, "no_finding": no_finding, "views": views}
    words |= {"label_set": label_set}
    policy = label_policy(**words) if any(words.values()) else None
    with progress(quiet) as step:
        rule = api.rule_out(
            subject,
            labels,
            out,
            miss=miss,
            npv=npv,
            prevalence=prevalences(prevalence, ("any",)),
            coverage=coverage,
            confidence=confidence,
            unit=unit,
            of=_names(of),
            within=within or "",
            ppv=ppv,
            trained_on=trained_on,
            policy=policy,
            resamples=resamples,
            seed=seed,
            advance=step,
            remark=lambda line: say(line, quiet),
        )
    written = (out or subject) / RULE_OUT
    if as_json:
        typer.echo(written.read_text("utf-8"), nl=False)
        return
    typer.echo(printed(rule, columns()))
    typer.echo(written)


def _names(words: list[str] | None) -> tuple[str, ...]:
    """Findings of `--of`, given one by one or with commas."""
    names = [name.strip() for word in words or ("any",) for name in word.split(",")]
    return tuple(name for name in names if name)
