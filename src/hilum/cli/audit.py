"""`hilum audit`: check claimed numbers against predictions and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.options import Seed, TrainedOn
from hilum.domain.errors import UsageError

if TYPE_CHECKING:
    from hilum.domain.findings import LabelSet
    from hilum.domain.record import Cohort

__all__ = ["audit"]


def audit(
    predictions: Annotated[
        Path, typer.Argument(help="Table of scores (CSV or TSV): one row per film.")
    ],
    labels: Annotated[
        Path, typer.Option("--labels", help="Labels: a dataset folder or one table.")
    ],
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", help="Claims to check, such as 'auroc=0.844, Effusion.ap=51%'."),
    ] = None,
    trained_on: TrainedOn = None,
    label_order: Annotated[
        str | None,
        typer.Option(
            "--label-order",
            help="Findings of unnamed columns: a label set, 'alphabetical', or names.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write to (default: print only).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print audit.json instead of the report.")
    ] = False,
    resamples: Annotated[
        int, typer.Option(min=100, help="Patient resamples for intervals (default: 2000).")
    ] = 2000,
    seed: Seed = 0,
) -> None:
    """Check claims made of a table of predictions, and the table itself.

    Each claim gets a verdict: reproduced, inside or outside the interval, meaningless (with the
    reason), or not computable. A claim that fails is a result: the exit code is 0.
    """
    from hilum.auditing.audit import AuditRequest
    from hilum.auditing.audit import audit as audit_scores
    from hilum.auditing.claims import read_claims
    from hilum.datasets import open_dataset
    from hilum.files.sealed import file_sha256, write_sealed
    from hilum.predictions.read import read_scores
    from hilum.report.audit import markdown
    from hilum.splits import read_training_films

    claims = read_claims(claim or ())
    cohort = open_dataset(labels)
    scores = read_scores(predictions, cohort)
    if label_order is not None:
        scores = scores.in_order(_order(label_order, cohort))
    request = AuditRequest(
        predictions=predictions.name,
        predictions_sha256=file_sha256(predictions),
        claims=claims,
        training=None if trained_on is None else read_training_films(trained_on, cohort),
        resamples=resamples,
        seed=seed,
    )
    found = audit_scores(scores, request)
    text = markdown(found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_sealed(found, out / "audit.json")
        (out / "audit.md").write_text(text, "utf-8")
    typer.echo(found.model_dump_json(indent=2) if as_json else text)
    if out is not None and not as_json:
        typer.echo(out / "audit.json")


def _order(words: str, cohort: Cohort) -> LabelSet:
    """Return the findings of the columns that the option names."""
    from hilum.auditing.order import known_orders
    from hilum.domain.errors import suggestion
    from hilum.domain.findings import LabelSet, label_sets

    if "," in words:
        return LabelSet("--label-order", tuple(word.strip() for word in words.split(",")))
    known = {**label_sets(), **known_orders(cohort.labels)}
    if words not in known:
        raise UsageError(
            f"--label-order must be names with commas, or one of {', '.join(known)}; "
            f"got '{words}'.{suggestion(words, known)}"
        )
    return known[words]
