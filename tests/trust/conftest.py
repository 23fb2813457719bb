"""`hilum` called in this process, and a small dataset with predictions of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Said = Callable[..., tuple[int, str, str]]
Tables = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture
def said(said: Said, undrawn: None) -> Said:
    """Call a verb, which draws no figure: exit code, stdout and stderr."""
    return said


@pytest.fixture
def tables() -> Tables:
    """Labels and predictions of 60 patients with three films each, as two tables."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 3)
    films = [f"{row:03d}.png" for row in range(len(patients))]
    names = ["Effusion", "Mass", "Hernia"]
    truth = rng.random((len(films), 3)) < (0.4, 0.3, 0.1)
    scores = 1 / (1 + np.exp(-(1.5 * truth - 1 + rng.normal(size=truth.shape))))
    labels = pd.DataFrame(truth.astype(int), columns=names)
    labels.insert(0, "image_id", films)
    labels.insert(1, "patient_id", patients)
    labels["age"] = 20 + patients
    predictions = pd.DataFrame(scores, columns=names)
    predictions.insert(0, "image_id", films)
    return labels, predictions


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Tables], tuple[Path, Path]]:
    """Write the two as CSV: the predictions' path, then the labels'."""

    def made(tables: Tables) -> tuple[Path, Path]:
        labels, predictions = tables
        labels.to_csv(tmp_path / "labels.csv", index=False)
        predictions.to_csv(tmp_path / "theirs.csv", index=False)
        return tmp_path / "theirs.csv", tmp_path / "labels.csv"

    return made
