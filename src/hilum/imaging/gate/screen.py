"""The gate: header, gray levels and picture, in this order; the first refusal ends it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import OLDEST_YEARS, Radiograph, Sex, ViewPosition
from hilum.imaging.gate.body_part import shows_chest
from hilum.imaging.gate.network import GateOutput, shipped
from hilum.imaging.gate.picture import busiest_line, framed, overview, seen
from hilum.imaging.gate.rules import GateRules

__all__ = ["Levels", "check_stated", "clipped_share", "has_header", "screen", "screened"]

_SAMPLED_SIDE = 256
_FLAT_LEVELS = 10
"""Largest range of gray levels, of 256, of an empty border row."""
_MIDDLE = 0.2
"""Share of height and width at each side outside the middle: air, collimation, labels."""


@dataclass(frozen=True)
class Levels:
    """The gray levels of a film, from a regular sample of it.

    Attributes:
        count: distinct levels, of 256.
        spread: of the scale, between the 1st and the 99th percentile.
        clipped: share of the middle of the film at the ends of its scale.
    """

    count: int
    spread: float
    clipped: float

    @classmethod
    def of(cls, pixels: NDArray[np.float32]) -> Self:
        """Return the levels of a film.

        Args:
            pixels: (H, W) in [0, 1].

        Raises:
            FilmError: (reject) `CONSTANT_IMAGE`.
        """
        import cv2

        # A regular sample has the same histogram as the film, at a fraction of the cost.
        step = max(1, min(pixels.shape) // _SAMPLED_SIDE)
        sparse = np.ascontiguousarray(pixels[::step, ::step])
        sample = np.asarray(cv2.convertScaleAbs(sparse, alpha=255.0), np.uint8)
        counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel()
        count = int(np.count_nonzero(counts))
        if count == 1 and float(pixels.min()) == float(pixels.max()):
            raise FilmError(
                Status.REJECT,
                ReasonCode.CONSTANT_IMAGE,
                f"a film must show more than one gray level; all of it is {float(pixels[0, 0]):g}",
            )
        share = np.cumsum(counts) / sample.size
        spread = float(np.searchsorted(share, 0.99) - np.searchsorted(share, 0.01)) / 255.0
        return cls(count, spread, clipped_share(sample))

    def check(self, rules: GateRules) -> tuple[ReasonCode, ...]:
        """Refuse too few levels; else `CLIPPED_HISTOGRAM` where the film was cut off.

        Raises:
            FilmError: (reject) `LOW_DYNAMIC_RANGE`.
        """
        if self.count < rules.min_levels or self.spread < rules.min_range:
            raise FilmError(
                Status.REJECT,
                ReasonCode.LOW_DYNAMIC_RANGE,
                f"a film must have {rules.min_levels} gray levels and span "
                f"{rules.min_range:.0%} of the scale; this one has {self.count} and spans "
                f"{self.spread:.0%}",
            )
        return (ReasonCode.CLIPPED_HISTOGRAM,) if self.clipped >= rules.max_clipped else ()


def clipped_share(sample: NDArray[np.uint8]) -> float:
    """Return the share of the film's middle within one level of its darkest or brightest.

    Air beside the body is black on good films too, so empty borders and margins do not count.

    >>> film = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    >>> clipped_share(film), round(clipped_share(np.clip(film, 100, 160)), 2)
    (0.0, 0.63)
    """
    low, high = int(sample.min()), int(sample.max())
    inside = framed(sample, flat=_FLAT_LEVELS)
    rows, columns = (round(extent * _MIDDLE) for extent in inside.shape)
    middle = inside[rows : inside.shape[0] - rows, columns : inside.shape[1] - columns]
    ends = (middle <= low + 1) | (middle >= high - 1)
    return float(np.count_nonzero(ends)) / ends.size


_QUARTER_TURNS = {"rot90": "a quarter turn to the left", "rot270": "a quarter turn to the right"}
_HALF_TURNS = {"rot180": "upside down", "flipped": "upside down, as in a mirror"}
_WAYS = {**_QUARTER_TURNS, **_HALF_TURNS}


def screened(film: Radiograph, rules: GateRules | None = None) -> Radiograph:
    """Return the film with the gate's reasons to warn among its codes, each once.

    Args:
        film: as it was read.
        rules: as `screen` takes them.

    Raises:
        FilmError: as `screen` does.
    """
    codes = dict.fromkeys((*film.codes, *screen(film, rules)))
    return replace(film, codes=tuple(codes))


def screen(film: Radiograph, rules: GateRules | None = None) -> tuple[ReasonCode, ...]:
    """Refuse what is not an upright, positive, frontal, adult chest film; else return warnings.

    Nothing is ever corrected: a film that seems turned, inverted or mirrored is named so;
    people decide what to do. Where the file itself requests a turn (EXIF) or an inversion
    (a negative rescale slope), file and picture contradict each other, and the suspicion warns
    instead of refusing.

    Args:
        film: as it was read.
        rules: the thresholds; by default those of `GateRules()`. Films with labels, which no
            learned rule may pick among, are screened with `GateRules.labeled()`.

    Returns:
        Reasons to warn beyond the film's own codes.

    Raises:
        FilmError: (reject) `TOO_SMALL`, `VIEW_NOT_FRONTAL`, `BODY_PART_NOT_CHEST`,
            `AGE_OUT_OF_SCOPE`, `CONSTANT_IMAGE`, `LOW_DYNAMIC_RANGE`, `OOD`, `COLLAGE_SUSPECTED`,
            `ORIENTATION_SUSPECTED` or `INVERTED_SUSPECTED`.

    Example:
        >>> screen(Radiograph(np.zeros((200, 200), np.float32), source="black.png"))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: a film must show more than one gray level; all of it is 0
    """
    rules = rules if rules is not None else GateRules()
    if min(film.shape) < rules.min_side:
        rows, columns = film.shape
        raise FilmError(
            Status.REJECT,
            ReasonCode.TOO_SMALL,
            f"a film must have at least {rules.min_side} px a side; this one has "
            f"{rows} x {columns}",
        )
    codes = list(check_stated(film, rules))
    levels = Levels.of(film.pixels)
    if rules.letters or rules.pixel_model:
        reduced = overview(film.pixels)
        if rules.pixel_model:
            # a drawing in three grays is no chest film before it is a film of few grays
            codes += _check_look(shipped(rules.model).look(seen(reduced)), film.codes, rules)
        if rules.letters and _lettered(reduced, rules):
            codes.append(ReasonCode.BURNED_IN_TEXT)
    codes += levels.check(rules)
    return tuple(codes)


def _lettered(reduced: NDArray[np.float32], rules: GateRules) -> bool:
    import cv2

    picture = np.asarray(cv2.convertScaleAbs(reduced, alpha=255.0), np.uint8)
    return busiest_line(picture) >= rules.text_density


def _check_look(
    look: GateOutput, met: tuple[ReasonCode, ...], rules: GateRules
) -> tuple[ReasonCode, ...]:
    """Refuse by the picture, the plainest reason first; else the reasons to warn."""
    codes: list[ReasonCode] = []
    in_color = ReasonCode.COLOR_CONVERTED in met  # no export of a film is in color all over
    other, collage = look.kinds["other"], look.kinds["collage"]
    turned = 1.0 - look.turns["upright"] - look.turns["mirrored"]
    lies = turned >= rules.turned or look.inverted >= rules.inverted
    if other >= rules.not_chest:
        raise _reject(ReasonCode.OOD, "show a chest", "seems to show something else", other)
    if collage >= rules.collage:
        raise _reject(ReasonCode.COLLAGE_SUSPECTED, "be one picture", "seems several", collage)
    if turned >= rules.turned:
        if ReasonCode.EXIF_ORIENTATION_APPLIED not in met:
            way = max(_WAYS, key=lambda name: look.turns[name])
            raise _reject(
                ReasonCode.ORIENTATION_SUSPECTED, "be upright", f"seems {_WAYS[way]}", turned
            )
        codes.append(ReasonCode.ORIENTATION_SUSPECTED)
    if look.inverted >= rules.inverted:
        if ReasonCode.RESCALE_APPLIED not in met:
            raise _reject(
                ReasonCode.INVERTED_SUSPECTED,
                "show bone white and air black",
                "seems inverted",
                look.inverted,
            )
        codes.append(ReasonCode.INVERTED_SUSPECTED)
    if not lies and look.distance >= rules.max_distance:
        raise FilmError(
            Status.REJECT,
            ReasonCode.OOD,
            f"a film must be like the films that the gate knows; this one is {look.distance:.1f} "
            f"deviations from them, and {rules.max_distance:g} are allowed. Look at it",
        )
    if look.turns["mirrored"] >= rules.mirrored:
        codes.append(ReasonCode.MIRRORED_SUSPECTED)
    if look.incomplete >= rules.incomplete:
        codes.append(ReasonCode.LUNG_FIELD_INCOMPLETE)
    unusual = (
        look.photographed >= rules.photographed
        or other + collage >= rules.unlike
        or look.distance >= rules.unusual_distance
    )
    if in_color or (unusual and not lies):
        codes.append(ReasonCode.OOD_SCORE_HIGH)
    return tuple(codes)


def _reject(code: ReasonCode, must: str, came: str, score: float) -> FilmError:
    return FilmError(
        Status.REJECT,
        code,
        f"a film must {must}; this one {came} (score {score:.2f}). Look at it, and send it again "
        "when it is right",
    )


_OF_DICOM = frozenset(
    {
        ReasonCode.DICOM_NO_PREAMBLE,
        ReasonCode.SECONDARY_CAPTURE,
        ReasonCode.SOP_UID_MISSING,
        ReasonCode.SOP_UID_MISMATCH,
        ReasonCode.HEADER_INCOMPLETE,
    }
)


def has_header(film: Radiograph) -> bool:
    """Return whether the film has a header: from DICOM, not from a PNG, JPEG or TIFF.

    A film made in memory counts as such where any of its header's fields is set.
    """
    fields = (
        film.view is not ViewPosition.UNKNOWN,
        film.age_years is not None,
        film.sex is not Sex.UNKNOWN,
        film.spacing_mm is not None,
        bool(
            film.patient_id
            or film.orientation
            or film.laterality
            or film.body_part
            or film.sop_instance_uid
        ),
        bool(_OF_DICOM.intersection(film.codes)),
    )
    return any(fields)


def check_stated(film: Radiograph, rules: GateRules) -> tuple[ReasonCode, ...]:
    """Refuse by what the header states; else the reasons to warn.

    Raises:
        FilmError: (reject) `VIEW_NOT_FRONTAL`, `BODY_PART_NOT_CHEST` or `AGE_OUT_OF_SCOPE`.
    """
    if not has_header(film):
        return ()
    codes: list[ReasonCode] = []
    if film.view in (ViewPosition.LL, ViewPosition.OTHER):
        raise FilmError(
            Status.REJECT,
            ReasonCode.VIEW_NOT_FRONTAL,
            f"a film must be frontal (PA or AP); the header says {_in_words(film.view)}",
        )
    _check_body_part(film.body_part, rules)
    age = film.age_years
    if age is None or not 0.0 <= age <= OLDEST_YEARS:
        codes.append(ReasonCode.AGE_UNKNOWN)
    elif age < rules.min_age_years:
        raise FilmError(
            Status.REJECT,
            ReasonCode.AGE_OUT_OF_SCOPE,
            f"the patient must be at least {rules.min_age_years:g} years old; the header says "
            f"{age:.3g}",
        )
    if film.view is ViewPosition.UNKNOWN:
        codes.append(ReasonCode.VIEW_UNKNOWN)
    codes += _by_orientation(film.orientation)
    if film.laterality in ("L", "R"):
        codes.append(ReasonCode.ONE_SIDE_STATED)
    return tuple(codes)


_UPRIGHT, _MIRRORED = "LF", "RF"
"""First letters of the directions of rows and columns: patient's left and feet; right and feet."""


def _by_orientation(directions: tuple[str, ...]) -> tuple[ReasonCode, ...]:
    """Return the reasons to warn that Patient Orientation gives, of a film called frontal."""
    seen = ViewPosition.from_orientation(directions)
    if seen is ViewPosition.UNKNOWN:
        return ()
    if not seen.frontal:
        return (ReasonCode.VIEW_CONTRADICTED,)
    ways = "".join(direction[0].upper() for direction in directions)
    if ways == _UPRIGHT:
        return ()
    mirrored = ways == _MIRRORED
    return (ReasonCode.MIRRORED_SUSPECTED if mirrored else ReasonCode.ORIENTATION_SUSPECTED,)


def _check_body_part(stated: str, rules: GateRules) -> None:
    if shows_chest(stated, rules.chest_words) is not False:
        return
    raise FilmError(
        Status.REJECT,
        ReasonCode.BODY_PART_NOT_CHEST,
        f"a film must be of the chest; the header says {stated[:40]!r}",
    )


def _in_words(view: ViewPosition) -> str:
    return "lateral or oblique" if view is ViewPosition.LL else "another view"
