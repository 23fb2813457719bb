"""The 8-bit form of a run's network, with ranges measured on films of the run."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from hilum.domain.documents import SplitFacts
from hilum.domain.errors import DatasetError
from hilum.domain.provenance import provenance
from hilum.domain.record import Cohort
from hilum.files.atomic import atomic_file
from hilum.files.sealed import file_sha256
from hilum.model.graph import write_quantized
from hilum.reading.stack import read_stack
from hilum.runs.facts import Quantization
from hilum.runs.folder import RunFolder

__all__ = ["FILMS", "quantize_run"]

FILMS = 128
"""Films that set the ranges: with twice as many the extremes grow, and the steps with them."""


def quantize_run(
    run: RunFolder,
    name: str,
    cohort: Cohort,
    advance: Callable[[int, int], None] | None = None,
) -> Quantization:
    """Write `model-int8.onnx` and `quantisation.json` into the run.

    Args:
        run: finished.
        name: of the split that the films are of.
        cohort: its films; `FILMS` of them are read, at equal distances. Labels are not looked at.
        advance: called with (done, total) films read.

    Raises:
        DatasetError: when none of the films can be read.
        BundleError: for a network that has nothing to quantize.
    """
    present = cohort.select(lambda record: record.path is not None)
    spread = np.linspace(0, len(present) - 1, min(FILMS, len(present))).round().astype(int)
    chosen = [present.records[row] for row in spread]
    paths = [record.path for record in chosen if record.path is not None]
    preprocessing = run.facts().network.preprocessing
    stack = read_stack(paths, preprocessing, advance=advance)
    if not stack.kept:
        raise DatasetError(
            f"a network is quantized by films that it may see; none of the {len(cohort)} of "
            f"{cohort.dataset}'s {name} split can be read here"
        )
    with atomic_file(run.quantized) as unfinished:
        images = preprocessing.normalize(stack.rasters)
        convolutions = write_quantized(run.model, images, unfinished)
    names = {chosen[position].image_id for position in stack.kept}
    facts = Quantization(
        model_sha256=file_sha256(run.model),
        quantized_sha256=file_sha256(run.quantized),
        convolutions=convolutions,
        films=SplitFacts.of(name, cohort.select(lambda record: record.image_id in names)),
        provenance={**provenance(), "onnxruntime": version("onnxruntime")},
    )
    run.write_quantization(facts)
    return facts
