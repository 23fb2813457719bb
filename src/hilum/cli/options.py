"""Options that several verbs share, so that a word means the same everywhere.

A closed list is a `Literal`, so that help shows its words and completion offers them. Those of
enumerations are written out, since loading the enumerations would make `hilum --help` slow (a test
holds them to be the same); those of extension folders are the names of their files.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hilum.domain.errors import UsageError
from hilum.domain.members import members

if TYPE_CHECKING:
    from hilum.domain.policy import LabelPolicy

    CalibratorName = EngineName = FormName = ReaderName = str
else:
    CalibratorName = Literal[members("hilum.calibration.curves")]
    EngineName = Literal["lanes", "ray"]
    FormName = Literal[members("hilum.report.printed")]
    ReaderName = Literal[members("hilum.datasets")]

__all__ = [
    "INPUT",
    "LABELS",
    "MACHINE",
    "MODEL",
    "OTHER",
    "OUTPUT",
    "Blank",
    "CalibratorName",
    "Data",
    "EngineName",
    "Exclude",
    "FormName",
    "Full",
    "Json",
    "LabelSet",
    "Labels",
    "NoFinding",
    "Out",
    "PrecisionName",
    "Prevalence",
    "Quiet",
    "ReaderName",
    "Resamples",
    "Seed",
    "StrayFilms",
    "TrainedOn",
    "Uncertain",
    "Verbose",
    "Views",
    "Votes",
    "label_policy",
    "prevalences",
    "writable",
]

INPUT = "Input"
LABELS = "Labels"
MODEL = "Model"
OUTPUT = "Output"
MACHINE = "Machine"
OTHER = "Other"

PrecisionName = Literal["f32", "bf16", "int8", "int8-bf16"]


def writable(context: typer.Context, out: Path | None) -> Path | None:
    """Refuse a folder of `-o` that cannot be written to, before any work is done.

    Nothing stays of the attempt: folders that were made for it are removed again.

    Raises:
        UsageError: naming the folder and the system's reason.
    """
    if out is None or context.resilient_parsing or os.path.isfile(out):  # noqa: PTH113 (no raise)
        return out  # of a file, the verb itself says where it is in the way
    from tempfile import TemporaryFile

    missing = [folder for folder in (out, *out.parents) if not os.path.lexists(folder)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in LATER:
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"-o must name a folder that can be written to; {str(out)!r}: {reason}. Name another"
        ) from None
    finally:
        for folder in missing:
            with suppress(OSError, ValueError):
                folder.rmdir()
    return out


LATER = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)
"""Errors of a machine that is short of something now: the same command may work later."""

Out = Annotated[
    Path,
    typer.Option(
        "-o", "--out", help="Folder to write to.", rich_help_panel=OUTPUT, callback=writable
    ),
]
Data = Annotated[
    Path, typer.Option("--data", help="Top folder of the dataset.", rich_help_panel=INPUT)
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        "--data",
        help="Labels: a dataset folder or one table (default for a run: its own).",
        rich_help_panel=INPUT,
    ),
]
Exclude = Annotated[
    Path | None,
    typer.Option(
        help="List of films to leave out: one a line, or a CSV column (default: none).",
        rich_help_panel=INPUT,
    ),
]
StrayFilms = Annotated[
    bool,
    typer.Option(
        "--allow-unlabelled",
        help="Accept films that have no row in the table.",
        rich_help_panel=INPUT,
    ),
]
TrainedOn = Annotated[
    Path | None,
    typer.Option(
        "--trained-on",
        help="Training films, to refuse leaks: a list, split.csv, run or bundle (default: none).",
        rich_help_panel=INPUT,
    ),
]
Prevalence = Annotated[
    list[str] | None,
    typer.Option(
        help="Share of films with a finding at the site, such as Effusion=0.05 (default: none).",
        rich_help_panel=MODEL,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON instead of text.", rich_help_panel=OUTPUT),
]
Resamples = Annotated[
    int,
    typer.Option(min=100, help="Patient resamples for each interval.", rich_help_panel=OTHER),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", help="Random seed; the same seed gives the same bytes.", rich_help_panel=OTHER
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show no progress and no remarks.", rich_help_panel=OTHER),
]

Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Tell decoders' warnings: film, library and class, never the words.",
        rich_help_panel=OTHER,
    ),
]
Full = Annotated[
    bool,
    typer.Option("--full", help="Print all tables, not only a summary.", rich_help_panel=OUTPUT),
]

Uncertain = Annotated[
    Literal["ignore", "positive", "negative", "soft"] | None,
    typer.Option(help="Value of uncertain labels (default: refuse them).", rich_help_panel=LABELS),
]
Blank = Annotated[
    Literal["unlabelled", "negative"] | None,
    typer.Option(
        help="Value of findings that are not mentioned (default: unlabelled).",
        rich_help_panel=LABELS,
    ),
]
NoFinding = Annotated[
    Literal["drop", "trust_findings", "keep"] | None,
    typer.Option(
        help="Films with No Finding and a finding at once (default: drop).",
        rich_help_panel=LABELS,
    ),
]
Views = Annotated[
    Literal["frontal", "frontal_or_unknown", "all"] | None,
    typer.Option(help="Views of the films used (default: frontal).", rich_help_panel=LABELS),
]
Votes = Annotated[
    Literal["majority", "any", "unanimous"] | None,
    typer.Option(
        help="Rule to merge several readers' labels (default: majority).", rich_help_panel=LABELS
    ),
]
LabelSet = Annotated[
    Literal[
        "NIH-14",
        "NIH-13+NF",
        "CheXpert-14",
        "CheXpert-5",
        "VinDr-28",
        "VinBigData-15",
        "PadChest-25",
        "RSNA",
        "SIIM",
    ]
    | None,
    typer.Option(
        help="Label set to map the findings to (default: the dataset's own).",
        rich_help_panel=LABELS,
    ),
]


def label_policy(**words: str | None) -> LabelPolicy:
    """The policy that the options ask for, by the policy's own field names; None for its default.

    >>> label_policy(uncertain="ignore", views=None).uncertain
    <Uncertain.IGNORE: 'ignore'>
    """
    from hilum.domain.policy import LabelPolicy

    return LabelPolicy.model_validate(
        {name: word for name, word in words.items() if word is not None}
    )


def prevalences(words: list[str] | None, also: tuple[str, ...] = ()) -> dict[str, float]:
    """What `--prevalence FINDING=value` options say, by finding.

    Args:
        words: the options.
        also: words that may stand for a finding, such as "any".

    Raises:
        UsageError: for a word that is not such a pair.

    >>> prevalences(["Pleural Effusion=0.05"])
    {'Effusion': 0.05}
    """
    from hilum.domain.findings import find

    found: dict[str, float] = {}
    for word in words or ():
        name, equals, value = word.rpartition("=")
        finding = name if name in also else find(name).name
        if finding in found:
            raise UsageError(f"--prevalence must name each finding once; {finding} is named twice")
        try:
            # Python reads 0.1_98 as a number
            found[finding] = float(value) if equals and "_" not in value else float("nan")
        except ValueError:
            found[finding] = float("nan")
    wrong = [name for name, value in found.items() if not 0.0 < value < 1.0]
    if wrong:
        raise UsageError(
            f"--prevalence must read FINDING=value with a value in (0, 1); got '{words}'"
        )
    return found
