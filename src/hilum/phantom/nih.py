"""A synthetic corpus on disk, in the exact layout of NIH ChestX-ray14."""

from __future__ import annotations

from pathlib import Path

from hilum.domain.record import Box
from hilum.phantom.corpus import (
    Advance,
    FilmPlan,
    PhantomCorpus,
    drawn,
    write_film,
    write_lines,
    write_notice,
)
from hilum.phantom.masks import HEADER, MASKS, mask_lines

__all__ = ["write_nih"]

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
_LAYOUT = """\
The layout is that of NIH ChestX-ray14, so that readers of that corpus read
this one. Boxes are in a 1024 x 1024 frame whatever the size of the PNG files."""


def write_nih(corpus: PhantomCorpus, root: Path, advance: Advance | None = None) -> Path:
    """Draw a corpus into a folder laid out like NIH ChestX-ray14.

    Writes `images/`, `Data_Entry_2017_v2020.csv`, `train_val_list.txt`, `test_list.txt`,
    `BBox_List_2017.csv` (test films and NIH's eight boxed findings only) and a `SYNTHETIC.txt`,
    by which readers know what the films are. `drawn_masks.csv` says where each finding of each film
    was drawn, in 32 by 32 cells (`hilum.phantom.masks`). The same corpus gives the same bytes.

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
    masks: list[str] = [HEADER]
    for plan, drawing in drawn(corpus, advance):
        write_film(images / plan.image_id, drawing.pixels)
        masks += mask_lines(plan.image_id, drawing.masks)
        if plan.patient_id in tested:
            boxes += [_box_row(plan, box) for box in drawing.boxes if box.finding in _BOXED]
    write_lines(root / "BBox_List_2017.csv", boxes)
    write_lines(root / MASKS, masks)
    rows = [_TABLE_HEADER, *(_table_row(plan) for plan in plans)]
    write_lines(root / "Data_Entry_2017_v2020.csv", rows)
    for name, wanted in (("train_val_list.txt", False), ("test_list.txt", True)):
        listed = [plan.image_id for plan in plans if (plan.patient_id in tested) is wanted]
        write_lines(root / name, listed)
    write_notice(root, corpus, _LAYOUT)
    return root


def _table_row(plan: FilmPlan) -> str:
    labels = "|".join(sorted(plan.findings)) or "No Finding"
    return (
        f"{plan.image_id},{labels},{plan.follow_up},{plan.patient_id},{plan.age_years},"
        f"{plan.sex.value},{plan.view.value},{_FRAME},{_FRAME},0.4,0.4"
    )


def _box_row(plan: FilmPlan, box: Box) -> str:
    corner = f"{box.x * _FRAME:g},{box.y * _FRAME:g},{box.width * _FRAME:g},{box.height * _FRAME:g}"
    return f"{plan.image_id},{_BOXED[box.finding]},{corner}"
