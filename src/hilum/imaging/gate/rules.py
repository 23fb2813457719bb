"""The gate's configuration: every threshold, frozen, hashed, and stored in each bundle."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hilum.imaging.gate.network import shipped_sha256

__all__ = ["GateRules"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""Above 1 nothing can come: a rule whose threshold is 1 is off."""

CHEST_WORDS = (
    "CHEST",
    "THORAX",
    "TORAX",
    "THORACIC",
    "LUNG",
    "LUNGS",
    "RIBCAGE",
    "RIB",
    "RIBS",
    "HEART",
    "MEDIASTINUM",
    "TORSO",
    "TRUNK",
)
"""Body parts that a frontal chest film is filed under in practice. Those of the gate's own
vocabulary (`body_part`) count beside them: these are what bundles hold."""


class GateRules(BaseModel):
    """Rules of the gate. A threshold is the lowest score at which its rule applies.

    The scores of the small model are no probabilities of any population; the defaults were chosen
    on films that its fitting did not see (docs/reference/gate.md has the rates).

    Example:
        >>> GateRules().min_age_years
        18.0
        >>> GateRules(min_age_years=0).sha256() == GateRules().sha256()
        False
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_side: Annotated[int, Field(ge=32)] = 128
    """Pixels. Below, a nodule is smaller than a pixel or two: `TOO_SMALL`."""
    min_levels: Annotated[int, Field(ge=2, le=256)] = 16
    """Distinct gray levels, of 256; a thresholded film has two: `LOW_DYNAMIC_RANGE`."""
    min_range: Share = 0.1
    """Least share of the scale between the film's 1st and 99th percentile: `LOW_DYNAMIC_RANGE`."""
    max_clipped: Share = 0.1
    """Share of the middle of the film at the two ends of its gray scale: `CLIPPED_HISTOGRAM`."""
    min_age_years: Annotated[float, Field(ge=0.0)] = 18.0
    """Least age by the header: `AGE_OUT_OF_SCOPE` below. Children have other hearts, other
    thymuses and other diseases than the films that adult models learn from."""
    chest_words: tuple[str, ...] = CHEST_WORDS
    """Words of Body Part Examined that are a chest, beside those every hilum knows
    (docs/reference/gate.md). No such word, or a different part too, is `BODY_PART_NOT_CHEST`."""
    letters: bool = True
    """Look for lines of text in the picture: `BURNED_IN_TEXT`."""
    text_density: Annotated[float, Field(gt=0.0)] = 4.0
    """Edges of strokes a pixel row, over 24 px of a line, from which it is a line of text."""
    pixel_model: bool = True
    """Look at the picture with the small model; off, only header and gray levels are judged."""
    model: Literal["chest1"] = "chest1"
    """The small model: a file that comes with hilum."""
    model_sha256: str = ""
    """Hash of that file, filled in: thresholds are valid on its scale only."""
    not_chest: Share = 0.4
    """Score of "no chest film": `OOD`."""
    max_distance: Annotated[float, Field(gt=0.0)] = 3.0
    """Distance from good films: `OOD`."""
    collage: Share = 0.5
    """Score of "several pictures": `COLLAGE_SUSPECTED`."""
    turned: Share = 0.7
    """Score of all ways of lying but upright and mirrored: `ORIENTATION_SUSPECTED`."""
    inverted: Share = 0.7
    """Score of "dense is dark": `INVERTED_SUSPECTED`."""
    mirrored: Share = 0.7
    """Score of "upright but mirrored": `MIRRORED_SUSPECTED`, a warning."""
    incomplete: Share = 0.5
    """Score of "a third of the chest is missing": `LUNG_FIELD_INCOMPLETE`, a warning."""
    photographed: Share = 0.4
    """Score of "a photograph of a film": `OOD_SCORE_HIGH`, a warning. A picture in color all over
    is warned of whatever its score."""
    unlike: Share = 0.2
    """Score of anything but one chest film: `OOD_SCORE_HIGH`, a warning."""
    unusual_distance: Annotated[float, Field(gt=0.0)] = 1.9
    """Distance from good films: `OOD_SCORE_HIGH`, a warning."""

    @model_validator(mode="after")
    def _of_this_model(self) -> Self:
        if not self.pixel_model:
            return self
        held = shipped_sha256(self.model)
        if not self.model_sha256:
            object.__setattr__(self, "model_sha256", held)
        if self.model_sha256 != held:
            raise ValueError(
                f"the gate's thresholds must be those of the model that hilum has: they are of "
                f"{self.model_sha256[:12]}, and {self.model} is {held[:12]}. Use the hilum that "
                "made the bundle, or make the bundle again"
            )
        return self

    @classmethod
    def labeled(cls) -> Self:
        """Return rules for films with labels: no learned model selects them, no age is left out.

        What a model is trained, calibrated and evaluated on is named by dataset and split; a gate
        that dropped its hard films would make every number look better than it is.
        """
        return cls(pixel_model=False, letters=False, min_age_years=0.0)

    def sha256(self) -> str:
        """Return the hash of all fields: equal hashes judge films alike."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
