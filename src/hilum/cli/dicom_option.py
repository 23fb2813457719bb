"""`--dicom` with or without kinds behind it, which typer's options cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

__all__ = ["DicomCommand", "with_kinds"]

OPTION = "--dicom"
USUAL = "usual"


class DicomCommand(TyperCommand):
    """A verb whose `--dicom` may stand without kinds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a command line."""
        return super().parse_args(ctx, with_kinds(args))


def with_kinds(words: list[str]) -> list[str]:
    """Return the words with the usual kinds named, where `--dicom` stands without any.

    >>> with_kinds(["starter", "--dicom", "a.dcm"]), with_kinds(["--dicom", "sr,sc", "a.dcm"])
    (['starter', '--dicom', 'usual', 'a.dcm'], ['--dicom', 'sr,sc', 'a.dcm'])
    """
    if OPTION not in words:
        return words
    from hilum.interchange import object_kinds

    at = words.index(OPTION)
    known = {USUAL, *object_kinds()}
    word = "".join(words[at + 1 : at + 2])
    named = known.issuperset(word.split(","))
    # what is neither a kind nor a film is a kind that is misspelled, and refused as one
    misspelled = re.fullmatch("[a-z,]+", word) and not Path(word).exists()
    return words if named or misspelled else [*words[: at + 1], USUAL, *words[at + 1 :]]
