"""How often the gate is right: counts with exact intervals, on films that no fitting saw."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy.stats import beta

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging.gate import GateRules, screen
from scripts.fit_gate.films import Film
from scripts.fit_gate.material import halves, photographs
from scripts.fit_gate.pictures import MAKERS
from scripts.fit_gate.spoiling import collage, incomplete, photographed, turned

__all__ = ["Rate", "other_pictures", "rates", "table"]

Field = NDArray[np.float32]
Codes = frozenset[ReasonCode]
_OUTSIDE = ("CT", "MR", "US", "NM", "PT", "OT", "CR", "DX", "SEG", "RTDOSE")


@dataclass(frozen=True)
class Rate:
    """`count` of `n` films of one kind of one part of the data, with the exact 95 % interval."""

    question: str
    part: str
    n: int
    count: int
    low: float
    high: float


def rate(question: str, part: str, hits: Iterable[bool]) -> Rate:
    """Clopper-Pearson, 95 %."""
    seen = list(hits)
    n, count = len(seen), sum(seen)
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, n - count + 1))
    high = 1.0 if count == n else float(beta.ppf(0.975, count + 1, n - count))
    return Rate(question, part, n, count, round(low, 4), round(high, 4))


def outcome(pixels: Field, rules: GateRules) -> tuple[bool, Codes]:
    """Whether the picture is refused, and the reasons."""
    film = Radiograph(np.clip(pixels, 0, 1).astype(np.float32), "film")
    try:
        return False, frozenset(screen(film, rules))
    except FilmError as error:
        return error.status is Status.REJECT, frozenset((error.code,))


def rates(films: list[Film], data: Path) -> Iterator[Rate]:
    """Every rate of docs/reference/gate.md, in its order."""
    rules = GateRules()
    groups: dict[str, list[Field]] = {}
    for film in films:
        covid = film.source.startswith("covid")
        name = "covid" if covid else film.source
        groups.setdefault(f"{name} {film.part}", []).append(film.pixels)
    for part in ("nih test", "nih held", "nih tune", "covid held", "covid tune", "phantom held"):
        yield from _good(part, groups[part], rules)
    yield from _good("kermany child", groups["kermany child"], rules)
    for part in ("nih test", "nih held", "covid held"):
        yield from _spoilt(part, groups[part], rules)
    yield from _outside(data, rules)


def _good(part: str, films: list[Field], rules: GateRules) -> Iterator[Rate]:
    found = [outcome(film, rules) for film in films]
    yield rate("refused", part, (refused for refused, _ in found))
    for code in sorted({code for refused, codes in found for code in codes}):
        yield rate(f"with {code}", part, (code in codes for _, codes in found))
    yield rate("warned of the picture", part, (bool(codes) and not r for r, codes in found))


def _spoilt(part: str, films: list[Field], rules: GateRules) -> Iterator[Rate]:
    rng = np.random.default_rng(20)
    turn, inverted = ReasonCode.ORIENTATION_SUSPECTED, ReasonCode.INVERTED_SUSPECTED
    strange = ReasonCode.OOD_SCORE_HIGH
    ways: dict[str, tuple[Callable[[Field], Field], ReasonCode]] = {
        "inverted": (lambda film: 1 - film, inverted),
        "quarter turn to the left": (lambda film: turned(film, 1), turn),
        "quarter turn to the right": (lambda film: turned(film, 3), turn),
        "half turn": (lambda film: turned(film, 2), turn),
        "upside down in a mirror": (lambda film: turned(film, 6), turn),
        "inverted and half turn": (lambda film: 1 - turned(film, 2), turn),
        "mirrored": (lambda film: turned(film, 4), ReasonCode.MIRRORED_SUSPECTED),
        "third missing": (lambda film: incomplete(film, rng), ReasonCode.LUNG_FIELD_INCOMPLETE),
        "photographed": (lambda film: photographed(film, rng), strange),
        "hard window": (_hard, ReasonCode.CLIPPED_HISTOGRAM),
    }
    for name, (way, code) in ways.items():
        found = [outcome(way(film), rules) for film in films]
        yield rate(f"{name}: refused", part, (refused for refused, _ in found))
        yield rate(f"{name}: {code}", part, (code in codes for _, codes in found))
    picked = [rng.choice(len(films), 4, replace=False) for _ in range(100)]
    found = [outcome(collage([films[i] for i in four], rng), rules) for four in picked]
    yield rate("collage of 2 to 6: refused", part, (refused for refused, _ in found))


def _hard(film: Field) -> Field:
    return np.clip((film * 255 - 100) * 6 / 255, 0, 1).astype(np.float32)


def _outside(data: Path, rules: GateRules) -> Iterator[Rate]:
    medical = [outcome(picture, rules) for _, picture in other_pictures(data)]
    yield rate("no chest film: refused", "medical and test pictures", (r for r, _ in medical))
    photos = photographs()
    _, held = halves(list(photos))
    found = [outcome(photos[name], rules) for name in held]
    yield rate("no chest film: refused", "photographs, held", (r for r, _ in found))
    total: list[tuple[bool, Codes]] = []
    for name, maker in MAKERS.items():
        rng = np.random.default_rng(21)
        found = [outcome(maker(rng), rules) for _ in range(100)]
        total += found
        yield rate("no chest film: refused", f"drawn: {name}", (r for r, _ in found))
    yield rate("no chest film: refused", "drawn, all kinds", (r for r, _ in total))


def other_pictures(data: Path) -> Iterator[tuple[str, Field]]:
    """Pictures in DICOM files that are no chest film, each once: other modalities, a leg, patterns.

    As they would look saved as PNG: between their 0.5th and 99.5th percentile, dense bright.
    """
    bundled = Path(pydicom.__file__).parent / "data"
    kept: list[Field] = []
    for path in [*sorted((data / "dicom").glob("*.dcm")), *sorted(bundled.rglob("*.dcm"))]:
        if path.name.startswith("chest__"):
            continue
        pixels = _decoded(path)
        if pixels is None or min(pixels.shape) < 128:
            continue
        low, high = np.percentile(pixels, (0.5, 99.5))
        if high <= low:
            continue
        shown = np.clip((pixels - low) / (high - low), 0, 1).astype(np.float32)
        small = cv2.resize(shown, (24, 24), interpolation=cv2.INTER_AREA)
        if all(float(np.abs(small - other).mean()) >= 0.02 for other in kept):
            kept.append(small)
            yield path.name, shown


def _decoded(path: Path) -> NDArray[np.float64] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(path, force=True)
            pixels = header.pixel_array.astype(np.float64)
        except Exception:  # some are broken by design
            return None
    if pixels.ndim == 4:
        pixels = pixels[0]
    if pixels.ndim == 3:
        pixels = pixels.mean(-1) if pixels.shape[-1] == 3 else pixels[0]
    return -pixels if header.get("PhotometricInterpretation") == "MONOCHROME1" else pixels


def table(found: list[Rate]) -> str:
    """The rates as Markdown tables: good films, films spoilt on purpose, no chest films."""
    spoilt = [row for row in found if ": " in row.question and "no chest" not in row.question]
    outside = [row for row in found if "no chest" in row.question]
    good = [row for row in found if row not in spoilt and row not in outside]
    lines = [*_crossed(good), "", *_crossed(spoilt), "", "| Pictures | Refused |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {row.part} | {_cell(row)} |" for row in outside)])


def _crossed(found: list[Rate]) -> Iterator[str]:
    """Questions down, parts of the data across; a code that no film got is 0."""
    parts = list(dict.fromkeys(row.part for row in found))
    cells = {(row.question, row.part): _cell(row) for row in found}
    sizes = {row.part: row.n for row in found if "collage" not in row.question}
    yield f"| | {' | '.join(f'{part} (n = {sizes[part]})' for part in parts)} |"
    yield "| --- " * (len(parts) + 1) + "|"
    for question in dict.fromkeys(row.question for row in found):
        yield f"| {question} | {' | '.join(cells.get((question, part), '0') for part in parts)} |"


def _cell(row: Rate) -> str:
    shown = f"{row.count} of {row.n}" if row.n <= 100 or row.count in (0, row.n) else f"{row.count}"
    return f"{shown}: {row.count / row.n:.1%} ({row.low:.1%} to {row.high:.1%})"


def as_json(found: list[Rate]) -> list[dict[str, object]]:
    """The rates as they are kept in the model file."""
    return [asdict(row) for row in found]
