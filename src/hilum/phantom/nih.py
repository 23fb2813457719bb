"""A synthetic corpus on disk, in the exact layout of NIH ChestX-ray14."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from hilum.domain.record import Box
from hilum.phantom.corpus import FilmPlan, PhantomCorpus

__all__ = ["write_nih"]

_WORKERS = 4
"""Processes that draw, at most; as many as there are processors below that."""
_FRAME = 1024  # NIH's boxes are in the frame of the released 1024-px films
_BOXED = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Effusion": "Effusion",
    "Infiltration": "Infiltrate",
    "Mass": "Mass",
    "Nodule": "Nodule",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
"""The findings that NIH's readers boxed, as the box list spells them."""

_TABLE_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
_BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
_README = """\
Synthetic chest radiographs, drawn by hilum. These are not patients: no film, name, age or label
here belongs to anybody. The layout is that of NIH ChestX-ray14, so that readers of that corpus read
this one. Boxes are in a 1024 x 1024 frame whatever the size of the PNG files.

patients {patients}, films {films}, seed {seed}, enrichment {enrichment:g}, size {size}
"""


def write_nih(
    corpus: PhantomCorpus, root: Path, advance: Callable[[int, int], None] | None = None
) -> Path:
    """Draw a corpus into a folder laid out like NIH ChestX-ray14.

    Writes `images/`, `Data_Entry_2017_v2020.csv`, `train_val_list.txt`, `test_list.txt`,
    `BBox_List_2017.csv` (test films and NIH's eight boxed findings only) and a `SYNTHETIC.txt`,
    by which readers know what the films are. The same corpus gives the same bytes.

    Args:
        corpus: what to draw.
        root: the folder; made where absent.
        advance: called with (films done, films in all) after each film.

    Returns:
        The folder.
    """
    plans = corpus.films()
    tested = corpus.test_patients()
    images = root / "images"
    images.mkdir(parents=True, exist_ok=True)
    boxes: list[str] = [_BOX_HEADER]
    drawings = corpus.drawings(workers=min(_WORKERS, os.cpu_count() or 1))
    for done, (plan, drawing) in enumerate(zip(plans, drawings, strict=True), start=1):
        _write_png(images / plan.image_id, drawing.pixels)
        if plan.patient_id in tested:
            boxes += [_box_row(plan, box) for box in drawing.boxes if box.finding in _BOXED]
        if advance is not None:
            advance(done, len(plans))
    _write_lines(root / "BBox_List_2017.csv", boxes)
    rows = [_TABLE_HEADER, *(_table_row(plan) for plan in plans)]
    _write_lines(root / "Data_Entry_2017_v2020.csv", rows)
    for name, wanted in (("train_val_list.txt", False), ("test_list.txt", True)):
        listed = [plan.image_id for plan in plans if (plan.patient_id in tested) is wanted]
        _write_lines(root / name, listed)
    readme = _README.format(
        patients=corpus.patients,
        films=len(plans),
        seed=corpus.seed,
        enrichment=corpus.enrichment,
        size=corpus.size,
    )
    (root / "SYNTHETIC.txt").write_text(readme, encoding="utf-8", newline="\n")
    return root


def _write_png(path: Path, pixels: np.ndarray) -> None:
    grey = np.round(pixels * 255.0).astype(np.uint8)
    # A fixed compression level keeps the bytes the same; 3 is twice as fast as the default of 6.
    fine, encoded = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not fine:
        raise OSError(f"cannot encode {path.name} as PNG")
    path.write_bytes(encoded.tobytes())


def _table_row(plan: FilmPlan) -> str:
    labels = "|".join(sorted(plan.findings)) or "No Finding"
    return (
        f"{plan.image_id},{labels},{plan.follow_up},{plan.patient_id},{plan.age_years},"
        f"{plan.sex.value},{plan.view.value},{_FRAME},{_FRAME},0.4,0.4"
    )


def _box_row(plan: FilmPlan, box: Box) -> str:
    corner = f"{box.x * _FRAME:g},{box.y * _FRAME:g},{box.width * _FRAME:g},{box.height * _FRAME:g}"
    return f"{plan.image_id},{_BOXED[box.finding]},{corner}"


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
