"""A synthetic corpus on disk, in the exact layout of CheXpert-small, its uncertainty included."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from hilum.domain.findings import NO_FINDING, LabelState, label_set
from hilum.domain.radiograph import Sex
from hilum.phantom.corpus import (
    Advance,
    FilmPlan,
    PhantomCorpus,
    drawn,
    write_film,
    write_lines,
    write_notice,
)
from hilum.phantom.plan import SEVERITY

__all__ = ["mined_labels", "read_labels", "write_chexpert"]

_TOP = "CheXpert-v1.0-small"
_OPACITIES = (
    "Atelectasis", "Consolidation", "Edema", "Infiltration", "Mass", "Nodule", "Pneumonia",
)  # fmt: skip
_SHOWN_BY = {
    "Cardiomegaly": ("Cardiomegaly",),
    "Lung Opacity": _OPACITIES,
    "Lung Lesion": ("Mass", "Nodule"),
    "Edema": ("Edema",),
    "Consolidation": ("Consolidation",),
    "Pneumonia": ("Pneumonia",),
    "Atelectasis": ("Atelectasis",),
    "Pneumothorax": ("Pneumothorax",),
    "Effusion": ("Effusion",),
}
"""CheXpert's findings that are drawn, and the drawn findings that show each. The others stay blank:
nothing here can say whether the film has them."""

_FAINT = 0.5
"""Below this part of a finding's range of severities, a case is faint."""
_HEDGED = 0.6
"""Share of faint cases that a report calls possible."""
_FALSELY_HEDGED = 0.01
"""Share of absent findings that a report calls possible."""
_RULED_OUT = 0.25
"""Share of absent findings that a report denies; of the others it says nothing."""

_CELLS = {
    LabelState.POSITIVE: "1.0",
    LabelState.NEGATIVE: "0.0",
    LabelState.UNCERTAIN: "-1.0",
    LabelState.UNLABELLED: "",
}
_SPELLED = {"Effusion": "Pleural Effusion"}
_SEXES = {Sex.FEMALE: "Female", Sex.MALE: "Male", Sex.UNKNOWN: "Unknown"}
_LAYOUT = """\
The layout is that of CheXpert-small, so that readers of that corpus read
this one. Labels of train.csv are what an invented report says of what was drawn: uncertain (-1.0)
for some faint findings, blank for most absent ones. Labels of valid.csv are what was drawn. All
films are frontal and square."""


def write_chexpert(corpus: PhantomCorpus, root: Path, advance: Advance | None = None) -> Path:
    """Draw a corpus into a folder laid out like CheXpert-small.

    Writes `CheXpert-v1.0-small/` with `train.csv`, `valid.csv` (the corpus's test patients) and
    films such as `train/patient00001/study1/view1_frontal.jpg`, a study for each follow-up. A
    `SYNTHETIC.txt` stands in the folder and in `CheXpert-v1.0-small/`, as readers open either.
    The same corpus gives the same bytes.

    Args:
        corpus: what to draw.
        root: the folder; made where absent.
        advance: called with (films done, films in all) after each film.

    Returns:
        The folder.
    """
    top = root / _TOP
    top.mkdir(parents=True, exist_ok=True)
    names = [_SPELLED.get(name, name) for name in label_set("CheXpert-14")]
    header = ",".join(("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *names))
    rows = {"train": [header], "valid": [header]}
    tested = corpus.test_patients()
    for plan, drawing in drawn(corpus, advance):
        split = "valid" if plan.patient_id in tested else "train"
        labels = read_labels(plan) if split == "valid" else mined_labels(plan, corpus.seed)
        film = f"{split}/patient{int(plan.patient_id):05d}/study{plan.follow_up + 1}"
        (top / film).mkdir(parents=True, exist_ok=True)
        write_film(top / film / "view1_frontal.jpg", drawing.pixels)
        rows[split].append(_row(plan, f"{_TOP}/{film}/view1_frontal.jpg", labels))
    for split, lines in rows.items():
        write_lines(top / f"{split}.csv", lines)
    for folder in (root, top):
        write_notice(folder, corpus, _LAYOUT)
    return root


def mined_labels(plan: FilmPlan, seed: int) -> dict[str, LabelState]:
    """Return a film's labels as a labeler mines them from its report: hedged, and mostly silent.

    A finding that is drawn is positive. Where its most marked lesion is faint, in the lower half of
    its range of severities, 6 in 10 are uncertain instead. A finding that is not drawn is negative
    in 25 of 100, uncertain in 1, else blank. At NIH's prevalences about half the uncertain labels
    are true, and no blank one: unlike a real report, this one leaves nothing out. The shares are
    chosen for small corpora, and are not CheXpert's. Each state follows from a stream of its own,
    keyed by (seed, patient, follow-up, finding).

    `No Finding` is positive where nothing is drawn and, as CheXpert's labeler has it, nothing is
    called uncertain; else blank.

    Args:
        plan: the film.
        seed: the corpus's.

    Returns:
        A state for each finding of CheXpert-14, in its order.

    Example:
        >>> plan = PhantomCorpus(patients=1, seed=3).films()[0]
        >>> mined_labels(plan, 3)["Fracture"].name
        'UNLABELLED'
    """
    labels = dict.fromkeys(label_set("CheXpert-14"), LabelState.UNLABELLED)
    for name in _SHOWN_BY:
        key = (seed, int(plan.patient_id), plan.follow_up, zlib.crc32(name.encode()))
        chance = np.random.default_rng(np.random.SeedSequence(key)).random()
        labels[name] = _reported(_marked(plan, name), chance)
    if not plan.findings and LabelState.UNCERTAIN not in labels.values():
        labels[NO_FINDING] = LabelState.POSITIVE
    return labels


def read_labels(plan: FilmPlan) -> dict[str, LabelState]:
    """Return a film's labels as careful readers give them: what is drawn, never uncertain.

    `No Finding` is negative, not blank, where something is drawn: readers answer every
    question. What the phantom cannot show stays blank.

    Returns:
        A state for each finding of CheXpert-14, in its order.
    """
    labels = dict.fromkeys(label_set("CheXpert-14"), LabelState.UNLABELLED)
    labels |= {name: LabelState(int(_marked(plan, name) is not None)) for name in _SHOWN_BY}
    labels[NO_FINDING] = LabelState(int(not plan.findings))
    return labels


def _marked(plan: FilmPlan, name: str) -> float | None:
    """Return the relative severity of a finding's most marked lesion, 0 to 1; None if none."""
    parts: list[float] = []
    for lesion in plan.lesions:
        if lesion.finding in _SHOWN_BY[name]:
            mildest, most, _ = SEVERITY[lesion.finding]
            parts.append((lesion.severity - mildest) / (most - mildest))
    return max(parts, default=None)


def _reported(marked: float | None, chance: float) -> LabelState:
    """Return a finding's state in a report, at a uniform chance in [0, 1)."""
    if marked is not None:
        hedged = marked < _FAINT and chance < _HEDGED
        return LabelState.UNCERTAIN if hedged else LabelState.POSITIVE
    if chance < _FALSELY_HEDGED:
        return LabelState.UNCERTAIN
    return LabelState.NEGATIVE if chance < _FALSELY_HEDGED + _RULED_OUT else LabelState.UNLABELLED


def _row(plan: FilmPlan, path: str, labels: dict[str, LabelState]) -> str:
    about = (path, _SEXES[plan.sex], str(plan.age_years), "Frontal", plan.view.value)
    return ",".join((*about, *(_CELLS[state] for state in labels.values())))
