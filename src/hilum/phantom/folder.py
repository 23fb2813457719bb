"""What the written layouts have in common: films drawn in turn, lines, and the notice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from hilum.phantom.canvas import Field
from hilum.phantom.corpus import Drawing, FilmPlan, PhantomCorpus

__all__ = ["Advance", "drawn", "write_film", "write_lines", "write_notice"]

Advance = Callable[[int, int], None]
"""Called with (films done, films in all) after each film."""

_WORKERS = 4
"""Processes that draw, at most; as many as there are processors below that."""
_ENCODING = {
    # 3 is twice as fast as the default of 6
    ".png": (cv2.IMWRITE_PNG_COMPRESSION, 3),
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
}
"""By suffix; fixed, so that the bytes stay the same."""
_NOTICE = """\
Synthetic chest radiographs, drawn by hilum. These are not patients: no film, name, age or label
here belongs to anybody. {layout}

patients {patients}, films {films}, seed {seed}, enrichment {enrichment:g}, size {size}
"""


def drawn(corpus: PhantomCorpus, advance: Advance | None) -> Iterator[tuple[FilmPlan, Drawing]]:
    """Every film of a corpus with its plan, in order, by several processes where that pays."""
    plans = corpus.films()
    drawings = corpus.drawings(workers=min(_WORKERS, os.cpu_count() or 1))
    for done, pair in enumerate(zip(plans, drawings, strict=True), start=1):
        yield pair
        if advance is not None:
            advance(done, len(plans))


def write_film(path: Path, pixels: Field) -> None:
    """Write pixels in [0, 1] as a grey 8-bit PNG or JPEG, by the path's suffix.

    Raises:
        OSError: when the film cannot be encoded or written.
    """
    grey = np.round(pixels * 255.0).astype(np.uint8)
    fine, encoded = cv2.imencode(path.suffix, grey, _ENCODING[path.suffix])
    if not fine:
        raise OSError(f"cannot encode {path.name}")
    path.write_bytes(encoded.tobytes())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines in UTF-8, each ended by a newline, on every system alike."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def write_notice(folder: Path, corpus: PhantomCorpus, layout: str) -> None:
    """Write the `SYNTHETIC.txt` by which readers know that a folder's films were drawn.

    Args:
        folder: where a reader looks for it: beside the tables.
        corpus: what was drawn.
        layout: what is imitated, and how it differs.
    """
    text = _NOTICE.format(
        layout=layout,
        patients=corpus.patients,
        films=len(corpus.films()),
        seed=corpus.seed,
        enrichment=corpus.enrichment,
        size=corpus.size,
    )
    (folder / "SYNTHETIC.txt").write_text(text, encoding="utf-8", newline="\n")
