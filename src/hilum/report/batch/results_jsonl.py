"""results.jsonl: the result of each input, one JSON object per line, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hilum.domain.documents.results import ImageResult
from hilum.report.batch import Report
from hilum.report.parts.results import BatchResults

__all__ = ["REPORT", "ResultsJsonl", "line_of", "read", "schema"]


@dataclass(frozen=True)
class ResultsJsonl(Report):
    r"""The results in full precision.

    The text is ASCII, everything else as `\u` escapes: no name can break a line (U+2028 does, in
    many readers), and a file name that is not UTF-8 comes back as Python had it.
    """

    filename: str = "results.jsonl"

    def pieces(self, batch: BatchResults) -> Iterator[str]:
        """Yield one line per input."""
        for result in batch.results:
            yield line_of(result) + "\n"


REPORT: Report = ResultsJsonl()


def line_of(result: ImageResult) -> str:
    """Return the line of one input, without its end."""
    return json.dumps(result.model_dump(mode="python"), separators=(",", ":"))


def read(text: str) -> tuple[ImageResult, ...]:
    """Return the results of a results.jsonl: the inverse of `render`.

    Raises:
        ValueError: for a line that is not a result, by pydantic, naming the field.
    """
    return tuple(ImageResult.model_validate(json.loads(line)) for line in text.splitlines())


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line.

    >>> schema()["title"]
    'ImageResult'
    """
    return ImageResult.model_json_schema(mode="serialization")
