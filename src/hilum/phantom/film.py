"""One film, from its plan to its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import find
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Box
from hilum.phantom.boxes import boxes_of
from hilum.phantom.build import Build, posed, sampled
from hilum.phantom.canvas import Canvas, Field
from hilum.phantom.exposure import Exposure, exposed
from hilum.phantom.findings import planter
from hilum.phantom.furniture import furnished, lookalikes, wired
from hilum.phantom.plan import FilmPlan, Lesion
from hilum.phantom.scene import staged

__all__ = ["Drawing", "draw_example", "draw_film"]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn film and where its findings are.

    Attributes:
        pixels: (H, W) float32 in [0, 1], bright where dense.
        masks: for each planted finding, (H, W) bool.
        boxes: around the parts of the masks.
    """

    pixels: Field
    masks: dict[str, NDArray[np.bool_]]
    boxes: tuple[Box, ...]


def draw_film(plan: FilmPlan, seed: int, size: int = 256) -> Drawing:
    """Draw a planned film. The same plan, seed and size give the same bytes.

    The patient's body and vessels come from streams keyed by (seed, patient), the pose, exposure
    and noise from streams keyed by (seed, patient, follow-up): a patient's films look alike, and no
    film depends on another having been drawn.
    """
    number = int(plan.patient_id)
    body, tree = _streams(seed, number, 1, 2)
    pose, clutter, grain = _streams(seed, number, 3 + plan.follow_up, 3)
    build = posed(sampled(plan.age_years, plan.sex, body), plan.view, pose)
    planters = [(lesion, planter(lesion.finding)) for lesion in plan.lesions]
    for lesion, member in planters:
        build = member.adapt(build, lesion)
    canvas = _placed(build, size, pose)
    scene = staged(canvas, build, tree)
    masks = {lesion.finding: member.plant(scene, lesion) for lesion, member in planters}
    lookalikes(scene, clutter)
    wired(scene, clutter)
    exposure = Exposure.sampled(plan.view, pose)
    film = furnished(exposed(canvas, scene.thickness(), exposure, grain), plan.view, clutter)
    boxes = tuple(box for name, mask in masks.items() for box in boxes_of(name, mask))
    return Drawing(film, masks, boxes)


def draw_example(finding: str | None, seed: int, size: int = 256) -> Drawing:
    """A film with one marked finding, or a normal one: for tests, documents and tutorials.

    Raises:
        UsageError: for a name that no finding has.

    >>> draw_example(None, 7, size=64).pixels.shape
    (64, 64)
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0xE)))
    sex = Sex.FEMALE if rng.random() < 0.45 else Sex.MALE
    lesions: tuple[Lesion, ...] = ()
    if finding is not None:
        side = int(rng.choice((-1, 1)))
        lesions = (Lesion(find(finding).name, 0.85, side, int(rng.integers(2**31))),)
    view = ViewPosition.AP if finding == "Edema" else ViewPosition.PA
    plan = FilmPlan(
        image_id="00000001_000.png",
        patient_id="1",
        age_years=int(rng.integers(25, 80)),
        sex=sex,
        view=view,
        follow_up=0,
        findings=tuple(lesion.finding for lesion in lesions),
        lesions=lesions,
    )
    return draw_film(plan, seed, size)


def _streams(seed: int, patient: int, purpose: int, count: int) -> list[np.random.Generator]:
    root = np.random.SeedSequence((seed, patient, purpose))
    return [np.random.default_rng(child) for child in root.spawn(count)]


def _placed(build: Build, size: int, rng: np.random.Generator) -> Canvas:
    """Lay the patient on the detector, the lungs just inside it."""
    bedside = build.supine
    reach = max(2 * build.chest * 1.20, build.angle_of(1) * 1.27)
    side = reach * float(rng.uniform(0.95, 1.12) if bedside else rng.uniform(0.92, 1.05))
    spread = 1.0 if bedside else 0.5
    top = 0.12 * side + float(rng.normal(0.0, 0.7)) * spread
    centre = (float(rng.normal(0.0, 0.7)) * spread, side / 2 - top)
    tilt = float(np.deg2rad(rng.normal(0.0, 2.2 if bedside else 0.9)))
    return Canvas(size, side, centre, tilt, oversampling=2 if size <= 512 else 1)
