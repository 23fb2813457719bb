"""JSON for a program: one document with the results, the bundle that made them, and the notice."""

from __future__ import annotations

import json
from typing import Any

from hilum.domain.notice import NOT_A_DEVICE
from hilum.report.parts.results import BatchResults
from hilum.report.parts.text import evaluation_headline
from hilum.report.printed import Printed

__all__ = ["PRINTED", "render"]


def render(batch: BatchResults) -> str:
    """Return the result of each input, in full precision, as in `results.jsonl`.

    It is ASCII with escapes, as there: no name can reach the terminal as it is.
    """
    bundle = batch.bundle
    document: dict[str, Any] = {
        "schema_version": 1,
        "notice": NOT_A_DEVICE,
        "bundle": {
            "name": bundle.name,
            "id": bundle.id,
            "precision": bundle.precision,
            "calibrator": bundle.calibrator,
            "created": bundle.created,
            "evaluation": evaluation_headline(bundle.evaluation),
        },
        "labels": {"name": batch.labels.name, "findings": list(batch.labels)},
        "results": [result.model_dump(mode="python") for result in batch.results],
    }
    return json.dumps(document, indent=1) + "\n"


PRINTED: Printed = Printed(render)
