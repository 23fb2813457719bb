"""Where findings were drawn on the films of a batch, after the films' changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort
from hilum.phantom.masks import CELLS, MASKS, read_masks
from hilum.runs.recipe import TrainingConfig
from hilum.training.data.augment import Change, inverse_map

__all__ = ["DrawnPlaces", "PlacedFindings", "drawn_places"]

POINTS = 4
"""Points of a cell of the map, in each direction, at which the mask is read."""


@dataclass(frozen=True, eq=False)
class PlacedFindings:
    """The E findings of a batch whose place is known.

    Attributes:
        films: (E,) places of their films in the batch.
        findings: (E,) columns of the label set.
        inside: (E, h w) float32 in [0, 1]: share of each cell that the finding covers, divided by
            the largest of its film.
    """

    films: NDArray[np.intp]
    findings: NDArray[np.intp]
    inside: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DrawnPlaces:
    """Where findings were drawn on the films of a split.

    Attributes:
        masks: of each film by its row, the column of a finding and its (32, 32) cells.
    """

    masks: tuple[tuple[tuple[int, NDArray[np.bool_]], ...], ...]

    @classmethod
    def from_masks(
        cls,
        names: Sequence[str],
        labels: LabelSet,
        masks: Mapping[str, Mapping[str, NDArray[np.bool_]]],
    ) -> Self:
        """Order masks by the films' rows and the label set's columns; others are left out.

        Args:
            names: of the films, in the order of their rows.
            labels: findings of the network.
            masks: by film and finding.
        """
        return cls(
            tuple(
                tuple(
                    (labels.index(finding), cells)
                    for finding, cells in masks.get(name, {}).items()
                    if finding in labels and cells.any()
                )
                for name in names
            )
        )

    def on(
        self, rows: NDArray[np.intp], changes: Sequence[Change], size: tuple[int, int]
    ) -> PlacedFindings:
        """Return where the findings of changed films lie on a map.

        A finding that the change moved off the film has no place any more.

        Args:
            rows: (B,) of the films.
            changes: what was done to each.
            size: (h, w) of the map.
        """
        films: list[int] = []
        findings: list[int] = []
        inside: list[NDArray[np.float32]] = []
        for place, (row, change) in enumerate(zip(rows.tolist(), changes, strict=True)):
            if not self.masks[row]:
                continue
            across, down, there = _cells_of_points(change, size)
            for finding, cells in self.masks[row]:
                seen = (cells[down, across] & there).reshape(*size, POINTS * POINTS)
                share = seen.mean(axis=2, dtype=np.float32).ravel()
                if share.any():
                    films.append(place)
                    findings.append(finding)
                    inside.append(share / share.max())
        none = np.zeros((0, size[0] * size[1]), np.float32)
        stacked = np.stack(inside) if inside else none
        return PlacedFindings(np.array(films, np.intp), np.array(findings, np.intp), stacked)


def drawn_places(
    config: TrainingConfig, names: Sequence[str], cohort: Cohort, data: Path
) -> DrawnPlaces | None:
    """Read where findings were drawn on the train films; None where `loss.masks` is 0.

    Args:
        config: of the run.
        names: of the train films, in the order of their rows.
        cohort: of the run.
        data: the dataset's folder.

    Raises:
        UsageError: for films that hilum did not draw, or heatmaps that cannot have a loss.
        DatasetError: for a table that cannot be read.
    """
    if config.loss.masks == 0.0:
        return None
    table = data / MASKS
    if not cohort.synthetic or not table.is_file():
        raise UsageError(
            f"loss.masks must have films whose findings' places are known; {data} has no {MASKS}. "
            "Draw them with `hilum phantom nih`, or set loss.masks=0"
        )
    if config.compute.compile:
        raise UsageError("loss.masks reads maps that a compiled network hides; set compile=false")
    return DrawnPlaces.from_masks(names, cohort.labels, read_masks(table))


def _cells_of_points(
    change: Change, size: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return column, row and presence in the original mask of each point: (h, w, 4, 4) each."""
    down, across = (
        ((np.arange(count)[:, None] + (np.arange(POINTS) + 0.5) / POINTS) / count - 0.5)
        for count in size
    )
    x = np.broadcast_to(across[None, :, None, :], (*size, POINTS, POINTS))
    y = np.broadcast_to(down[:, None, :, None], (*size, POINTS, POINTS))
    matrix = inverse_map(change)
    old_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + 0.5
    old_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + 0.5
    there = (old_x >= 0.0) & (old_x < 1.0) & (old_y >= 0.0) & (old_y < 1.0)
    column, row = (np.clip((old * CELLS).astype(np.intp), 0, CELLS - 1) for old in (old_x, old_y))
    return column, row, there
