"""results.jsonl: the result of each input, one JSON object per line, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import UsageError
from hilum.report.batch import Report
from hilum.report.parts.results import BatchResults

__all__ = [
    "REPORT",
    "RESULTS",
    "ResultsJsonl",
    "line_of",
    "read",
    "result_lines",
    "result_of",
    "schema",
]

RESULTS = "results.jsonl"


@dataclass(frozen=True)
class ResultsJsonl(Report):
    r"""The results in full precision.

    The text is ASCII, everything else as `\u` escapes: no name can break a line (U+2028 does, in
    many readers), and a file name that is not UTF-8 comes back as Python had it.
    """

    filename: str = RESULTS

    def pieces(self, batch: BatchResults) -> Iterator[str]:
        """Yield one line per input."""
        for result in batch.results:
            yield line_of(result) + "\n"


_SURROGATE = "\\ud"

REPORT: Report = ResultsJsonl()


def line_of(result: ImageResult) -> str:
    """Return the line of one input, without its end."""
    return json.dumps(result.model_dump(mode="python"), separators=(",", ":"))


def result_of(line: str) -> ImageResult:
    """Return the result of a line: the inverse of `line_of`, whatever a film is called.

    Pydantic's own reader of JSON takes half the time, and refuses the names that are not UTF-8,
    which stand as half of a surrogate pair.

    Raises:
        ValueError: for a line that is not a result, by pydantic, naming the field.
    """
    if _SURROGATE not in line:
        return ImageResult.model_validate_json(line)
    return ImageResult.model_validate(json.loads(line))


def read(text: str) -> tuple[ImageResult, ...]:
    """Return the results of a results.jsonl: the inverse of `render`.

    Raises:
        ValueError: for a line that is not a result, by pydantic, naming the field.
    """
    return tuple(map(result_of, text.splitlines()))


def result_lines(path: Path) -> Iterator[tuple[str, ImageResult]]:
    """Yield each line of a results.jsonl, without its end, and its result.

    Raises:
        UsageError: for a line that is not a result, with its number.
    """
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, text in enumerate(lines, start=1):
            line = text.rstrip("\n")
            try:
                yield line, result_of(line)
            except ValueError:
                raise UsageError(
                    f"each line must be a result of hilum; {path}, line {number} is not. "
                    "Run the same `hilum predict` again"
                ) from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line.

    >>> schema()["title"]
    'ImageResult'
    """
    return ImageResult.model_json_schema(mode="serialization")
