"""Heatmaps that point where findings were drawn: masks on disk, on a changed film, in the loss."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort
from hilum.model.backbones import Activation, Features
from hilum.model.classifier import Classifier, ExplainedClassifier, evidence
from hilum.phantom.corpus import PhantomCorpus
from hilum.phantom.masks import CELLS, HEADER, MASKS, read_masks
from hilum.phantom.nih import write_nih
from hilum.runs.recipe import load_config
from hilum.runs.recipe_parts import AugmentConfig
from hilum.training.data.augment import Change, apply, draw
from hilum.training.data.batches import Batch
from hilum.training.data.places import DrawnPlaces, drawn_places
from hilum.training.pointing import PointingLoss

LABELS = LabelSet("two", ("Mass", "Edema"))


def square(top: int, left: int, side: int) -> np.ndarray:
    cells = np.zeros((CELLS, CELLS), bool)
    cells[top : top + side, left : left + side] = True
    return cells


def test_a_table_of_masks_has_every_drawn_finding_where_it_was_drawn(tmp_path: Path) -> None:
    corpus = PhantomCorpus(patients=6, seed=4, enrichment=6.0, size=128)
    write_nih(corpus, tmp_path)
    found = read_masks(tmp_path / MASKS)
    drawn = 0
    for plan in corpus.films():
        for finding, mask in corpus.draw(plan).masks.items():
            drawn += 1
            cells = found[plan.image_id][finding]
            share = cv2.resize(
                mask.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA
            )
            assert cells.any() == mask.any()
            assert (share[cells] > 0).all()
            assert cells[share > 0.5].all()
    assert drawn == sum(map(len, found.values())) > 5


@pytest.mark.parametrize(
    "text", [None, "", "a,b\n1,2\n", f"{HEADER}\na.png,Mass,zz\n", f"{HEADER}\na.png,Mass,00\n"]
)
def test_another_table_is_no_table_of_masks(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / MASKS).write_text(text)
    if text == "":
        assert read_masks(tmp_path / MASKS) == {}
        return
    with pytest.raises(DatasetError, match="Draw the corpus again"):
        read_masks(tmp_path / MASKS)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), top=st.integers(2, 20), left=st.integers(2, 20))
def test_a_place_moves_as_the_film_does(seed: int, top: int, left: int) -> None:
    """The oracle is the film: a bright mask, changed by the warp that films go through."""
    cells = square(top, left, 9)
    geometry = AugmentConfig(
        rotation_degrees=20, scale=0.2, stretch=0.1, shift=0.15, horizontal_flip=0.5,
        brightness=0, contrast=0, gamma=0,
    )  # fmt: skip
    (change,) = draw(geometry, np.random.default_rng(seed), 1)
    film = np.kron(cells, np.ones((8, 8))).astype(np.uint8) * 255
    warped = apply(film, change).astype(np.float32) / 255
    want = cv2.resize(warped, (8, 8), interpolation=cv2.INTER_AREA)
    places = DrawnPlaces.from_masks(("a.png",), LABELS, {"a.png": {"Edema": cells}})
    placed = places.on(np.array([0]), (change,), (8, 8))
    if not len(placed.films):
        assert want.max() < 0.1
        return
    assert placed.findings.tolist() == [1]
    np.testing.assert_allclose(placed.inside[0].reshape(8, 8), want / want.max(), atol=0.3)
    assert abs(placed.inside[0].sum() - (want / want.max()).sum()) < 0.15 * 64


def test_a_place_off_the_film_and_a_finding_that_is_not_learned_have_none() -> None:
    masks = {"a.png": {"Mass": square(0, 0, 4), "Hernia": square(0, 0, 4)}}
    places = DrawnPlaces.from_masks(("a.png", "b.png"), LABELS, masks)
    rows = np.array([1, 0])
    here = places.on(rows, (Change(), Change()), (4, 4))
    assert (here.films.tolist(), here.findings.tolist()) == ([1], [0])
    gone = places.on(rows, (Change(), Change(shift_x=-0.45, shift_y=-0.45)), (4, 4))
    assert gone.inside.shape == (0, 16)


class Still(nn.Module):
    """A backbone whose map is the same for each film, and can be learned."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Parameter(torch.zeros(3, 4, 4))

    def forward(self, images: Tensor) -> Tensor:
        return self.map.expand(len(images), -1, -1, -1)


def still() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(Features(Still(), 3, Activation.NONE), LABELS).train()


def loss_of(network: Classifier, cells: np.ndarray) -> tuple[PointingLoss, Batch]:
    places = DrawnPlaces.from_masks(("a.png",), LABELS, {"a.png": {"Mass": cells}})
    raster = np.zeros((1, 8, 8), np.uint8)
    return PointingLoss(places, network), Batch(0, np.array([0]), raster, (Change(),))


def test_a_map_without_preference_costs_what_its_area_does() -> None:
    network = still()
    loss, batch = loss_of(network, square(0, 0, 16))
    network(torch.zeros(1, 1, 8, 8))
    assert loss.value(batch).item() == pytest.approx(-math.log(4 / 16), rel=1e-5)
    with pytest.raises(RuntimeError, match="must go through the network"):
        loss.value(batch)


@pytest.mark.parametrize("activation", list(Activation))
def test_what_is_learned_by_it_is_where_grad_cam_points(activation: Activation) -> None:
    network = still()
    network.backbone.activation = activation
    with torch.no_grad():
        network.backbone.get_submodule("extractor").get_parameter("map").normal_(
            generator=torch.Generator().manual_seed(0)
        )
    loss, batch = loss_of(network, square(24, 8, 8))
    steps = torch.optim.Adam(network.parameters(), lr=0.05)
    values: list[float] = []
    for _ in range(400):
        network(torch.zeros(1, 1, 8, 8))
        value = loss.value(batch)
        steps.zero_grad()
        value.backward()
        steps.step()
        values.append(value.item())
    assert values[-1] < 0.2 < values[0]
    with torch.no_grad():
        _, heat = ExplainedClassifier(network.eval())(torch.zeros(1, 1, 8, 8))
    assert int(heat[0, 0].argmax()) == 3 * 4 + 1


def test_grad_cam_is_the_evidence_without_its_negative_part() -> None:
    network = still()
    with torch.no_grad():
        network.backbone.get_submodule("extractor").get_parameter("map").normal_(
            generator=torch.Generator().manual_seed(0)
        )
        maps = network.backbone(torch.zeros(2, 1, 8, 8))
        _, heat = ExplainedClassifier(network)(torch.zeros(2, 1, 8, 8))
        cells = evidence(network, maps)
        logits = network(torch.zeros(2, 1, 8, 8)) - network.head.bias
    torch.testing.assert_close(torch.relu(cells).unflatten(2, (4, 4)), heat)
    torch.testing.assert_close(cells.sum(dim=2), logits)


def test_films_that_were_not_drawn_have_no_places(tmp_path: Path) -> None:
    plain = load_config("demo", ())
    pointing: Any = load_config("demo", ("loss.masks=1",))
    cohort = Cohort.__new__(Cohort)
    assert drawn_places(plain, (), cohort, tmp_path) is None
    write_nih(PhantomCorpus(patients=4, seed=1, size=64), tmp_path)
    (tmp_path / MASKS).unlink()
    from hilum.datasets import open_dataset

    with pytest.raises(UsageError, match=r"places are known; .* has no drawn_masks\.csv"):
        drawn_places(pointing, (), open_dataset(tmp_path), tmp_path)
