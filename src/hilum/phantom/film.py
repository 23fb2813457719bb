"""One film, from its plan to its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import find
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import Box
from hilum.phantom.build import Build, posed, sampled
from hilum.phantom.canvas import Canvas, Field
from hilum.phantom.findings import Planter, unchanged
from hilum.phantom.findings.masses import plant_hernia, plant_mass, plant_nodule
from hilum.phantom.findings.opacities import (
    adapt_atelectasis,
    adapt_edema,
    plant_atelectasis,
    plant_consolidation,
    plant_edema,
    plant_infiltration,
    plant_pneumonia,
)
from hilum.phantom.findings.pleura import (
    plant_effusion,
    plant_pleural_thickening,
    plant_pneumothorax,
)
from hilum.phantom.findings.shape import (
    adapt_cardiomegaly,
    adapt_emphysema,
    adapt_fibrosis,
    plant_cardiomegaly,
    plant_emphysema,
    plant_fibrosis,
)
from hilum.phantom.furniture import furnished, lookalikes, wired
from hilum.phantom.plan import FilmPlan, Lesion
from hilum.phantom.scene import staged

__all__ = ["PLANTERS", "Drawing", "Exposure", "boxes_of", "draw_example", "draw_film", "exposed"]

PLANTERS: dict[str, Planter] = {
    "Atelectasis": Planter(adapt_atelectasis, plant_atelectasis),
    "Cardiomegaly": Planter(adapt_cardiomegaly, plant_cardiomegaly),
    "Effusion": Planter(unchanged, plant_effusion),
    "Infiltration": Planter(unchanged, plant_infiltration),
    "Mass": Planter(unchanged, plant_mass),
    "Nodule": Planter(unchanged, plant_nodule),
    "Pneumonia": Planter(unchanged, plant_pneumonia),
    "Pneumothorax": Planter(unchanged, plant_pneumothorax),
    "Consolidation": Planter(unchanged, plant_consolidation),
    "Edema": Planter(adapt_edema, plant_edema),
    "Emphysema": Planter(adapt_emphysema, plant_emphysema),
    "Fibrosis": Planter(adapt_fibrosis, plant_fibrosis),
    "Pleural_Thickening": Planter(unchanged, plant_pleural_thickening),
    "Hernia": Planter(unchanged, plant_hernia),
}
"""NIH name of each finding to the functions that draw it."""

_MOST = 3
_LEAST_SHARE = 0.15  # of the largest part's area; smaller parts are crumbs


def boxes_of(finding: str, mask: NDArray[np.bool_]) -> tuple[Box, ...]:
    """Return a box around each sizeable connected part of a mask, largest first, at most three.

    >>> mask = np.zeros((10, 10), bool)
    >>> mask[2:4, 5:10] = True
    >>> boxes_of("Mass", mask)
    (Box(finding='Mass', x=0.5, y=0.2, width=0.5, height=0.2),)
    """
    rows, columns = mask.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = sorted(stats[1:].tolist(), key=lambda part: -part[cv2.CC_STAT_AREA])
    return tuple(
        Box(finding, x / columns, y / rows, width / columns, height / rows)
        for x, y, width, height, area in parts[:_MOST]
        if area >= _LEAST_SHARE * parts[0][cv2.CC_STAT_AREA]
    )


_MU = 0.17  # per cm of water, effective, at the energies of chest films
_USUAL_LUNG = 8.5  # cm of water


@dataclass(frozen=True)
class Exposure:
    """Exposure and processing of one film.

    Attributes:
        scatter: scattered over direct radiation.
        quanta: photons that reach a pixel through nothing, which sets the noise.
        blur_cm: of focal spot, motion and detector.
        middle: where between lung and mediastinum mid-gray lies, in [0, 1].
        contrast: slope of the tone curve between them.
        crispening: strength of the vendor's edge enhancement.
        low, high: gray of black and white.
    """

    scatter: float
    quanta: float
    blur_cm: float
    middle: float
    contrast: float
    crispening: float
    low: float
    high: float

    @classmethod
    def sampled(cls, view: ViewPosition, rng: np.random.Generator) -> Exposure:
        """Sample an exposure typical of the view: bedside films are flatter, softer, noisier."""
        bedside = view is ViewPosition.AP
        return cls(
            scatter=float(rng.uniform(0.35, 0.9) if bedside else rng.uniform(0.08, 0.3)),
            quanta=float(10 ** rng.uniform(4.3, 5.3) if bedside else 10 ** rng.uniform(5.0, 6.0)),
            blur_cm=float(rng.uniform(0.05, 0.10) if bedside else rng.uniform(0.02, 0.06)),
            middle=float(rng.uniform(0.22, 0.46)),
            contrast=float(rng.uniform(2.2, 3.2) if bedside else rng.uniform(2.6, 4.0)),
            crispening=float(rng.uniform(0.0, 0.45)),
            low=float(rng.uniform(0.0, 0.06)),
            high=float(rng.uniform(0.88, 1.0)),
        )


def exposed(
    canvas: Canvas, thickness: Field, exposure: Exposure, rng: np.random.Generator
) -> Field:
    """Return the film's gray levels in [0, 1], bright where dense."""
    direct = np.exp(np.maximum(thickness, 0.0) * np.float32(-_MU))
    direct = canvas.blur(direct, exposure.blur_cm)
    veil = canvas.blur(np.minimum(direct, 0.5), 4.0)
    signal = direct + np.float32(exposure.scatter) * veil
    spread = np.sqrt(signal / np.float32(exposure.quanta * (256 / canvas.size)))
    grain = rng.standard_normal(signal.shape, dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.55)
    signal = np.maximum(signal + 2.0 * spread * grain, 1e-4)
    depth = np.log(signal) * np.float32(-1.0 / _MU)
    lung, dense = _range(depth)
    middle = lung + exposure.middle * (dense - lung)
    slope = exposure.contrast / (dense - lung)
    if exposure.crispening > 0:
        depth = depth + np.float32(exposure.crispening) * (depth - canvas.blur(depth, 1.2))
    gray = 1.0 / (1.0 + np.exp((np.float32(middle) - depth) * np.float32(slope)))
    gray = exposure.low + (exposure.high - exposure.low) * gray
    return np.clip(gray, 0.0, 1.0).astype(np.float32)


def _range(depth: Field) -> tuple[float, float]:
    """Return thickness of lung and of mediastinum, as automatic exposure finds them on the film."""
    side = depth.shape[0]
    window = depth[side // 6 : -side // 6 : 4, side // 6 : -side // 6 : 4]
    lung, dense = np.percentile(window, (10, 90))
    # Half of the estimate is habit, so that dark lungs stay darker than others.
    lung = 0.5 * (float(lung) + _USUAL_LUNG)
    return lung, max(float(dense), lung + 4.0)


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
    planters = [(lesion, PLANTERS[lesion.finding]) for lesion in plan.lesions]
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
    """Return a film with one marked finding, or a normal one: for tests, documents and tutorials.

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
    center = (float(rng.normal(0.0, 0.7)) * spread, side / 2 - top)
    tilt = float(np.deg2rad(rng.normal(0.0, 2.2 if bedside else 0.9)))
    return Canvas(size, side, center, tilt, oversampling=2 if size <= 512 else 1)
