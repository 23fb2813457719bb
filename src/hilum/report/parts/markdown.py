"""Markdown: tables, documents, and text from outside that must not act as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hilum.report.parts.text import shown

__all__ = [
    "ALIGNED",
    "EXPLICIT",
    "TIGHT",
    "TableForm",
    "cell",
    "cells_table",
    "code",
    "document",
    "table",
    "text",
]


@dataclass(frozen=True)
class TableForm:
    """Source form of a Markdown table; every form renders to the same table.

    Attributes:
        left, right: cell of the rule under a column of words and of numbers.
        gap: between a rule's cell and its bars.
        padded: whether columns are filled with blanks, so that they also align in a terminal.
    """

    left: str = "---"
    right: str = "---:"
    gap: str = " "
    padded: bool = False


EXPLICIT = TableForm(left=":--", right="--:")
"""Says of each column that it is aligned left or right."""
TIGHT = TableForm(gap="")
"""Without blanks in the rule."""
ALIGNED = TableForm(padded=True)
"""Padded columns, for a terminal."""


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    align: str = "l",
    form: TableForm = TableForm(),
) -> str:
    """Return a table, without a line end after its last row.

    Args:
        header: names of the columns.
        rows: a cell a column; what comes from outside goes through `cell` first.
        align: `l` or `r` for each column from the first; the last letter stands for the rest.
        form: how it is spelled.

    >>> print(table(("Finding", "AUROC"), [("Mass", "0.81")], "lr"))
    | Finding | AUROC |
    | --- | ---: |
    | Mass | 0.81 |
    >>> print(table(("Finding", "n"), [("Mass", "9,712")], "lr", ALIGNED))
    | Finding |     n |
    | ------- | ----: |
    | Mass    | 9,712 |
    """
    lines = [tuple(header), *(tuple(row) for row in rows)]
    aligns = align.ljust(len(header), align[-1])
    rule = [form.left if letter == "l" else form.right for letter in aligns]
    if form.padded:
        widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
        lines = [
            tuple(
                text.ljust(width) if letter == "l" else text.rjust(width)
                for text, width, letter in zip(line, widths, aligns, strict=True)
            )
            for line in lines
        ]
        beside = 0 if form.gap else 2
        rule = [_stretched(cell, width + beside) for cell, width in zip(rule, widths, strict=True)]
    first, *rest = (f"| {' | '.join(line)} |" for line in lines)
    ruled = f"|{form.gap}{f'{form.gap}|{form.gap}'.join(rule)}{form.gap}|"
    return "\n".join((first, ruled, *rest))


def cells_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a table of words from outside, whose columns but the first are numbers.

    >>> print(cells_table(("Reader", "n"), [("a|b", "12")]))
    | Reader | n |
    | :-- | --: |
    | a\|b | 12 |
    """
    return table(header, [[cell(word) for word in row] for row in rows], "lr", EXPLICIT)


def _stretched(rule: str, width: int) -> str:
    """Return the cell of a rule with as many dashes as fill the width.

    >>> _stretched(":--", 5), _stretched("---:", 4)
    (':----', '---:')
    """
    dashes = "-" * (width - rule.count(":"))
    return f":{dashes}" if rule.startswith(":") else dashes + rule.lstrip("-")


def document(parts: Iterable[str]) -> str:
    r"""Return the parts that are not empty with a blank line between them.

    >>> document(["# Title", "", "Text."])
    '# Title\n\nText.\n'
    """
    return "\n\n".join(part for part in parts if part) + "\n"


def cell(text: str) -> str:
    r"""Return text from outside as it may stand in a table: one line, no column and no tag.

    >>> print(cell("a|b\n<img>"))
    a\|b &lt;img>
    """
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def code(text: str) -> str:
    """Return text from outside as code, in which no markup counts.

    A fence longer than any run of backticks in it cannot be closed from inside.

    >>> code("a.png"), code("a`b"), code(" ")
    ('`a.png`', '``a`b``', '(blank)')
    """
    line = shown(text)
    if not line.strip():
        return "(blank)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    # Markdown removes one blank on each side
    blank = " " if line[0] in " `" or line[-1] in " `" else ""
    return f"{fence}{blank}{line}{blank}{fence}"


def text(text: str) -> str:
    r"""Return text from outside with its markup escaped, to stand among our words.

    >>> print(text("*a*"))
    \*a\*
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~&$!])", r"\\\1", shown(text))
