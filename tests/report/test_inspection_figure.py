"""The picture is written, shows something, and is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.datasets import reader
from hilum.inspection.inspect import InspectionRequest, inspect_dataset
from hilum.report.inspection.figure import write_figure


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["nih", "padchest", "rsna"])
def test_the_same_inspection_gives_the_same_png(tmp_path: Path, dataset: str) -> None:
    root = reader(dataset).write_example(tmp_path / dataset)
    found = inspect_dataset(InspectionRequest(root, dataset=dataset, films=False))
    for name in ("one.png", "two.png"):
        write_figure(found, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.width > 1000
        assert np.asarray(image.convert("L")).std() > 5
